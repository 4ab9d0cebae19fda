"""Postings as a command makes them, with their entry in the audit log, against the fewest statements that could do it."""

from collections.abc import Iterator
from functools import partial
from uuid import UUID, uuid4

from bench.crowd import crowd, pgbench, written
from bench.harness import Figure, compare, engines, seconds

NAMES = ("ledger.uniform", "ledger.hot", "ledger.batch")
MEMBERS, BATCH, ROUNDS = 2_000, 500, 20
BARE = """
CREATE SCHEMA bare;
CREATE TABLE bare.account (id bigint PRIMARY KEY, balance bigint NOT NULL DEFAULT 0, version bigint NOT NULL DEFAULT 0) WITH (fillfactor = 70);
CREATE TABLE bare.transfer (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payer bigint NOT NULL, payee bigint NOT NULL, amount bigint NOT NULL, at timestamptz NOT NULL DEFAULT now());
CREATE TABLE bare.entry (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, transfer_id bigint NOT NULL, account_id bigint NOT NULL, amount bigint NOT NULL);
INSERT INTO bare.account (id, balance) SELECT n, 1000000000 FROM generate_series(1, 100000) n;
"""
SIX = """
\\set payer random(1, 50000)
\\set payee {payee}
\\set amount random(1, 1000)
BEGIN;
INSERT INTO bare.transfer (payer, payee, amount) VALUES (:payer, :payee, (:amount)::bigint) RETURNING id AS made \\gset
INSERT INTO bare.entry (transfer_id, account_id, amount) VALUES (:made, :payer, -(:amount)::bigint), (:made, :payee, (:amount)::bigint);
UPDATE bare.account SET balance = balance - (:amount)::bigint, version = version + 1 WHERE id = :payer;
UPDATE bare.account SET balance = balance + (:amount)::bigint, version = version + 1 WHERE id = :payee;
COMMIT;
"""


def run(names: list[str]) -> Iterator[Figure]:
    from bench.world import World

    with engines() as var:
        world = World(members=MEMBERS, purse=10**9)
        world.owner(BARE)
        world.settle()
        uniform = written(var, "uniform.sql", SIX.format(payee="random(50001, 100000)"))
        hot = written(var, "hot.sql", SIX.format(payee="100000"))
        given = {"tenant_id": world.tenant_id, "members": world.members, "business_id": world.business_id}
        with crowd(poster, hot=False, **given) as some:
            if "ledger.uniform" in names:
                bare = partial(pgbench, world.admin_url, uniform)
                yield compare("ledger.uniform", some.rate, bare, bar=0.5)
            if "ledger.hot" in names:
                with crowd(poster, hot=True, **given) as all_to_one:
                    yield compare("ledger.hot", all_to_one.rate, some.rate, bar=0.8)
        if "ledger.batch" in names:
            bare = partial(pgbench, world.admin_url, hot)
            yield compare("ledger.batch", world.inside(batches(given)), bare, bar=4)


def poster(_n: int, tenant_id: UUID, members: list[UUID], business_id: UUID, hot: bool):
    """From one member's money to another's, or to the one business."""
    import random

    from bench.world import Standing
    from portal.wallets.service import Account, Act, Posting, posting_command

    standing = Standing(tenant_id)

    @posting_command("bench.post")
    def pay() -> Act:
        payer, payee = random.sample(members, 2)
        return Act(
            Posting(
                type="transfer", source="bench", external_id=str(uuid4()), currency="RUB", amount=random.randint(1, 1000),
                payer=Account.member(payer, "main"),
                payee=Account.payable(business_id) if hot else Account.member(payee, "main"),
            )
        )  # fmt: skip

    return lambda: standing.request(pay)


def batches(given):
    """Accruals of one business in batches, from one process: postings a second."""
    import random

    from portal.kernel import clock
    from portal.kernel.commands import command
    from portal.wallets.service import Accrual, post_batch

    @command("bench.batch")
    def accrue() -> None:
        rows = [
            Accrual(
                external_id=str(uuid4()), member_id=random.choice(given["members"]), amount=5, occurred_at=clock.now()
            )
            for _ in range(BATCH)
        ]
        post_batch(rows, currency="RUB", business_id=given["business_id"], source="bench")

    def rate() -> float:
        return BATCH * ROUNDS / seconds(lambda: [accrue() for _ in range(ROUNDS)])

    return rate
