"""F8 and F13: no room on the disk, no memory, no file, no connection. A clean answer meanwhile, all well afterwards.

Disks of their own are mounted, which wants root; without it F8 cannot be shown, and says so.
"""

import http.client
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
import psycopg.sql

from portal.embedded.process import Guarded
from portal.kernel import primaries
from tests.load.driver import Driver
from tests.load.proof import Row
from tests.load.world import World, disk, until

NAMES = ("F8", "F13")
LEASE_S = "5"  # a mark that PostgreSQL could not keep is made good after this
MIB = 1024 * 1024
FINE, BUSY = 200, 503
WORKERS = 2
CLEAN = ((FINE, ""), (BUSY, "5"), (0, ""))  # 0: nobody could even take the call


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    if "F8" in names:
        with World.own(members=12, small={"files": "16m", "postgres": "128m"}, OUTBOX_LEASE_S=LEASE_S) as world:
            yield disk_full(world, times=10 if full else 1)
    if "F13" in names:
        with World.own(members=12, OUTBOX_LEASE_S=LEASE_S) as world:
            yield exhausted(world, times=5 if full else 1, writes=200 if full else 30)


# F8


def disk_full(world: World, *, times: int) -> Row:
    """F8: uploads onto a full disk of 16 MiB, and PostgreSQL on one of 128 MiB that is full under writes, `times` each."""
    world.web(workers=2)
    world.relay()
    world.pool("fast", 1)
    world.pool("long", 1)
    wrong, panics, deaf = [], 0, 0.0
    for _ in range(times):
        wrong += uploads_refused(world, world.var / "files")
    world.drain()  # the imports: what a crash interrupts of long work is cron's to begin anew
    with Driver(world, processes=1, threads=4) as driver:
        for _ in range(times):
            driver.wait(driver.done + 30)
            gave_up = _fill(world)
            disk(world.var / "postgres", "1g", again=True)
            (world.var / "postgres" / "data" / "ballast").unlink()
            began = time.monotonic()
            if gave_up:
                world.engines["postgres"].restart()
            until(world.answers, within=120)
            panics, deaf = panics + gave_up, max(deaf, time.monotonic() - began)
            driver.wait(driver.done + 30)
            _shrink(world)
    world.drain()
    answers = driver.answers
    wrong += driver.compare() + [f"never answered: {key}" for key in answers.unresolved]
    wrong += [f"{n} answers of {status}" for status, n in answers.errors.items() if status != BUSY]
    for line in wrong[:20]:
        print(f"F8: {line}", flush=True)
    if wrong:
        print(world.crashes(), flush=True)
    return world.checked(
        Row(
            "F8",
            f"disks full: {times} times uploads onto 16 MiB, {times} times PostgreSQL's own under writes",
            2 * times + answers.writes,
            len(wrong),
            f"PostgreSQL gave up {panics} times and answered {deaf:.0f} s after there was room again, at the latest;"
            f" {answers.errors[BUSY]} answers of 503, all repeated",
        )
    )


def uploads_refused(world: World, folder) -> list[str]:
    """An import onto a full disk is refused in words and leaves nothing; with room again the same one is taken."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(MIB))
    before = world.one("SELECT count(*) FROM stored_files WHERE state <> 'deleted'")
    status, page, _ = upload(world)
    wrong = [] if status == BUSY and "no room" in page else [f"an upload onto a full disk: {status} {page[-300:]!r}"]
    left = [path for path in folder.rglob("*") if path.is_file() and path != ballast]
    wrong += [f"{len(left)} files were left behind"] if left else []
    rows = world.one("SELECT count(*) FROM stored_files WHERE state <> 'deleted'") - before
    wrong += [f"{rows} rows of files were left behind"] if rows else []
    ballast.unlink()
    status, page, _ = upload(world)
    wrong += [] if status == 303 else [f"with room again: {status} {page[-300:]!r}"]
    for path in folder.rglob("*"):
        if path.is_file():
            path.unlink()
    world.one("UPDATE stored_files SET state = 'deleted' RETURNING 1")
    return wrong


def upload(world: World) -> tuple[int, str, str]:
    """A table of 300 kB by the desk's form: status, page, where it leads."""
    own = world.counters[0]
    path = f"/desk/{own.shop}/imports"
    head = "external_id,member_ref,purchased_at,amount,currency\n"
    table = head + "".join(
        f"{secrets.token_hex(8)},C{n % 40},1997-01-{n % 28 + 1:02d},{n}.50,RUB\n" for n in range(1, 7_000)
    )
    boundary = secrets.token_hex(12)
    fields = {"csrf_token": own.csrf, "form_key": secrets.token_hex(16), "accrue": "as-of"}
    parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="march.csv"\r\nContent-Type: text/csv\r\n\r\n{table}\r\n--{boundary}--\r\n'
    )
    headers = {
        "Host": own.host, "Cookie": f"sid={own.cookie}", "X-CSRFToken": own.csrf,
        "Content-Type": f"multipart/form-data; boundary={boundary}",
    }  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=60)
    try:
        connection.request("POST", path, "".join(parts).encode(), headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers.get("Location", "")
    finally:
        connection.close()


def _fill(world: World) -> bool:
    """PostgreSQL's disk to the last page; true when it gave up, false when it only refuses."""
    data = world.var / "postgres" / "data"
    ballast = data / "ballast"
    process = world.engines["postgres"]
    before = _panics(world)
    with ballast.open("ab", buffering=0) as file:
        end = time.monotonic() + 20
        while time.monotonic() < end and psutil.pid_exists(process.pid):
            with suppress(OSError):
                file.write(bytes(64 * 1024))
            with suppress(OSError):
                file.write(bytes(512))
            with suppress(psycopg.Error), world.admin(connect_timeout=2) as connection:
                connection.execute("SELECT pg_switch_wal()")
            if _panics(world) > before:
                return True
    return _panics(world) > before


def _panics(world: World) -> int:
    return (world.var / "log" / "postgres.log").read_text(errors="replace").count("PANIC:")


def _shrink(world: World) -> None:
    """Back to as much as is used, and 48 MiB: the next round fills it again."""
    used = os.statvfs(world.var / "postgres")
    size = (used.f_blocks - used.f_bfree) * used.f_frsize + 48 * MIB
    disk(world.var / "postgres", str(size), again=True)


# F13


def exhausted(world: World, *, times: int, writes: int, of: tuple[str, ...] = ()) -> Row:
    """F13: database connections, file descriptors and memory (or `of` these) run out under writes; 503, then all is well."""
    web = world.web(workers=WORKERS, threads=16)
    world.relay()
    world.pool("fast", 1)
    wrong, refused, slowest = [], dict.fromkeys(of or SHORTAGES, 0), 0.0
    with Driver(world, processes=2, threads=8) as driver:
        driver.wait(20)
        for name in refused:
            for _ in range(times):
                give_back = SHORTAGES[name](world, web)
                shown = [_page(world) for _ in range(20)]
                give_back()
                began = time.monotonic()
                _all_is_well(world)
                slowest = max(slowest, time.monotonic() - began)
                refused[name] += sum(status == BUSY for status, _ in shown)
                wrong += [f"without {name}: {page}" for page in shown if page not in CLEAN]
                driver.wait(driver.done + writes)
    world.drain()
    answers = driver.answers
    wrong += driver.compare() + [f"never answered: {key}" for key in answers.unresolved]
    wrong += [f"{n} answers of {status}" for status, n in answers.errors.items() if status != BUSY]
    for line in wrong[:20]:
        print(f"F13: {line}", flush=True)
    if wrong:
        print(world.crashes(), flush=True)
    return world.checked(
        Row(
            "F13",
            f"{', '.join(refused)} run out under writes, {times} times each",
            answers.writes + 20 * times * len(refused),
            len(wrong),
            "pages refused: " + ", ".join(f"{n} without {name}" for name, n in refused.items())
            + f"; all is well {slowest:.0f} s after; {answers.errors[BUSY]} sales refused and repeated, {answers.unanswered} unanswered",
        )
    )  # fmt: skip


def _all_is_well(world: World) -> None:
    """Ten pages of a member one after the other, none refused."""
    seen: list[list[tuple[int, str]]] = []

    def well() -> bool:
        seen.append([_page(world) for _ in range(10)])
        return all(status == FINE for status, _ in seen[-1])

    try:
        until(well, within=60)
    except AssertionError as error:
        raise AssertionError(f"{error}: {seen[-3:]}\n{world.crashes()}") from error


def _page(world: World) -> tuple[int, str]:
    """Status of a member's own page, and Retry-After; 0 without an answer."""
    own = world.counters[0]
    connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=30)
    try:
        connection.request("GET", "/me", headers={"Host": own.host, "Cookie": f"sid={own.cookie}"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("Retry-After", "")
    except (OSError, http.client.HTTPException):
        return 0, ""
    finally:
        connection.close()


def _connections(world: World, _web: Guarded) -> Callable[[], None]:
    """Of this database only: others of the same server go on."""

    def limit(most: int) -> None:
        with world.admin() as connection:
            name = psycopg.sql.Identifier(connection.info.dbname)
            connection.execute(psycopg.sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(name, most))

    limit(2)
    with world.admin() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'portal_app' AND datname = current_database()"
        )

    def give_back() -> None:
        limit(-1)
        with world.app.app_context():
            primaries.dispose()  # the proof's own were ended too

    return give_back


def _files(world: World, web: Guarded) -> Callable[[], None]:
    return _limited(world, web, psutil.RLIMIT_NOFILE, lambda worker: worker.num_fds() - 4)


def _memory(world: World, web: Guarded) -> Callable[[], None]:
    return _limited(world, web, psutil.RLIMIT_AS, lambda worker: worker.memory_info().vms)


def _limited(world: World, web: Guarded, what: int, used: Callable[[psutil.Process], int]) -> Callable[[], None]:
    """No more than is used now, for each worker of the web; one that dies of it is followed by one without a limit."""
    before: dict[psutil.Process, tuple[int, int]] = {}
    workers: list[psutil.Process] = []

    def serve() -> bool:  # one that cannot even begin ends the web: it is no worker yet
        workers[:] = world.children(web)
        return len(workers) == WORKERS and all(map(_waits, workers))

    until(serve, within=150, every=0.05)  # one that a shortage has left hanging is replaced after 90 s
    for worker in workers:
        before[worker] = worker.rlimit(what)
        worker.rlimit(what, (used(worker), before[worker][1]))

    def give_back() -> None:
        for worker, limits in before.items():
            with suppress(psutil.NoSuchProcess):
                worker.rlimit(what, limits)

    return give_back


def _waits(worker: psutil.Process) -> bool:
    """For requests, that is: who loads, reads and computes."""
    with suppress(OSError):
        place = Path(f"/proc/{worker.pid}/wchan").read_text()
        return "epoll_wait" in place or "ep_poll" in place
    return False


SHORTAGES = {"connections": _connections, "files": _files, "memory": _memory}
