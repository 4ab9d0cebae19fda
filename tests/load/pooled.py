"""T2: requests of two tenants over one small pool of connections, many of them broken in the middle.

Whatever a request did to its connection, the next one sees its own tenant's rows and no other's; a connection that leaves
the pool acts for nobody. The same through pgbouncer, where not even the connection is one's own.

Seen red: `set_config(…, false)` in portal/kernel/tenancy.py, so that the tenant outlives a transaction that commits.
"""

import http.client
import json
import random
import socket
import threading
from collections import Counter as Tally
from collections.abc import Iterator
from dataclasses import replace

from tests import cast
from tests.load import bouncer
from tests.load.driver import Driver
from tests.load.faulty import FAULTS
from tests.load.proof import Row
from tests.load.world import World

NAMES = ("T2", "T2 pgbouncer")
THREADS = 12
FAULTY = [fault.__name__ for fault in FAULTS]
KINDS = {"faulty": 70, "page": 15, "stranger's cookie": 8, "hang up": 7}
CUTS = 2  # of a hundred faults: a connection's end costs the pool a new one


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    with World.own(members=12) as world:
        for name in names:
            if name == "T2":
                yield alternating(world, requests=10_000 if full else 400)
            elif bouncer.found():
                with bouncer.in_front(world) as env:
                    row = alternating(world, requests=10_000 if full else 400, **env)
                    yield _and_everything_else(world, replace(row, name=name), env, writes=2_000 if full else 60)
            else:
                yield Row(name, "left out", 0, 0, "pgbouncer is not installed")


def alternating(world: World, *, requests: int, **env: str) -> Row:
    """`requests` of two tenants in turn over a pool of 5, with exceptions, timeouts, cancels and cut connections among them."""
    tainted = world.var / "tainted"
    tainted.unlink(missing_ok=True)
    with world.admin() as connection:
        counts = dict(connection.execute("SELECT tenant_id::text, count(*) FROM users GROUP BY 1").fetchall())
    web = world.web(
        app="tests.load.faulty:app", workers=1, threads=THREADS, DB_POOL_SIZE="5", TAINTED=str(tainted), LOG_LEVEL="CRITICAL", **env
    )  # fmt: skip
    lock, told, wrong, left = threading.Lock(), Tally(), [], iter(range(requests))

    def work(n: int) -> None:
        chance, caller = random.Random(n), _Caller(world, counts)
        while True:
            with lock:
                turn = next(left, None)
            if turn is None:
                caller.connection.close()
                return
            kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
            how = "cut" if chance.random() * 100 < CUTS else chance.choice(FAULTY[:-1])
            status, difference = caller.call(turn % 2, kind, how)
            with lock:
                told[status] += 1
                if difference:
                    wrong.append(f"{kind} {how}: {difference}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.end(web)
    with world.admin() as connection:
        after = dict(connection.execute("SELECT tenant_id::text, count(*) FROM users GROUP BY 1").fetchall())
        half = connection.execute("SELECT count(*) FROM users WHERE name LIKE '%!'").fetchone()[0]
    if after != counts or half:
        wrong.append(f"users before {counts}, after {after}, {half} half written")
    acting = tainted.read_text().splitlines() if tainted.exists() else []
    wrong += [f"a connection left the pool acting for {tenant}" for tenant in acting]
    for line in wrong[:20]:
        print(line, flush=True)
    return Row(
        "T2",
        "requests of two tenants in turn over a pool of 5, most of them broken in the middle",
        requests,
        len(wrong),
        "answers " + ", ".join(f"{n}× {status or 'none'}" for status, n in sorted(told.items())),
    )


class _Caller:
    """One thread's connection to the web; both tenants' requests go over it in turn."""

    def __init__(self, world: World, counts: dict[str, int]) -> None:
        self.world, self.counts = world, counts
        self.connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=60)

    def call(self, turn: int, kind: str, how: str) -> tuple[int, str]:
        """Status, and what is wrong with the answer."""
        own, other = self.world.counters[turn], self.world.counters[1 - turn]
        if kind == "hang up":
            return self.hang_up(own.host)
        if kind == "faulty":
            status, headers, _ = self.get(own, f"/faulty?how={how}", own.cookie if how == "plain" else "")
            rows = json.loads(headers.get("X-Rows") or "{}")
            if status == 503 and not rows:  # the pool was empty for too long
                return status, ""
            right = {own.tenant_id: self.counts[own.tenant_id]}
            return status, "" if rows == right else f"{status}, saw {rows} instead of {right}"
        if kind == "page":
            status, _, body = self.get(own, "/me", own.cookie)
            mine, theirs = (cast.CIRCLE.name, cast.GLOBEX.name)[:: 1 if turn == 0 else -1]
            good = status == 503 or (status == 200 and mine in body and theirs not in body)
            return status, "" if good else f"{status}, {mine}: {mine in body}, {theirs}: {theirs in body}"
        status, headers, body = self.get(own, "/me", other.cookie)
        good = status == 503 or (status == 303 and "/login" in headers.get("Location", ""))
        return status, "" if good else f"{status} to a cookie of {other.host} on {own.host}"

    def get(self, counter, path: str, cookie: str):
        headers = {"Host": f"{counter.host}:{self.world.port}", **({"Cookie": f"sid={cookie}"} if cookie else {})}
        try:
            self.connection.request("GET", path, headers=headers)
            answer = self.connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            return 0, {}, ""

    def hang_up(self, host: str) -> tuple[int, str]:
        """Ask, and go before the answer."""
        with socket.create_connection(("127.0.0.1", self.world.port)) as gone:
            gone.sendall(f"GET /me HTTP/1.1\r\nHost: {host}\r\nCookie: sid=x\r\n\r\n".encode())
        return 0, ""


def _and_everything_else(world: World, row: Row, env: dict[str, str], *, writes: int) -> Row:
    """Tills, a relay, workers, cron and an import through pgbouncer: the books are right at the end."""
    processes = [
        world.web(workers=2, **env),
        world.relay(**env),
        world.pool("fast", 2, **env),
        world.pool("long", 1, **env),
    ]
    processes.append(world.cron(**env))
    before = dict(world.env)
    world.env.update(env)
    try:
        with Driver(world, processes=2, threads=4) as driver:
            history = world.var / "history.csv"
            lines = [
                f"old-{n},C{n % 90:05d},1997-{n % 12 + 1:02d}-{n % 28 + 1:02d},{n % 200 + 1}.50,RUB"
                for n in range(1_500)
            ]
            history.write_text("external_id,member_ref,purchased_at,amount,currency\n" + "\n".join(lines) + "\n")
            imported = world.portal("import", "purchases", str(history), "--tenant", "circle", "--business", "books")
            driver.wait(writes)
        world.drain()
        wrong = driver.compare() + ([imported.stdout + imported.stderr] if imported.returncode else [])
        healthy = world.portal("doctor")
        wrong += [healthy.stdout + healthy.stderr] if healthy.returncode else []
        for line in wrong[:20]:
            print(line, flush=True)
        answers = driver.answers
        row = replace(
            row,
            what=f"{row.what}; then {answers.writes} writes, an import, relay, workers and cron",
            cases=row.cases + answers.writes,
            wrong=row.wrong + len(wrong) + len(answers.unresolved),
            note=f"{row.note}; 5xx {dict(answers.errors)}",
        )
        return world.checked(row)
    finally:
        for process in processes:
            world.end(process)
        world.env.clear()
        world.env.update(before)
