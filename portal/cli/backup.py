"""`portal backup`: everything that cannot be built again, in one directory, while the portal goes on working (F14).

<directory>/manifest.json          what this is, of which version, how much; settings without secrets
<directory>/<primary>/             pg_dump's directory format, one snapshot of one primary
<directory>/files/                 the stored files, copied after the database, so that every file that a row names is there
<directory>/secrets.env            SECRET_KEY and addresses with passwords, only with --with-secrets

ClickHouse and Redis are not in it: `portal analytics rebuild` makes the one anew, and losing the other loses nothing.
"""

import json
import os
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from portal.cli.environment import installation

FORMAT = 1
MANIFEST = "manifest.json"
SECRETS = "secrets.env"


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--jobs", default=2, show_default=True, help="Connections that dump at once.")
@click.option("--with-secrets", is_flag=True, help="Also SECRET_KEY and passwords, in the clear: for a safe alone.")
def backup(directory: Path, jobs: int, *, with_secrets: bool) -> None:
    """Write a new DIRECTORY with a consistent copy; it appears under its name when it is whole."""
    installation()
    if directory.exists():
        raise click.ClickException(f"{directory} exists; a backup is never written over another")
    began = time.perf_counter()
    draft = directory.with_name(f".{directory.name}.{os.getpid()}")
    draft.mkdir(mode=0o700, parents=True)
    try:
        told = _write(draft, jobs, with_secrets=with_secrets)
        draft.rename(directory)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    click.echo(
        f"{directory}: {told['tenants']} tenants, {told['files']} files, {told['bytes'] / 1e6:,.1f} MB"
        f" in {time.perf_counter() - began:.1f} s"
    )
    if not with_secrets:
        click.echo("SECRET_KEY is not in it: keep it elsewhere, a restored portal needs the same one")


def _write(draft: Path, jobs: int, *, with_secrets: bool) -> dict[str, Any]:
    from portal.settings import settings

    primaries = {name: _dump(name, draft / name, jobs) for name in settings().primaries}
    files = _copy_files(draft / "files")
    manifest = {
        "format": FORMAT,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "secret_key": fingerprint(),
        "primaries": primaries,
        "files": files,
        "settings": _plain_settings(),
    }
    (draft / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    if with_secrets:
        with os.fdopen(os.open(draft / SECRETS, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.writelines(f"{name}={value}\n" for name, value in _secret_settings().items())
    size = sum(path.stat().st_size for path in draft.rglob("*") if path.is_file())
    return {"tenants": sum(one["tenants"] for one in primaries.values()), "files": files, "bytes": size}


def _dump(primary: str, to: Path, jobs: int) -> dict[str, Any]:
    from portal.cli import pg
    from portal.kernel.primaries import connect
    from portal.settings import settings

    with connect("portal_backup", primary) as connection:
        row = connection.execute("SELECT version_num, (SELECT count(*) FROM tenants) FROM alembic_version").fetchone()
        server = connection.info.server_version
    assert row is not None  # noqa: S101  a migrated database has a version
    url = settings().database_url("portal_backup", primary)
    pg.dump(url, to, jobs)
    return {"revision": row[0], "server": server, "tenants": row[1]}


def _copy_files(to: Path) -> int:
    from portal.files.storage import storage

    store, count = storage(), 0
    to.mkdir()
    for path in store.find(""):
        target = to / path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with store.open(path, "rb") as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
        except FileNotFoundError:  # it expired meanwhile
            target.unlink(missing_ok=True)
            continue
        count += 1
    return count


def fingerprint() -> str:
    """Tells whether two installations have the same SECRET_KEY, and nothing else about it."""
    from portal.settings import settings

    return settings().role_password("fingerprint")[:12]


def _plain_settings() -> dict[str, str]:
    """What is set in the environment and may be read by anybody."""
    return {name: value for name, value in _given().items() if not _is_secret(name, value)}


def _secret_settings() -> dict[str, str]:
    return {name: value for name, value in _given().items() if _is_secret(name, value)}


def _given() -> dict[str, str]:
    from portal.settings import Settings

    return {name: os.environ[name] for name in sorted(Settings.model_fields) if os.environ.get(name)}


def _is_secret(name: str, value: str) -> bool:
    if name.startswith("SECRET_KEY") or name.endswith(("_TOKEN", "_PASSWORD", "_KEY")) or name == "DATABASE_URLS":
        return True
    return "://" in value and bool(urlsplit(value).password or "@" in urlsplit(value).netloc)
