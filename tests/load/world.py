"""A world of its own for a proof: engines that can be killed, two tenants, people with money, and production's processes.

`World.own()` starts engines; `World.here()` uses those that the environment names (the short forms of `make test`).
The people are those of `tests.cast`, and more members with an opening bonus.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import psycopg

from portal.embedded import clickhouse, postgres, valkey
from portal.embedded.launched import Launched
from portal.embedded.ports import choose
from portal.embedded.process import Guarded
from portal.settings import ROOT
from tests import cast
from tests.load.proof import Row

ADDRESSES = {"postgres": "DATABASE_URL", "valkey": "REDIS_URL", "clickhouse": "CLICKHOUSE_URL"}
TILLS = 24
OPENING = 1_000_000  # minor units that each member has to begin with
PATIENCE_S = 60.0


def until(condition: Callable[[], object], within: float = PATIENCE_S, every: float = 0.05):
    """Ask until it holds, and return what it said; raises AssertionError."""
    end = time.monotonic() + within
    while not (found := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{getattr(condition, '__name__', 'it')} did not happen within {within:.0f} s")
        time.sleep(every)
    return found


def disk(folder: Path, size: str, *, again: bool = False) -> None:
    """A disk of this size, as mount(8) writes it, at the folder; `again` changes its size. Wants root."""
    folder.mkdir(exist_ok=True)
    options = f"size={size},mode=0755" + (",remount" if again else "")
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "krug", folder], check=True)


class Engine:
    """PostgreSQL, Valkey or ClickHouse, as `portal up` starts it, always on the same port; may be killed and started."""

    def __init__(self, launch: Callable[[], Launched]) -> None:
        self._launch = launch
        self._running: Launched | None = None

    def start(self) -> str:
        """Returns its address when it answers."""
        self._running = self._launch()
        self._running.wait()
        return self._running.url

    @property
    def pid(self) -> int:
        return self._running.process.pid

    def kill(self, number: int = signal.SIGKILL) -> None:
        """SIGKILL, or for PostgreSQL SIGQUIT (`-m immediate`), SIGINT (`-m fast`); waits for the end."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
        until(lambda: self._running.process.poll() is not None)
        self._running.process.stop()

    def stop(self) -> None:
        if self._running:
            self._running.process.stop()

    def restart(self, number: int = signal.SIGKILL) -> None:
        self.kill(number)
        self.start()


@dataclass(frozen=True)
class Counter:
    """Where a driver rings up: a shop with its API keys, its members' cards, and a manager's session for undo."""

    tenant_id: str
    host: str
    slug: str
    shop: str
    shop_id: str
    currency: str
    keys: tuple[str, ...]  # one for each till: calls are counted by key
    cards: tuple[str, ...]
    cookie: str
    csrf: str

    @property
    def key(self) -> str:
        return self.keys[0]


class World:
    """Use as a context manager. `env` is what every process is started with; `counters` is where business is done.

    Mail goes to a server of its own that keeps it in the directory `mail`.
    """

    def __init__(self, var: Path, engines: dict[str, Engine], env: dict[str, str]) -> None:
        self.var, self.engines, self.env = var, engines, env
        self.processes: list[Guarded] = []
        self.counters: list[Counter] = []
        self.app = None

    @classmethod
    @contextmanager
    def own(
        cls,
        *,
        members: int = 40,
        mail: bool = False,
        durable: bool = True,
        given: dict[str, str] | None = None,
        small: dict[str, str] | None = None,
        **env: str,
    ) -> Iterator["World"]:
        """Engines of its own, migrated, with people. `given`: addresses of engines that the proof runs itself. `small`: disks of
        so much memory, by the name of their folder in var.
        """
        var = Path(tempfile.mkdtemp(prefix="krug-prove-"))
        (var / "log").mkdir()
        for name, size in (small or {}).items():
            disk(var / name, size)
        ports, engines = {}, {}
        for name in ADDRESSES:
            if ADDRESSES[name] not in (given or {}):
                ports[name] = choose(taken=frozenset(ports.values()))
        kinds = {
            "postgres": lambda d, p, log: postgres.launch(d, p, log, durable=durable),
            "valkey": valkey.launch,
            "clickhouse": clickhouse.launch,
        }
        for name, port in ports.items():
            engines[name] = Engine(
                lambda name=name, port=port: kinds[name](var / name, port, var / "log" / f"{name}.log")
            )
        values = {"SECRET_KEY": "prove-" * 8, "VAR_DIR": str(var), "LOG_LEVEL": "ERROR", "TESTING": "1", **env}
        world = cls(var, engines, values)
        try:
            values |= given or {}
            values |= {ADDRESSES[name]: engine.start() for name, engine in engines.items()}
            world._enter()
            world._migrate()
            cast.build(world.app)
            world._settle(members, mail=mail)
            yield world
        finally:
            world.close()
            for name in small or {}:
                subprocess.run(["umount", "-l", var / name], check=False)
            shutil.rmtree(var, ignore_errors=True)

    @classmethod
    @contextmanager
    def here(cls, app, *, members: int = 6, mail: bool = False, **env: str) -> Iterator["World"]:
        """The engines and the database of a test marked `commits`, with the cast in it."""
        names = ("SECRET_KEY", "VAR_DIR", "CLICKHOUSE_DATABASE", *ADDRESSES.values())
        values = {name: os.environ[name] for name in names} | {"LOG_LEVEL": "ERROR", "TESTING": "1", **env}
        var = Path(values["VAR_DIR"])
        (var / "log").mkdir(exist_ok=True)
        world = cls(var, {}, values)
        world.app = app
        from portal.analytics.clickhouse import client

        with app.app_context():
            client().command("TRUNCATE TABLE transaction_facts")  # what tests before this one shipped
        try:
            world._settle(members, mail=mail)
            yield world
        finally:
            world.close()

    # processes, by the same commands as production's

    def spawn(self, *command: str, name: str = "", **env: str) -> Guarded:
        """A Python module as a process that cannot outlive this one; what it says is in var/log."""
        name = name or command[0].rpartition(".")[2]
        with (self.var / "log" / f"{name}.log").open("ab") as log:
            started = Guarded(
                name,
                (sys.executable, "-m", *command),
                output=log,
                env={**os.environ, **self.env, **env},
                cwd=ROOT,
                patience=20,
            )
        self.processes.append(started)
        return started

    def web(
        self, *, workers: int = 2, threads: int = 8, port: int | None = None, app: str = "wsgi:app", **env: str
    ) -> Guarded:
        """gunicorn; returns when it answers. Its port is `world.port`."""
        self.port = port or choose()
        more = {"PORT": str(self.port), "BIND": "127.0.0.1", "WEB_WORKERS": str(workers), "WEB_THREADS": str(threads)}
        started = self.spawn("gunicorn", "-c", "python:portal.web.server", app, name="web", **more, **env)
        until(self.answers, within=3 * PATIENCE_S)
        return started

    def relay(self, **env: str) -> Guarded:
        return self.spawn("workers.relay", **env)

    def pool(self, queue: str = "fast", processes: int = 1, **env: str) -> Guarded:
        return self.spawn("workers.pool", queue, str(processes), name=queue, **env)

    def cron(self, **env: str) -> Guarded:
        return self.spawn("workers.cron", **env)

    def end(self, process: Guarded) -> int:
        """Ask it to stop, and wait; returns its exit code."""
        self.processes.remove(process)
        return process.stop()

    def children(self, process: Guarded) -> list[psutil.Process]:
        """gunicorn's or a pool's workers."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(process.pid).children()
        return []

    def answers(self) -> bool:
        """Whether the web is ready."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as response:
                return response.status == 200
        except OSError:
            return False

    def get(
        self, path: str, *, host: str = cast.CIRCLE.host, headers: dict[str, str] | None = None, timeout: float = 30
    ):
        """Status and body of a page."""
        request = Request(f"http://127.0.0.1:{self.port}{path}", headers={"Host": host, **(headers or {})})
        try:
            with urlopen(request, timeout=timeout) as response:
                return response.status, response.read()
        except HTTPError as refused:
            return refused.code, refused.read()
        except OSError:
            return 0, b""

    def crashes(self) -> str:
        """The last defects that the web's log speaks of."""
        lines = (self.var / "log" / "web.log").read_text(errors="replace").splitlines()
        return "\n".join(
            [line[:300] + " … " + line[-3000:] for line in lines if "Traceback" in line or "failed" in line][-3:]
        )

    # what stands in the database

    def admin(self, **options) -> psycopg.Connection:
        """As the superuser, past row-level security: for looking, and for breaking things on purpose."""
        return psycopg.connect(self.env["DATABASE_URL"], autocommit=True, **options)

    def one(self, statement: str, *values: object):
        """The first column of the first row."""
        with self.admin() as connection:
            row = connection.execute(statement, values or None).fetchone()
            return row[0] if row else None

    def on_its_way(self) -> int:
        """Deliveries that are neither delivered nor dead."""
        return self.one("SELECT count(*) FROM outbox_deliveries WHERE open")

    def drain(self, within: float = 300.0, *, hurry: bool = True) -> None:
        """Wait until nothing is on its way; relay and workers must run. `hurry`: what waits for its next try is due now."""

        def drained() -> bool:
            if hurry:
                with self.admin() as connection:
                    connection.execute(
                        "UPDATE outbox_deliveries SET available_at = clock_timestamp() WHERE status = 'pending'"
                        " AND available_at > clock_timestamp()"
                    )
            return self.on_its_way() == 0

        try:
            until(drained, within, every=0.25)
        except AssertionError as error:
            with self.admin() as connection:
                left = connection.execute(
                    "SELECT subscriber, status, attempts, left(last_error, 200), count(*) FROM outbox_deliveries WHERE open GROUP BY 1, 2, 3, 4"
                ).fetchall()
            logs = {log.stem: log.read_text(errors="replace")[-1500:] for log in (self.var / "log").glob("*.log")}
            raise AssertionError(f"{error}: {left}\n{self.crashes()}\n{logs}") from error

    def portal(self, *arguments: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        """A command of the command line."""
        start = [sys.executable, "-c", "from portal.cli import main; main()", *arguments]
        return subprocess.run(
            start, env={**os.environ, **self.env}, cwd=ROOT, capture_output=True, text=True, check=check
        )

    def mails(self) -> list[str]:
        """Those that arrived, as text; one that came twice under its Message-ID is there once."""
        return [file.read_text(errors="replace") for file in (self.mail / "new").iterdir()]

    def broken(self, *, drained: bool = True) -> dict[str, int]:
        """`portal verify`: invariant → differences, where there are any. `drained`: nothing may be on its way."""
        if not self.engines:  # a test's: its own process may ask
            from portal.cli.verify import differences

            return {name: len(found) for name, found in differences(self.app, drained=drained).items() if found}
        told = self.portal("verify", "--json", *(["--drained"] if drained else []))
        if told.returncode not in (0, 1) or not told.stdout:
            raise AssertionError(f"portal verify ended with {told.returncode}: {told.stderr[-2000:]}")
        counts = json.loads(told.stdout)
        if any(counts.values()):
            print(told.stderr[-3000:], file=sys.stderr)
        return {name: count for name, count in counts.items() if count}

    def checked(self, row: Row, *, drained: bool = True) -> Row:
        """The row with the differences of the invariants added."""
        broken = self.broken(drained=drained)
        told = "; ".join(f"{count}× {name}" for name, count in broken.items())
        return replace(row, wrong=row.wrong + sum(broken.values()), note="; ".join(filter(None, (row.note, told))))

    def close(self) -> None:
        for process in reversed(self.processes):
            process.ask_to_stop()
        for process in reversed(self.processes):
            process.stop()
        self.processes.clear()
        if self.engines:
            self._leave()
        for engine in self.engines.values():
            engine.stop()

    # how it is made

    def _enter(self) -> None:
        """This process speaks with these engines."""
        os.environ.update(self.env)
        _forget()

    def _leave(self) -> None:
        if self.app is not None:
            from portal.kernel import primaries

            with self.app.app_context():
                primaries.dispose()
        _forget()

    def _migrate(self) -> None:
        from portal import create_app
        from portal.analytics.migrate import upgrade
        from portal.cli import database

        database.upgrade()
        upgrade()
        self.app = create_app()

    def _settle(self, members: int, *, mail: bool) -> None:
        self.mail = self.var / "mail"
        shutil.rmtree(self.mail, ignore_errors=True)
        port = choose()
        self.env["SMTP_URL"] = f"smtp://127.0.0.1:{port}"
        self.spawn("portal.embedded.smtp", str(port), str(self.mail))
        for tenant, manager in ((cast.CIRCLE, cast.CAROL), (cast.GLOBEX, cast.MALLORY)):
            self.counters.append(_counter(self.app, tenant, manager, members, mail=mail))


@contextmanager
def acting(app, person: cast.Someone | None = None, tenant: cast.Community = cast.CIRCLE) -> Iterator[None]:
    """Call services as this person, or as the portal itself, the way a view does."""
    from flask import g

    from portal.identity.person import Person, StaffPost
    from portal.identity.sessions import acting_as
    from portal.kernel.authz import BUSINESS_ROLES
    from portal.kernel.tenancy import tenant_scope
    from portal.tenants.hosts import tenant_by_id

    kind = "member" if person else "system"
    with app.app_context(), tenant_scope(tenant.id), acting_as(person and person.id, kind):
        g.tenant = tenant_by_id(tenant.id)
        if person:
            posts = [StaffPost(tenant.shops[s].id, s, "", role, None, BUSINESS_ROLES[role]) for s, role in person.posts]
            g.person = Person(
                id=person.id,
                name=person.name,
                locale="en",
                timezone=None,
                session_id=None,
                roles=list(person.roles),
                staff=posts,
            )
        yield


def signed_in(app, person: cast.Someone) -> tuple[str, str]:
    """A session of this person: its cookie, and the token that its writes carry."""
    from flask import g

    from portal.extensions import db
    from portal.identity.models import DeviceSession
    from portal.identity.sessions import kind_of, open_session
    from portal.kernel import clock

    csrf = secrets.token_hex(20)
    with acting(app, tenant=person.tenant):
        g.seeding = True
        kind = kind_of(list(person.roles), [role for _, role in person.posts])
        cookie = open_session(person.id, auth_epoch=0, kind=kind, user_agent="till", ip="127.0.0.1", now=clock.now())
        for row in db.session.new:
            if isinstance(row, DeviceSession):
                row.data = {"csrf_token": csrf}
        db.session.commit()
        g.seeding = False
    return cookie, _signed(app, csrf)


def _forget() -> None:
    """What this process remembers of other engines."""
    from portal.analytics import clickhouse as facts
    from portal.kernel import primaries
    from portal.kernel.redis import bell, redis, redis_quick
    from portal.settings import settings
    from portal.tenants import hosts

    settings.cache_clear()
    redis.cache_clear()
    redis_quick.cache_clear()
    bell.forget()
    facts.forget_clients()
    hosts.forget()
    primaries.forget()


def _counter(app, tenant: cast.Community, manager: cast.Someone, members: int, *, mail: bool) -> Counter:
    from portal.extensions import db
    from portal.identity.batch import Newcomer, register_members
    from portal.identity.models import User
    from portal.kernel import clock
    from portal.partners.keys import create_key
    from portal.wallets.service import adjust

    shop = tenant.shops["cafe"]
    with acting(app, tenant=tenant):
        now = clock.now()
        people = [
            Newcomer(f"Member {n}", now, email=f"m{n}@{tenant.slug}.example" if mail else "") for n in range(members)
        ]
        made = register_members(people, joined_via="demo")
        cards = tuple(db.session.scalars(db.select(User.card_number).where(User.id.in_(made))))
        for member_id in made:
            adjust(member_id, OPENING, currency=tenant.currency, reason="opening", key=f"opening-{member_id}")
        keys = tuple(create_key(shop.id, f"Till {n}")[1] for n in range(TILLS))
    cookie, csrf = signed_in(app, manager)
    return Counter(
        str(tenant.id), tenant.host, tenant.slug, shop.slug, str(shop.id), tenant.currency, keys, cards, cookie, csrf
    )


def _signed(app, csrf: str) -> str:
    from itsdangerous import URLSafeTimedSerializer

    return URLSafeTimedSerializer(app.config["SECRET_KEY"], salt="wtf-csrf-token").dumps(csrf)
