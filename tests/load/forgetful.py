"""F3: Redis loses everything, and is not there at all. No business data is lost, and nobody guesses more often for it.

Sessions, tries at passwords and codes, the outbox and every balance are in PostgreSQL; Redis has queues, limits and wake-ups.
"""

import http.client
import time
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlencode
from uuid import uuid4

from redis import Redis

from portal.identity.failures import ALLOWED
from tests import cast
from tests.load.driver import Driver
from tests.load.proof import Row
from tests.load.world import World, acting, signed_in

NAMES = ("F3",)
LEASE_S = 5
TOO_MANY = 429


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    with World.own(members=16, OUTBOX_LEASE_S=str(LEASE_S)) as world:
        yield forgotten(world, restarts=50 if full else 2, absences=5 if full else 1, away_s=30.0 if full else 2.0)


def forgotten(world: World, *, restarts: int, absences: int, away_s: float) -> Row:
    """F3: `restarts` losses in turn, by FLUSHALL and by SIGKILL, and so many absences under writes.

    `world` may have Redis from the test run: then it is only emptied.
    """
    world.web(workers=2)
    world.relay()
    world.pool("fast", 2)
    world.cron()
    engine, wrong, guessed = world.engines.get("valkey"), [], 0
    own = world.counters[0]
    cookie = {"Cookie": f"sid={own.cookie}"}
    guesser = Guesser(world)
    code = _code_with_four_wrong_tries(world)
    with Driver(world, processes=2, threads=3, pause=0.05) as driver:
        driver.wait(20)
        for n in range(restarts):
            if engine is None or n % 2:
                Redis.from_url(world.env["REDIS_URL"]).flushdb()
            else:
                engine.restart()
            driver.wait(driver.done + 10)
            guessed += guesser.guess()
        for _ in range(absences if engine else 0):
            engine.kill()
            end, writes = time.monotonic() + away_s, driver.done
            while time.monotonic() < end or driver.done < writes + 10:
                status, body = world.get("/me", headers=cookie)
                wrong += [] if status == 200 else [f"one's own page without Redis: {status} {body[:80]!r}"]
                guessed += guesser.guess()
            engine.start()
        guessed += sum(guesser.guess() for _ in range(ALLOWED + 2))
    wrong += [] if guesser.let_through == ALLOWED else [f"{guesser.let_through} guesses were looked at, not {ALLOWED}"]
    wrong += guesser.odd
    tries = world.one("SELECT count(*) FROM otp_attempts WHERE subject_id = %s", code)
    wrong += [] if tries == 4 else [f"{tries} tries at a code are left of four"]
    world.drain()
    wrong += driver.compare()
    answers = driver.answers
    for line in wrong[:20]:
        print(f"F3: {line}", flush=True)
    if wrong or answers.errors:
        print(world.crashes(), flush=True)
    return world.checked(
        Row(
            "F3",
            f"Redis lost everything {restarts} times, by FLUSHALL and kill -9, and was away {absences if engine else 0} times for"
            f" {away_s:.0f} s, under writes and guesses at a password",
            answers.writes + guessed,
            len(wrong) + len(answers.unresolved) + sum(answers.errors.values()),
            f"{answers.writes} writes, 5xx {dict(answers.errors)}, slowest answer {answers.slowest:.1f} s; {guesser.let_through} of {guessed}"
            " guesses were looked at",
        )
    )


class Guesser:
    """Somebody at the door who does not know the password; each guess is a browser of its own."""

    def __init__(self, world: World) -> None:
        self.world, self.let_through, self.odd = world, 0, []
        self.cookie, self.token = signed_in(world.app, cast.EVE)

    def guess(self) -> int:
        with self.world.admin() as connection:  # five minutes are not over, however slow the machine is
            connection.execute(
                "UPDATE login_failures SET at = clock_timestamp() WHERE at < clock_timestamp() - interval '1 minute'"
            )
        connection = http.client.HTTPConnection("127.0.0.1", self.world.port, timeout=30)
        form = urlencode({"email": cast.ALICE.email, "password": f"guess {uuid4()}", "csrf_token": self.token})
        headers = {
            "Host": cast.CIRCLE.host, "Cookie": f"sid={self.cookie}", "X-CSRFToken": self.token,
            "Content-Type": "application/x-www-form-urlencoded",
        }  # fmt: skip
        try:
            connection.request("POST", "/login", form, headers)
            status = connection.getresponse().status
        finally:
            connection.close()
        self.let_through += status == 422
        if status not in (422, TOO_MANY):
            self.odd.append(f"a guess was answered {status}")
        return 1


def _code_with_four_wrong_tries(world: World):
    """A code on Alice's phone, at which the till has guessed four times."""
    from portal.purchases import confirmations
    from portal.purchases.service import record_purchase

    with acting(world.app, cast.BOB):
        code = confirmations.request_code(cast.CAFE.id, cast.ALICE.id, 1_000, "RUB")
    before = world.one("SELECT spend_confirmation FROM businesses WHERE id = %s", cast.CAFE.id)
    world.one("UPDATE businesses SET spend_confirmation = 'code' WHERE id = %s RETURNING 1", cast.CAFE.id)
    with acting(world.app, cast.BOB):
        for _ in range(4):
            with suppress(confirmations.CodeWrong):
                record_purchase(
                    business_id=cast.CAFE.id, member_id=cast.ALICE.id, amount=10_000, external_id=str(uuid4()),
                    bonus_to_spend=100, confirmed_by="code:x", source="till",
                )  # fmt: skip
    world.one("UPDATE businesses SET spend_confirmation = %s WHERE id = %s RETURNING 1", before, cast.CAFE.id)
    return code
