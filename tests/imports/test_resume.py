"""Killed anywhere, an import goes on; the end is the same as without the kill (F2)."""

import io

import pytest
from sqlalchemy import func, select

from portal.extensions import db
from portal.imports import work
from portal.imports.models import ImportReject
from portal.jobs import running, service
from portal.jobs.models import Job
from portal.kernel import clock
from portal.purchases.models import Purchase
from portal.wallets.models import LedgerTransaction, WalletAccount
from tests.cast import CAFE, CAROL, CIRCLE
from tests.imports.conftest import HEAD

ROWS = "".join(
    f"r-{n},C{n % 5},1997-01-{n % 28 + 1:02d},{'bad' if n % 17 == 0 else f'{n}.50'},RUB\n" for n in range(1, 61)
).encode()
FILE = HEAD.encode() + ROWS


class Killed(BaseException):
    """What a SIGKILL looks like from inside: nothing is cleaned up."""


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr(work, "MOST", 10)


def run_here(job_id):
    return running.run(job_id, None, lambda: io.BytesIO(FILE))


def later(monkeypatch):
    """More than a lease has passed."""
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + service.LEASE * 2)


def picture():
    db.session.rollback()
    return (
        db.session.execute(select(func.count(), func.sum(Purchase.amount), func.sum(Purchase.bonus_accrued))).one(),
        db.session.scalar(select(func.count()).select_from(LedgerTransaction)),
        sorted(db.session.scalars(select(WalletAccount.posted).where(WalletAccount.owner_kind == "member"))),
        sorted(db.session.scalars(select(ImportReject.line))),
    )


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("batch", range(6))
def test_killed_at_a_batch_and_taken_up_again(acting, monkeypatch, where, batch):
    real, calls = work._import_batch, []

    def dying(*args):
        calls.append(1)
        if len(calls) == batch + 1 and where == "before":
            raise Killed
        result = real(*args)
        if len(calls) == batch + 1:
            raise Killed
        return result

    with acting(CIRCLE, CAROL):
        job_id = service.start_here(work.KIND, business_id=CAFE.id)
        monkeypatch.setattr(work, "_import_batch", dying)
        with pytest.raises(Killed):
            run_here(job_id)
        assert run_here(job_id) == "left"  # the dead run still holds it
        later(monkeypatch)
        monkeypatch.setattr(work, "_import_batch", real)
        assert run_here(job_id) == "done"
        db.session.expire_all()
        job = db.session.scalars(select(Job).where(Job.id == job_id)).one()
        assert {k: job.result[k] for k in ("lines", "recorded", "repeated", "rejected", "members")} == {
            "lines": 60, "recorded": 57, "repeated": 0, "rejected": 3, "members": 5,
        }  # fmt: skip
        amounts = [n * 100 + 50 for n in range(1, 61) if n % 17]
        counts, postings, _, rejected = picture()
        assert counts == (57, sum(amounts), sum(a * 3 // 100 for a in amounts))
        assert (postings, rejected) == (57, [18, 35, 52])


def test_two_runs_of_one_job_never_write_together(acting, monkeypatch):
    """The first run stalled, the second took over; when the first wakes up it writes nothing more."""
    real = work._import_batch
    woken = []

    def stalling(*args):
        if not woken:
            woken.append(1)
            db.session.rollback()
            later(monkeypatch)
            assert run_here(job_id) == "done"
        return real(*args)

    with acting(CIRCLE, CAROL):
        job_id = service.start_here(work.KIND, business_id=CAFE.id)
        monkeypatch.setattr(work, "_import_batch", stalling)
        assert run_here(job_id) == "left"
        counts, postings, _, rejected = picture()
        assert (counts[0], postings, len(rejected)) == (57, 57, 3)


def test_a_cancelled_import_keeps_what_is_recorded(acting, monkeypatch):
    real = work._import_batch

    def asked(*args):
        result = real(*args)
        service.cancel(job_id)
        return result

    with acting(CIRCLE, CAROL):
        job_id = service.start_here(work.KIND, business_id=CAFE.id)
        monkeypatch.setattr(work, "_import_batch", asked)
        assert run_here(job_id) == "cancelled"
        db.session.expire_all()
        job = db.session.scalars(select(Job).where(Job.id == job_id)).one()
        assert (job.state, job.result["lines"]) == ("cancelled", 20)
        assert picture()[0][0] == 19
