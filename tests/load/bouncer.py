"""pgbouncer in front of a world's PostgreSQL, in transaction mode: every transaction may get another server connection."""

import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg

from portal.embedded.ports import choose
from portal.embedded.process import Account, Guarded
from portal.settings import LOGIN_ROLES, settings
from tests.load.world import World, until

ROLES = ("app", "relay", "platform", "owner", "backup")
CONFIG = """\
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {mine}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 500
logfile = {log}
"""


def found() -> str | None:
    """Where pgbouncer is, if it is installed."""
    return shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")


@contextmanager
def in_front(world: World, *, size: int = 5) -> Iterator[dict[str, str]]:
    """What the world's processes are to be started with, so that they go through a pgbouncer of `size` connections."""
    server, mine = urlsplit(world.env["DATABASE_URL"]), choose()
    folder = world.var / "bouncer"
    folder.mkdir()
    users = folder / "users.txt"
    users.write_text("".join(f'"{role}" "{settings().role_password(role)}"\n' for role in LOGIN_ROLES))
    config = folder / "pgbouncer.ini"
    config.write_text(
        CONFIG.format(
            host=server.hostname, port=server.port, mine=mine, users=users, size=size, log=folder / "pgbouncer.log"
        )
    )
    account = _account(folder, users, config)
    with (world.var / "log" / "pgbouncer.log").open("wb") as log:
        process = Guarded("pgbouncer", (found() or "pgbouncer", "-q", str(config)), output=log, account=account)
    env = {"DB_PREPARE": "false"}
    for role in ROLES:
        place = f"portal_{role}:{settings().role_password(f'portal_{role}')}@127.0.0.1:{mine}"
        env[f"DATABASE_{role.upper()}_URL"] = urlunsplit(server._replace(netloc=place))
    try:
        until(lambda: _answers(env["DATABASE_APP_URL"]))
        yield env
    finally:
        process.stop()


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _account(folder: Path, *files: Path) -> Account | None:
    """pgbouncer does not run as root."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    for path in (folder, *files):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    for parent in folder.parents:
        if not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o001)
    return Account(nobody.pw_uid, nobody.pw_gid)
