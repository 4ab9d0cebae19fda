"""PostgreSQL's own programs: those of the wheel, which speak to every server from 15 to its own version."""

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import click


def program(name: str) -> str:
    """Where `pg_dump` or `pg_restore` lies."""
    from portal.embedded.postgres import BINARIES

    path = str(BINARIES / name) if (BINARIES / name).exists() else shutil.which(name)
    if path is None:
        raise click.ClickException(f"{name} is not there: install PostgreSQL's client programs")
    return path


def call(name: str, url: str, *arguments: str) -> None:
    """Run it against a database; the password goes by the environment, since everybody sees the arguments."""
    parts = urlsplit(url)
    address, host = parts.netloc.rpartition("@")[::2]
    user, _, password = address.partition(":")
    plain = urlunsplit(parts._replace(netloc=f"{user}@{host}" if user else host))
    ended = subprocess.run(  # noqa: S603  our own arguments
        [program(name), *arguments, f"--dbname={plain}"],
        env={**os.environ, "PGPASSWORD": unquote(password)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise click.ClickException(f"{name} ended with code {ended.returncode}:\n{ended.stderr.strip()[-2000:]}")


def restore(url: str, source: Path, section: str, jobs: int) -> None:
    """One section of a dump: pre-data, data or post-data."""
    call("pg_restore", url, f"--section={section}", f"--jobs={jobs}", "--exit-on-error", str(source))
