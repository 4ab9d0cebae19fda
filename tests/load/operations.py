"""The portal as operators run it: separate servers, several of each process, pgbouncer, SIGTERM, backups, migrations (F12, F14, F15).

O1 wants `apt install redis-server pgbouncer postgresql-15`; what is not there is replaced by the embedded engine, and the
note says so.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from portal.embedded import postgres
from portal.embedded.ports import accepts, choose
from portal.settings import ROOT, Settings
from tests.load.driver import Driver
from tests.load.proof import Row
from tests.load.world import World, until

NAMES = ("O1", "F12", "F14")
DEBIAN = Path("/usr/lib/postgresql/15/bin")
SECRET = "prove-" * 8
# An index that is made beside the writers and refused its lock stays behind as invalid, hence the DROP before it.
# What tomorrow's migrations will do to the busiest tables: a column, a checked rule, an index, the ledger's functions anew.
REHEARSAL = (
    'op.add_column("purchases", sa.Column("rehearsed", sa.Boolean(), server_default="false", nullable=False))',
    'op.execute("ALTER TABLE ledger_entries ADD CONSTRAINT rehearsed CHECK (amount <> 0) NOT VALID")',
    'op.execute("ALTER TABLE ledger_entries VALIDATE CONSTRAINT rehearsed")',
    'with op.get_context().autocommit_block():\n        op.execute("DROP INDEX IF EXISTS rehearsed")\n        op.execute("CREATE INDEX CONCURRENTLY rehearsed ON purchases (tenant_id, till)")',
    """op.execute("GRANT CREATE ON SCHEMA ledger TO portal_ledger; SET ROLE portal_ledger")
    op.execute("DO $$ BEGIN EXECUTE pg_get_functiondef('ledger.post'::regproc); END $$")
    op.execute("RESET ROLE; REVOKE CREATE ON SCHEMA ledger FROM portal_ledger")""",
    'op.execute("ALTER TABLE users ADD COLUMN rehearsed int; ALTER TABLE users DROP COLUMN rehearsed")',
    'op.add_column("outbox_deliveries", sa.Column("rehearsed", sa.Text()))',
)


def run(names: list[str], full: bool) -> Iterator[Row]:
    for name in names:
        yield {"O1": separate_servers, "F12": migrations, "F14": backups}[name](full)


# O1


def separate_servers(full: bool) -> Row:
    """Two of each process on separate stores, through pgbouncer; every one ends with code 0 while tills go on."""
    with ExitStack() as stack:
        given, env, notes = _servers(stack)
        world = stack.enter_context(World.own(given=given, members=20, SECRET_KEY=SECRET, WEB_GRACE="25", **env))
        ports = (choose(), choose())
        webs = [world.web(port=port) for port in ports]
        others = {
            kind: [start(), start()]
            for kind, start in (
                ("relay", world.relay),
                ("worker", lambda: world.pool("fast", 2)),
                ("long", lambda: world.pool("long", 1)),
                ("cron", world.cron),
            )
        }
        wrong, ended, acts = [], 0, 0
        for round_ in range(5 if full else 1):
            world.port = ports[1 - round_ % 2]  # the tills stay with the web that stays
            with Driver(world, processes=1, threads=3, seed=round_ + 1) as driver:
                driver.wait(60)
                leaving = webs[round_ % 2]
                wrong += [f"web ended with {code}" for code in [world.end(leaving)] if code]
                for kind, pair in others.items():
                    code = world.end(pair.pop(0))
                    wrong += [f"{kind} ended with {code}"] if code else []
                    pair.append({"relay": world.relay, "worker": lambda: world.pool("fast", 2),
                                 "long": lambda: world.pool("long", 1), "cron": world.cron}[kind]())  # fmt: skip
                    ended += 1
                ended += 1
                driver.wait(driver.done + 60)
                answers = driver.stop()
                wrong += driver.compare()
                wrong += [f"{n}× {status}" for status, n in answers.errors.items()]
                acts += answers.writes
            back = world.port
            webs[round_ % 2] = world.web(port=ports[round_ % 2])
            world.port = back
        world.drain()
        note = "; ".join(notes + wrong[:5])
        row = Row(
            "O1", "separate servers, two of each process, SIGTERM to each in turn", ended + acts, len(wrong), note
        )
        return world.checked(row)


def _servers(stack: ExitStack) -> tuple[dict[str, str], dict[str, str], list[str]]:
    """Addresses of own PostgreSQL and Redis, what the processes are told of pgbouncer, and what stood in for what."""
    home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="krug-servers-")))
    home.chmod(0o755)
    notes, env = [], {}
    if DEBIAN.exists() and os.geteuid() == 0:
        url = stack.enter_context(_debian_postgres(home))
        notes.append("PostgreSQL 15")
    else:
        launched = postgres.launch(home / "pg", choose(), home / "pg.log")
        launched.wait()
        stack.callback(launched.process.stop)
        url = launched.url
        notes.append("embedded PostgreSQL")
    given = {"DATABASE_URL": url}
    if shutil.which("redis-server"):
        port = choose()
        server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--save", "", "--dir", str(home)], stdout=subprocess.DEVNULL
        )
        stack.callback(_end, server)
        until(lambda: accepts(port))
        given["REDIS_URL"] = f"redis://127.0.0.1:{port}/0"
        notes.append("Redis 7")
    if shutil.which("pgbouncer") and os.geteuid() == 0:
        port = stack.enter_context(_pgbouncer(home, url))
        passwords = Settings(
            SECRET_KEY=SECRET, DATABASE_URL=url, REDIS_URL="redis://x", CLICKHOUSE_URL="http://x"
        ).role_password
        name = urlsplit(url).path
        for role in ("app", "relay", "platform"):
            env[f"DATABASE_{role.upper()}_URL"] = (
                f"postgresql://portal_{role}:{passwords(f'portal_{role}')}@127.0.0.1:{port}{name}"
            )
        env["DB_PREPARE"] = "false"
        notes.append("pgbouncer in transaction mode")
    return given, env, notes


@contextmanager
def _debian_postgres(home: Path) -> Iterator[str]:
    account = _account("postgres")
    data, port = home / "pg15", choose()
    data.mkdir()
    os.chown(data, *account)
    secret = home / "password"
    secret.write_text("secret")
    secret.chmod(0o644)
    as_postgres = {"user": account[0], "group": account[1], "extra_groups": [], "cwd": "/"}
    subprocess.run(
        [DEBIAN / "initdb", "-D", data / "data", "-U", "admin", f"--pwfile={secret}", "-A", "scram-sha-256", "--locale=C.UTF-8", "-E", "UTF8"],
        stdout=subprocess.DEVNULL, check=True, **as_postgres,
    )  # fmt: skip
    server = subprocess.Popen(
        [DEBIAN / "postgres", "-D", data / "data", "-p", str(port), "-c", f"unix_socket_directories={data}", "-c", "max_connections=150"],
        stderr=(home / "pg15.log").open("ab"), **as_postgres,
    )  # fmt: skip
    try:
        until(lambda: accepts(port))
        base = f"postgresql://admin:secret@127.0.0.1:{port}"
        until(lambda: _answers(f"{base}/postgres"))
        with psycopg.connect(f"{base}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE krug TEMPLATE template0")
        yield f"{base}/krug"
    finally:
        server.send_signal(signal.SIGINT)
        _end(server)


@contextmanager
def _pgbouncer(home: Path, url: str) -> Iterator[int]:
    parts, port, account = urlsplit(url), choose(), _account("postgres")
    role_password = Settings(
        SECRET_KEY=SECRET, DATABASE_URL=url, REDIS_URL="redis://x", CLICKHOUSE_URL="http://x"
    ).role_password
    users = home / "users.txt"
    users.write_text(
        "".join(f'"{r}" "{role_password(r)}"\n' for r in ("portal_app", "portal_relay", "portal_platform"))
    )
    ini = home / "pgbouncer.ini"
    ini.write_text(
        f"[databases]\n{parts.path[1:]} = host={parts.hostname} port={parts.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nauth_type = scram-sha-256\nauth_file = {users}\npool_mode = transaction\n"
        "max_client_conn = 400\ndefault_pool_size = 12\nunix_socket_dir =\nlogfile =\npidfile =\n"
    )
    server = subprocess.Popen(
        ["pgbouncer", "-q", str(ini)], stderr=(home / "pgbouncer.log").open("ab"), stdout=subprocess.DEVNULL,
        user=account[0], group=account[1], extra_groups=[], cwd="/",
    )  # fmt: skip
    try:
        until(lambda: accepts(port))
        yield port
    finally:
        _end(server)


def _account(name: str) -> tuple[int, int]:
    entry = pwd.getpwnam(name)
    return entry.pw_uid, entry.pw_gid


def _answers(url: str) -> bool:
    with suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=2):
        return True
    return False


def _end(server: subprocess.Popen) -> None:
    server.terminate()
    try:
        server.wait(30)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


# F12


def migrations(full: bool) -> Row:
    """Each step that a migration takes, as one, while tills sell and somebody holds tables for seconds."""
    with World.own(members=20) as world:
        world.web()
        world.relay()
        world.pool("fast", 1)
        cases, wrong = 0, []
        with Driver(world, processes=1, threads=3) as driver:
            driver.wait(30)
            for round_ in range(3 if full else 1):
                for n, step in enumerate(REHEARSAL):
                    told = _migrate(world, f"{round_}{n:03d}", step)
                    wrong += [told] if told else []
                    cases += 1
                _clean_up(world)
            driver.wait(driver.done + 30)
            answers = driver.stop()
            wrong += driver.compare() + [f"{n}× {status}" for status, n in answers.errors.items()]
        world.drain()
        note = f"{answers.writes} writes meanwhile, the slowest {answers.slowest:.1f} s"
        row = Row(
            "F12", "steps of migrations under load", cases + answers.writes, len(wrong), "; ".join([note, *wrong[:5]])
        )
        return world.checked(row)


def _migrate(world: World, name: str, step: str) -> str:
    """One step through the portal's own upgrade, in a process of its own, beside a transaction that reads for two seconds."""
    folder = world.var / f"steps-{name}"
    folder.mkdir()
    head = world.one("SELECT version_num FROM alembic_version")
    (folder / f"{name}_step.py").write_text(
        f'import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = "r{name}", "{head}"'
        f"\n\ndef upgrade():\n    {step}\n"
    )
    folders = " ".join(str(one) for one in sorted(world.var.glob("steps-*")))
    code = (
        "from portal.cli import database as d\nusual = d.alembic_config\n"
        "def config(*p):\n    made = usual(*p)\n    made.set_main_option('path_separator', 'space')\n"
        f"    made.set_main_option('version_locations', f\"{{d.MIGRATIONS / 'versions'}} {folders}\")\n    return made\n"
        "d.alembic_config = config\nd.upgrade(print)\n"
    )
    with world.admin() as connection:
        connection.execute("BEGIN")
        for table in ("users", "purchases", "ledger_entries", "outbox_deliveries"):
            connection.execute(f"SELECT 1 FROM {table} LIMIT 1")
        deploy = subprocess.Popen(
            [sys.executable, "-c", code], env={**os.environ, **world.env}, cwd=ROOT, stderr=subprocess.PIPE, text=True
        )
        time.sleep(4)
        connection.execute("ROLLBACK")
    error = deploy.communicate(timeout=300)[1]
    return f"{step[:40]}: {error[-300:]}" if deploy.returncode else ""


def _clean_up(world: World) -> None:
    from portal.cli.database import heads

    with world.admin() as connection:
        connection.execute("SET lock_timeout = '2s'")
        for statement in (
            "ALTER TABLE purchases DROP COLUMN IF EXISTS rehearsed",
            "ALTER TABLE ledger_entries DROP CONSTRAINT IF EXISTS rehearsed",
            "DROP INDEX IF EXISTS rehearsed",
            "ALTER TABLE outbox_deliveries DROP COLUMN IF EXISTS rehearsed",
        ):
            _patiently(connection, statement)
        connection.execute(f"UPDATE alembic_version SET version_num = '{next(iter(heads()))}'")
    for folder in world.var.glob("steps-*"):
        shutil.rmtree(folder)


def _patiently(connection: psycopg.Connection, statement: str) -> None:
    for _ in range(100):
        try:
            connection.execute(statement)
        except psycopg.errors.LockNotAvailable:
            continue
        return


# F14


def backups(full: bool) -> Row:
    """A backup while tills sell, restored into another cluster; the copy keeps every invariant."""
    with World.own(members=20) as world:
        world.web()
        world.relay()
        world.pool("fast", 1)
        rounds, wrong, notes = 3 if full else 1, [], []
        with Driver(world, processes=1, threads=3) as driver:
            for round_ in range(rounds):
                driver.wait(driver.done + (400 if full else 40))
                there = world.var / f"backup-{round_}"
                before = time.monotonic()
                told = world.portal("backup", str(there))
                took = time.monotonic() - before
                wrong += [f"backup: {told.stderr[-300:]}"] if told.returncode else []
                wrong += _restored(world, there, notes, took)
            answers = driver.stop()
            wrong += driver.compare() + [f"{n}× {status}" for status, n in answers.errors.items()]
        world.drain()
        row = Row("F14", "backups under load, restored elsewhere", rounds, len(wrong), "; ".join([*notes, *wrong[:5]]))
        return world.checked(row)


def _restored(world: World, there: Path, notes: list[str], took: float) -> list[str]:
    home = Path(tempfile.mkdtemp(prefix="krug-restored-"))
    launched = postgres.launch(home / "pg", choose(), home / "pg.log")
    launched.wait()
    usual = dict(world.env)
    try:
        world.env |= {
            "DATABASE_URL": launched.url,
            "CLICKHOUSE_DATABASE": f"copy_{there.name.replace('-', '_')}",
            "REDIS_PREFIX": there.name,
            "FILES_URL": (home / "files").as_uri(),
        }
        before = time.monotonic()
        told = world.portal("restore", str(there), "--copy")
        if told.returncode:
            return [f"restore: {told.stderr[-300:]}"]
        sales = world.one("SELECT count(*) FROM purchases")
        notes.append(f"{sales} purchases: backup {took:.1f} s, restore {time.monotonic() - before:.1f} s")
        wrong = []
        for command in (
            ("db", "upgrade"),
            ("ledger", "verify"),
            ("analytics", "rebuild"),
            ("analytics", "reconcile", "--wait", "0"),
        ):
            told = world.portal(*command)
            wrong += [f"{' '.join(command)}: {(told.stdout + told.stderr)[-300:]}"] if told.returncode else []
        broken = {name: count for name, count in world.broken(drained=False).items() if count}
        return wrong + [f"{count}× {name} in the copy" for name, count in broken.items()]
    finally:
        world.env.clear()
        world.env |= usual
        launched.process.stop()
        shutil.rmtree(home, ignore_errors=True)
