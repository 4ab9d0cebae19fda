"""Races: 64 callers of 4 processes, let go together by a barrier, against one PostgreSQL.

Each round has members and keys of its own; what the callers were told is counted, and after the last round the invariants.
What each guard looks like when it is missing is told where the short tests saw it: tests/wallets/test_ledger_races.py (R5, R6,
R7) and tests/purchases/test_races.py (refunds).
"""

import multiprocessing
import threading
from collections import Counter as Tally
from collections.abc import Callable, Iterator
from functools import partial
from uuid import UUID, uuid4

from tests import cast
from tests.load.driver import WAIT
from tests.load.proof import Row
from tests.load.world import World, acting

NAMES = ("R5", "R6", "R7", "RR1", "RR2", "RR3")
Job = tuple[str, tuple]  # the name of one of DEEDS, and what it is called with
Round = Callable[["Table", int], tuple[list[Job], Callable[[Tally], list[str]]]]


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    with World.own(members=4) as world, Callers(world, processes=4, threads=16 if full else 4) as callers:
        yield from rows(world, callers, names, rounds=200 if full else 3, races=RACES)


def rows(
    world: World, callers: "Callers", names: tuple[str, ...], *, rounds: int, races: dict[str, tuple[str, Round]]
) -> Iterator[Row]:
    table = Table(world, callers.number)
    for name in names:
        what, make = races[name]
        told, wrong = Tally(), []
        for n in range(rounds):
            jobs, judge = make(table, n)
            answers = Tally(callers.together(jobs))
            wrong += judge(answers)
            told += answers
        for difference in wrong[:20]:
            print(f"{name}: {difference}", flush=True)
        heard = ", ".join(f"{count:,} {answer}" for answer, count in told.most_common())
        yield world.checked(
            Row(
                name, f"{what}; {rounds} rounds of {callers.number} callers", rounds * callers.number, len(wrong), heard
            ),
            drained=False,
        )


class Callers:
    """Processes with threads, each with the portal in it; `together` lets all of them go at one moment.

    `deeds` is the module whose DEEDS they do.
    """

    def __init__(self, world: World, *, processes: int, threads: int, deeds: str = __name__) -> None:
        self.number = processes * threads
        context = multiprocessing.get_context("spawn")
        barrier = context.Barrier(self.number)
        self._pipes, self._processes = [], []
        for _ in range(processes):
            ours, theirs = context.Pipe()
            process = context.Process(target=_process, args=(world.env, threads, barrier, theirs, deeds), daemon=True)
            process.start()
            self._pipes.append(ours)
            self._processes.append(process)
        for pipe in self._pipes:
            if pipe.recv() != "ready":
                raise AssertionError("a process of callers did not start")

    def together(self, jobs: list[Job]) -> list[str]:
        """What each was told: `ok`, or the code of the refusal, or the name of an exception."""
        share = len(jobs) // len(self._pipes)
        for n, pipe in enumerate(self._pipes):
            pipe.send(jobs[n * share : (n + 1) * share])
        return [answer for pipe in self._pipes for answer in pipe.recv()]

    def __enter__(self) -> "Callers":  # noqa: PYI034
        return self

    def __exit__(self, *_: object) -> None:
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.send(None)
            process.join(20)
            process.kill()
            process.join()


def _process(env: dict[str, str], threads: int, barrier, pipe, deeds: str) -> None:
    import os
    from importlib import import_module

    os.environ.update(env, DB_POOL_SIZE=str(threads))
    from portal import create_app

    app, known = create_app(), import_module(deeds).DEEDS
    pipe.send("ready")
    while (jobs := pipe.recv()) is not None:
        answers = [""] * len(jobs)

        def call(n: int, job: Job, answers: list[str] = answers) -> None:
            deed, arguments = known[job[0]], job[1]
            barrier.wait(60)
            answers[n] = _told(app, deed, arguments)

        running = [threading.Thread(target=call, args=(n, job)) for n, job in enumerate(jobs)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
        pipe.send(answers)


def _told(app, deed, arguments) -> str:
    from psycopg.errors import LockNotAvailable
    from sqlalchemy.exc import OperationalError

    from portal.kernel.errors import PortalError

    try:
        return deed(app, *arguments) or "ok"
    except PortalError as refused:
        return refused.code
    except OperationalError as busy:  # five seconds of waiting for the member's row: a 503 with Retry-After (D23)
        return "busy" if isinstance(busy.orig, LockNotAvailable) else f"OperationalError: {busy.orig}"
    except Exception as broken:
        return f"{type(broken).__name__}: {str(broken)[:120]}"


# what the callers do


def withdraw(app, member: str, amount: int, key: str) -> None:
    from portal.wallets.service import adjust

    with acting(app):
        adjust(UUID(member), -amount, currency="RUB", reason="race", key=key)


def transfer(app, giver: str, taker: str, amount: int, key: str) -> None:
    from portal.kernel.commands import command
    from portal.wallets.service import Account, Posting, post

    @command("test.transfer")
    def move() -> None:
        post(
            Posting(
                type="transfer", source="race", external_id=key, currency="RUB", amount=amount,
                payer=Account.member(UUID(giver)), payee=Account.member(UUID(taker)),
            )
        )  # fmt: skip

    with acting(app):
        move()


def call(app, path: str, key: str, body: dict, api_key: str) -> str:
    from portal.kernel.redis import redis

    headers = {"Authorization": f"Bearer {api_key}", "Idempotency-Key": key}
    post = partial(app.test_client().post, path, json=body, headers=headers, base_url=f"http://{cast.CIRCLE.host}:8000")
    while (answer := post()).status_code == WAIT:  # sixty a minute and a key: the count is wiped, as if they had waited
        redis().flushdb()
    if answer.status_code in (200, 201):
        return f"{answer.status_code} {answer.json['id']}"
    return f"{answer.status_code} {answer.json.get('code')}"


def buy(app, member: str, amount: int, key: str, spend: int = 0) -> None:
    from portal.purchases.service import record_purchase

    with acting(app, cast.BOB):
        record_purchase(
            business_id=cast.CAFE.id,
            member_id=UUID(member),
            amount=amount,
            external_id=key,
            source="till",
            bonus_to_spend=spend,
        )


def refund(app, purchase: str, key: str) -> None:
    from portal.purchases.refunds import refund_purchase

    with acting(app, cast.CAROL):
        refund_purchase(UUID(purchase), external_id=key)


def undo(app, purchase: str, key: str) -> None:
    from portal.purchases.refunds import undo_purchase

    with acting(app, cast.CAROL):
        undo_purchase(UUID(purchase), reason="amount", key=key)


DEEDS = {deed.__name__: deed for deed in (withdraw, transfer, call, buy, refund, undo)}


class Table:
    """Members and purchases for a round, made before it."""

    def __init__(self, world: World, callers: int) -> None:
        self.world, self.callers = world, callers

    def members(self, count: int = 1) -> list[str]:
        from portal.identity.batch import Newcomer, register_members
        from portal.kernel import clock

        with acting(self.world.app):
            return [str(i) for i in register_members([Newcomer("Racer", clock.now())] * count, joined_via="demo")]

    def give(self, member: str, amount: int) -> None:
        from portal.wallets.service import adjust

        with acting(self.world.app):
            adjust(UUID(member), amount, currency="RUB", reason="race", key=f"give-{uuid4()}")

    def sale(self, member: str, amount: int = 100_000) -> str:
        key = f"race-{uuid4()}"
        buy(self.world.app, member, amount, key)
        return str(self.world.one("SELECT id FROM purchases WHERE external_id = %s", key))

    def balance(self, member: str) -> int:
        return self.world.one(
            "SELECT coalesce(sum(posted), 0)::bigint FROM wallet_accounts WHERE owner_id = %s AND type = 'bonus'",
            UUID(member),
        )

    def key(self) -> str:
        from portal.partners.keys import create_key

        with acting(self.world.app):
            return create_key(cast.CAFE.id, "Race")[1]

    def card(self, member: str) -> str:
        return self.world.one("SELECT card_number FROM users WHERE id = %s", UUID(member))

    def sum(self, statement: str, key: str) -> int:
        return self.world.one(statement, UUID(key))


def _expect(answers: Tally, **expected: int) -> list[str]:
    said = {name.replace("__", "."): count for name, count in expected.items() if count}
    return [] if dict(answers) == said else [f"expected {said}, got {dict(answers)}"]


def r5(table: Table, n: int):
    """A wallet of ten times what each wants."""
    member = table.members()[0]
    table.give(member, 100)
    jobs = [("withdraw", (member, 10, f"r5-{uuid4()}")) for _ in range(table.callers)]

    def judge(answers: Tally) -> list[str]:
        left = table.balance(member)
        return _expect(answers, ok=10, txn__insufficient_funds=table.callers - 10) + ([f"{left} left"] if left else [])

    return jobs, judge


def r6(table: Table, n: int):
    """Half give to the other half's giver."""
    first, second = table.members(2)
    for member in (first, second):
        table.give(member, 1_000)
    pairs = [(first, second), (second, first)]
    jobs = [("transfer", (*pairs[c % 2], 7, f"r6-{uuid4()}")) for c in range(table.callers)]

    def judge(answers: Tally) -> list[str]:
        kept = [table.balance(first), table.balance(second)]
        return _expect(answers, ok=table.callers) + ([] if kept == [1_000, 1_000] else [f"balances {kept}"])

    return jobs, judge


def r7(table: Table, n: int):
    """One sale under one key, from everybody."""
    member, key, api_key = table.members()[0], f"r7-{uuid4()}", table.key()  # calls are counted by API key
    body = {"external_id": key, "member": table.card(member), "amount": "1240.00", "currency": "RUB"}
    jobs = [("call", ("/api/v1/purchases", key, body, api_key)) for _ in range(table.callers)]

    def judge(answers: Tally) -> list[str]:
        made = {a: c for a, c in answers.items() if a.startswith("201 ")}
        same = {a for a in answers if a.startswith("20")}
        other = {a: c for a, c in answers.items() if not a.startswith("20") and not a.startswith(("409 ", "503 "))}
        kept = table.world.one("SELECT count(*) FROM purchases WHERE external_id = %s", key)
        good = list(made.values()) == [1] and len({a.partition(" ")[2] for a in same}) == 1 and not other and kept == 1
        found = [] if good else [f"{dict(answers)}, kept {kept} times"]
        for answer in same:  # ids of one round are noise in the note
            answers[f"{answer[:3]} answers"] += answers.pop(answer)
        return found

    return jobs, judge


def _refunds_of(table: Table, purchase: str) -> list[str]:
    row = "SELECT refunded_total - amount FROM purchases WHERE id = %s"
    count = "SELECT count(*) FROM purchase_refunds WHERE purchase_id = %s"
    off, refunds = table.sum(row, purchase), table.sum(count, purchase)
    return [] if (off, refunds) == (0, 1) else [f"{refunds} refunds, off by {off}"]


def two_refunds(table: Table, n: int):
    """Everybody gives the whole sale back, each under a key of its own."""
    purchase = table.sale(table.members()[0])
    jobs = [("refund", (purchase, f"rr-{uuid4()}")) for _ in range(table.callers)]
    return (
        jobs,
        lambda answers: _expect(answers, ok=1, refund__exceeds=table.callers - 1) + _refunds_of(table, purchase),
    )


def refund_and_undo(table: Table, n: int):
    """Half give it back, half undo it."""
    purchase = table.sale(table.members()[0])
    jobs = [(("refund", "undo")[c % 2], (purchase, f"rr-{uuid4()}")) for c in range(table.callers)]

    def judge(answers: Tally) -> list[str]:
        refused = answers["refund.exceeds"] + answers["refund.undo_refused"]
        good = answers["ok"] == 1 and refused == table.callers - 1
        return ([] if good else [f"{dict(answers)}"]) + _refunds_of(table, purchase)

    return jobs, judge


def refund_and_spend(table: Table, n: int):
    """One sale is given back while its bonus is spent: what was spent is not taken too, and nothing is spent twice."""
    member = table.members()[0]
    purchase = table.sale(member)  # 3 % of 1000.00: 30.00 of bonus
    spends = [("buy", (member, 2_000, f"rs-{uuid4()}", 1_000)) for _ in range(table.callers - 1)]
    jobs = [*spends[: len(spends) // 2], ("refund", (purchase, f"rr-{uuid4()}")), *spends[len(spends) // 2 :]]

    def judge(answers: Tally) -> list[str]:
        spent = "SELECT coalesce(sum(paid_with_bonus), 0)::bigint FROM purchases WHERE member_id = %s"
        earned = "SELECT coalesce(sum(bonus_accrued), 0)::bigint FROM purchases WHERE member_id = %s"
        taken = "SELECT bonus_taken_back FROM purchases WHERE id = %s"
        left = table.sum(earned, member) - table.sum(spent, member) - table.sum(taken, purchase)
        good = (
            answers["ok"] >= 1 and answers["ok"] + answers["txn.insufficient_funds"] + answers["busy"] == table.callers
        )
        found = [] if good else [f"{dict(answers)}"]
        kept = table.balance(member)
        return found + ([] if kept == left >= 0 else [f"{kept} kept, {left} are left"]) + _refunds_of(table, purchase)

    return jobs, judge


RACES: dict[str, tuple[str, Round]] = {
    "R5": ("a wallet of 100, everybody withdraws 10: ten succeed", r5),
    "R6": ("crossed transfers of 7 between two wallets: all succeed, no deadlock seen", r6),
    "R7": ("one Idempotency-Key from everybody: one effect, one answer", r7),
    "RR1": ("full refunds of one sale under keys of their own: one succeeds", two_refunds),
    "RR2": ("refunds and undos of one sale: one succeeds", refund_and_undo),
    "RR3": ("a refund while its bonus is spent: nothing twice, no balance below zero", refund_and_spend),
}
