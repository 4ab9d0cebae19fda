"""PostgreSQL's own programs, of the wheel; they speak to every server from 15 to their own version."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import click
import psycopg

# pg_restore from 17 on sets it at the beginning, and refuses to go on where the server does not know it.
KNOWN_FROM, UNKNOWN = 170_000, b"SET transaction_timeout = 0;\n"
HEAD = 1 << 16


def program(name: str) -> str:
    """Where `pg_dump`, `pg_restore` or `psql` lies."""
    from portal.embedded.postgres import BINARIES

    path = str(BINARIES / name) if (BINARIES / name).exists() else shutil.which(name)
    if path is None:
        raise click.ClickException(f"{name} is not there: install PostgreSQL's client programs")
    return path


def dump(url: str, to: Path, jobs: int) -> None:
    """A whole database in the directory format, as of one snapshot."""
    address, env = _plain(url)
    options = ("--format=directory", f"--file={to}", f"--jobs={jobs}", "--lock-wait-timeout=60s")
    _call([program("pg_dump"), *options, f"--dbname={address}"], env)


def restore(url: str, source: Path, section: str, jobs: int) -> None:
    """One section of a dump: pre-data, data or post-data."""
    address, env = _plain(url)
    with psycopg.connect(url) as connection:
        version = connection.info.server_version
    if version >= KNOWN_FROM:
        options = (f"--section={section}", f"--jobs={jobs}", "--exit-on-error", f"--dbname={address}")
        _call([program("pg_restore"), *options, str(source)], env)
        return
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603  our own arguments
            [program("pg_restore"), f"--section={section}", "--file=-", str(source)],
            stdout=subprocess.PIPE,
            stderr=said,
        ) as script,
        subprocess.Popen(  # noqa: S603
            [program("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={address}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            env=env,
        ) as server,
    ):
        assert script.stdout and server.stdin  # noqa: S101, PT018  asked for above
        try:
            server.stdin.write(script.stdout.read(HEAD).replace(UNKNOWN, b""))
            shutil.copyfileobj(script.stdout, server.stdin)
            server.stdin.close()
        except BrokenPipeError:  # psql has said why
            script.kill()
        codes = server.wait(), script.wait()
        if any(codes):
            said.seek(0)
            raise click.ClickException(f"restoring {section} failed:\n{said.read().decode(errors='replace')[-2000:]}")


def _plain(url: str) -> tuple[str, dict[str, str]]:
    """The address without its password, which goes by the environment: everybody sees a program's arguments."""
    parts = urlsplit(url)
    account, host = parts.netloc.rpartition("@")[::2]
    user, _, password = account.partition(":")
    plain = urlunsplit(parts._replace(netloc=f"{user}@{host}" if user else host))
    return plain, {**os.environ, **({"PGPASSWORD": unquote(password)} if password else {})}


def _call(command: list[str], env: dict[str, str]) -> None:
    ended = subprocess.run(command, env=env, capture_output=True, text=True, check=False)  # noqa: S603
    if ended.returncode:
        name = Path(command[0]).name
        raise click.ClickException(f"{name} ended with code {ended.returncode}:\n{ended.stderr.strip()[-2000:]}")
