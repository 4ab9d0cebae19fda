"""What is done again and again; each is harmless when done twice (style.md 21, D36)."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from flask import g
from rq.timeouts import BaseTimeoutException
from sqlalchemy.dialects.postgresql import insert

from portal.extensions import db
from portal.identity.sessions import acting_as
from portal.kernel import clock, primaries
from portal.kernel.commands import command, journal
from portal.kernel.tenancy import tenant_scope
from portal.tenants.hosts import tenant_by_id, tenants_that_answer
from portal.tenants.models import TaskRun
from workers.schedule import LOCAL
from workers.tasks import Queue, task

_FORGET = "SELECT maintenance.forget_delivered(%s, %s)"
KEPT = timedelta(days=14)  # delivered messages (D13)
CLEANED_AT_ONCE, CLEANINGS = 5000, 200
RECENT = timedelta(days=2)
log = logging.getLogger(__name__)


def each_tenant(work: Callable[[], object]) -> None:
    """Do the work for every tenant, each in its own session; one that fails is raised when all had their turn."""
    tenants, down = tenants_that_answer()
    for tenant_id, _ in tenants:
        try:
            with tenant_scope(tenant_id), acting_as(None, "system"):
                g.tenant = tenant_by_id(tenant_id)
                work()
        except BaseTimeoutException:
            raise
        except Exception as error:
            log.exception("tenant %s", tenant_id)
            down = down or error
    if down:
        raise down


@task(Queue.FAST, name="audit.seal", timeout=120)
def seal() -> None:
    """Seal what was written to the audit logs (D20)."""
    from portal.audit.seals import seal as seal_some

    each_tenant(lambda: _until_done(seal_some))


@task(Queue.FAST, name="wallets.seal", timeout=120)
def seal_ledgers() -> None:
    """Seal what was posted to the ledgers (WAL-9)."""
    from portal.wallets.seals import seal as seal_some

    each_tenant(lambda: _until_done(seal_some))


@task(Queue.FAST, name="wallets.fold", timeout=60)
def fold() -> None:
    """Checkpoints of lazy accounts (D19)."""
    from portal.wallets.service import fold_lazy

    each_tenant(fold_lazy)


@task(Queue.FAST, name="wallets.sweep", timeout=120)
def sweep() -> None:
    """Activate and expire lots whose moment has come (D14, LOY-5)."""
    from portal.wallets.service import activate_due, expire_due

    each_tenant(lambda: _until_done(activate_due))
    each_tenant(lambda: _until_done(expire_due))


@task(Queue.FAST, name="jobs.revive", timeout=60)
def revive() -> None:
    """Long work whose process died is queued again."""
    from portal.jobs.service import revive_lost

    each_tenant(revive_lost)


@task(Queue.LONG, name="local.run_due", timeout=3600)
def run_due_local_tasks() -> None:
    """Tasks of a local hour: due when it has struck and nobody has claimed the local date (D36)."""
    each_tenant(_local)


def _local() -> None:
    now = clock.now().astimezone(ZoneInfo(g.tenant.timezone))
    for name, hour in LOCAL.items():
        if now.hour >= hour and _claim(name, now):
            LOCAL_WORK[name]()


@command("task.claim")
def _claim(name: str, now: datetime) -> bool:
    """Whether this process is the one to do it today."""
    row = insert(TaskRun).values(tenant_id=g.tenant_id, task=name, local_date=now.date().isoformat())
    journal().unchanged()
    return db.session.scalar(row.on_conflict_do_nothing().returning(TaskRun.id)) is not None


@task(Queue.LONG, name="analytics.reconcile_recent", timeout=600)
def reconcile_recent() -> None:
    """The last days, PostgreSQL against ClickHouse; what differs is shipped again (ANA-7)."""
    from portal.analytics.reconcile import repair

    each_tenant(lambda: repair(since=(clock.now() - RECENT).date()))


@task(Queue.FAST, name="outbox.clean", timeout=120)
def clean() -> None:
    """Forget what was delivered long ago, in batches, never a dead letter (D13)."""
    down: Exception | None = None
    for primary in primaries.names():
        try:
            with primaries.connect("portal_relay", primary, autocommit=True) as connection:
                for _ in range(CLEANINGS):
                    row = connection.execute(_FORGET, (KEPT, CLEANED_AT_ONCE)).fetchone()
                    if not row or row[0] == 0:
                        break
        except psycopg.OperationalError as error:
            down = error
    if down:
        raise down


@task(Queue.FAST, name="tenants.finish_opening", timeout=60)
def finish_opening() -> None:
    """Tenants whose opening a process did not live to end."""
    from portal.tenants.start import finish, left_open

    for tenant_id in left_open():
        with acting_as(None, "system"):
            finish(tenant_id)


@task(Queue.FAST, name="codes.forget", timeout=60)
def forget_codes() -> None:
    """One-time codes, links and invitations whose time is long over."""
    from portal.identity import codes
    from portal.invitations import service as invitations

    each_tenant(codes.forget_old)
    each_tenant(invitations.forget_old)


@task(Queue.FAST, name="telegram.forget", timeout=60)
def forget_telegram() -> None:
    """What has let somebody in by Telegram, links that ended, old talks with the bot."""
    from portal.telegram.service import forget_old

    each_tenant(forget_old)


def _until_done(step: Callable[[], int]) -> None:
    while step():
        pass


def _tiers() -> None:
    from portal.loyalty.service import recheck_due_tiers

    recheck_due_tiers()


def _reconcile() -> Any:
    from portal.analytics.reconcile import repair

    return repair()


def _sign() -> Any:
    from portal.audit.seals import sign

    return sign()


def _verifications() -> None:
    from portal.kyc.service import expire_due

    _until_done(expire_due)


def _senders() -> None:
    from portal.tenants.domains import recheck, sender

    recheck(sender())


@task(Queue.FAST, name="kyc.purge", timeout=300)
def purge_verifications() -> None:
    """Documents whose time after the decision is over (KYC-1)."""
    from portal.kyc.service import purge_due

    each_tenant(lambda: _until_done(purge_due))


LOCAL_WORK: dict[str, Callable[[], Any]] = {
    "loyalty.recheck_tiers": _tiers,
    "analytics.reconcile": _reconcile,
    "audit.sign": _sign,
    "kyc.expire": _verifications,
    "domains.recheck": _senders,
}
