"""`portal import purchases`, as it is typed; and five hundred lines like CDNOW's."""

import random
import threading

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from portal.cli import imports as command_line
from portal.identity.models import User
from portal.kernel.tenancy import tenant_scope
from portal.purchases.models import Purchase
from portal.wallets.models import WalletAccount
from tests.cast import ALICE, CAFE, CIRCLE, EVE
from tests.imports.conftest import HEAD


def excerpt(seed=1997, rows=500):
    """Lines in the form of CDNOW's: some of zero, some people once, some often."""
    made = random.Random(seed)
    amounts = [0 if made.random() < 0.01 else made.randrange(99, 20_000) for _ in range(rows)]
    lines = [
        f"cdnow-{n},C{made.randrange(1, 170):05d},1997-{made.randrange(1, 13):02d}-{made.randrange(1, 29):02d},{a / 100:.2f},RUB"
        for n, a in enumerate(amounts, 1)
    ]
    return HEAD + "\n".join(lines) + "\n", amounts, {line.split(",")[1] for line in lines}


@pytest.fixture
def portal(app, monkeypatch):
    monkeypatch.setattr(command_line, "application", lambda: app)

    def portal(*arguments, **more):
        return CliRunner().invoke(
            command_line.import_, ["purchases", *map(str, arguments), "--tenant", "circle"], **more
        )

    return portal


def test_five_hundred_lines_to_the_kopeck(portal, tmp_path, seen_by):
    text, amounts, people = excerpt()
    file = tmp_path / "history.csv"
    file.write_text(text)
    first = portal(file, "--business", "cafe")
    assert first.exit_code == 0, first.output
    assert f"500 purchases recorded, 0 known already, {len(people)} members created, 0 lines rejected" in first.output
    second = portal(file, "--business", "cafe")
    assert "0 purchases recorded, 500 known already, 0 members created, 0 lines rejected" in second.output
    with seen_by(CIRCLE) as session:
        assert session.execute(select(func.count(), func.sum(Purchase.amount), func.count(Purchase.member_id.distinct()))).one() == (
            500, sum(amounts), len(people),
        )  # fmt: skip
        bonus = sum(a * 3 // 100 for a in amounts)
        assert session.scalar(select(func.sum(Purchase.bonus_accrued))) == bonus
        held = select(func.sum(WalletAccount.posted)).where(WalletAccount.owner_kind == "member")
        assert session.scalar(held) == bonus


def test_what_is_piped_in_and_where_the_rejected_lines_go(portal, tmp_path):
    rejects = tmp_path / "rejects.csv"
    answer = portal(
        "-", "--business", "cafe", "--rejects", rejects, input=HEAD + "1,C1,1997-01-01,1.00,RUB\n2,C1,never,1.00,RUB\n"
    )
    assert answer.exit_code == 1
    assert "1 purchases recorded" in answer.output and str(rejects) in answer.output
    assert "never" in rejects.read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--business", "nowhere"), "circle has no business nowhere"),
        (("--business", "cafe", "--tenant", "nobody"), "there is no tenant nobody"),
    ],
)
def test_wrong_names_are_told(portal, app, tmp_path, arguments, told):
    file = tmp_path / "x.csv"
    file.write_text(HEAD)
    answer = CliRunner().invoke(
        command_line.import_,
        ["purchases", str(file), *(("--tenant", "circle") if "--tenant" not in arguments else ()), *arguments],
    )
    assert answer.exit_code == 1
    assert told in answer.output


def test_a_file_without_columns_is_told(portal, tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("what,is,this\n1,2,3\n")
    answer = portal(file, "--business", "cafe")
    assert answer.exit_code == 1
    assert "The first line must name the columns" in answer.output


def test_a_suspended_members_sales_are_rejected_with_the_reason(bring, acting, reasons):
    from portal.identity.service import suspend

    with acting(CIRCLE):
        suspend(ALICE.id, reason="left the community")
    job = bring(f"{HEAD}1,{ALICE.card},1997-01-01,1.00,RUB\n2,{EVE.card},1997-01-01,1.00,RUB\n")
    assert job.result["recorded"] == 1
    assert "left the community" in reasons(job)[2]


@pytest.mark.commits
def test_a_till_that_is_faster_with_the_same_number_wins_and_nothing_is_doubled(
    app, bring, monkeypatch, reasons, seen_by
):
    """Red when `Overtaken` is not raised: the bonus is then posted for a purchase that was not written."""
    from portal.purchases import batch
    from portal.purchases.service import record_purchase

    real, once = batch.post_batch, []

    def late(*arguments, **more):
        if not once:
            once.append(1)
            thread = threading.Thread(target=_sell)
            thread.start()
            thread.join()
        return real(*arguments, **more)

    def _sell():
        from flask import g

        from portal.tenants.hosts import tenant_by_id

        with app.app_context(), tenant_scope(CIRCLE.id):
            g.tenant = tenant_by_id(CIRCLE.id)
            record_purchase(business_id=CAFE.id, member_id=EVE.id, amount=700, external_id="same", source="till")

    monkeypatch.setattr(batch, "post_batch", late)
    job = bring(f"{HEAD}same,{ALICE.card},1997-01-01,5.00,RUB\nother,{ALICE.card},1997-01-01,5.00,RUB\n")
    assert (job.result["recorded"], job.result["rejected"]) == (1, 1)
    assert "member_id" in reasons(job)[2]
    with seen_by(CIRCLE) as session:
        sold = dict(
            session.execute(select(Purchase.external_id, User.name).join(User, User.id == Purchase.member_id)).all()
        )
        assert sold == {"same": EVE.name, "other": ALICE.name}
        bonus = select(func.sum(WalletAccount.posted)).where(WalletAccount.owner_kind == "member")
        assert session.scalar(bonus) == session.scalar(select(func.sum(Purchase.bonus_accrued))) == 21 + 15
