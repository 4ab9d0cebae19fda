"""`portal restore`: a backup into empty databases, of this cluster or of a younger one (F14).

pg_restore makes tables and rows, then this file mends what only held in the old cluster, then indexes, guards, row-level
security and grants follow. Until all that is done no role of the portal may connect.
"""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import click
import psycopg
from psycopg import sql

from portal.cli.backup import FORMAT, MANIFEST, fingerprint
from portal.cli.environment import installation

# Lazy accounts are a checkpoint and the entries of later transactions (D19); both speak in transaction ids of the old
# cluster, which the new one has not reached or gives out again. So the tails are added to the checkpoints, every
# entry becomes older than whatever will be written, and the checkpoints stand at this transaction. Changing the
# column's type writes the table once, without triggers, before the indexes are there.
_FOLD = """
UPDATE wallet_accounts w SET posted = w.posted + tail.sum
  FROM (SELECT e.tenant_id, e.account_id, sum(e.amount) AS sum FROM ledger_entries e
          JOIN wallet_accounts a ON a.tenant_id = e.tenant_id AND a.id = e.account_id
         WHERE a.lazy AND e.account_version IS NULL AND e.xact_id >= a.folded_through GROUP BY 1, 2) tail
 WHERE w.tenant_id = tail.tenant_id AND w.id = tail.account_id
"""
# Seals name their rows, so a log stays as it was sealed; what was not sealed yet must come after the last seal, and before
# whatever will be written.
_SEALED = "UPDATE {seals} SET through_xact = '4'"
_UNSEALED = """
WITH sealed AS MATERIALIZED (SELECT tenant_id, unnest(seqs) AS seq FROM {seals})
UPDATE {table} e SET xact_id = '5'
 WHERE NOT EXISTS (SELECT 1 FROM sealed s WHERE s.tenant_id = e.tenant_id AND s.seq = e.seq)
"""
_CHAINS = (("audit_seals", "audit_entries"), ("ledger_seals", "ledger_transactions"))
_CHECKPOINTS = "UPDATE wallet_accounts SET folded_through = pg_current_xact_id() WHERE lazy"
_XID_COLUMNS = """
SELECT c.relname, a.attname, pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.atttypid = 'xid8'::regtype AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
   AND a.attname <> 'folded_through' AND NOT a.attisdropped
"""
_LONG_AGO = "'3'::xid8"  # the first transaction that a cluster can have
# What was on its way when the backup was made: a copy for looking at must not write to anybody.
_HOLD = """
UPDATE outbox_deliveries SET status = 'dead', last_error = 'held back by portal restore --copy'
 WHERE status IN ('pending', 'leased')
"""


@click.command()
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--jobs", default=2, show_default=True, help="Connections that restore at once.")
@click.option("--copy", is_flag=True, help="A copy to look at: what was on its way to people is held back.")
def restore(directory: Path, jobs: int, *, copy: bool) -> None:
    """Fill the empty databases of this installation from DIRECTORY, made by `portal backup`.

    DATABASE_URL's role must be a superuser for as long as this takes. Then run `portal analytics rebuild`.
    """
    installation(migrate=False)
    from portal.cli.database import upgrade
    from portal.settings import settings

    manifest = _manifest(directory)
    for primary in manifest["primaries"]:
        _refuse_filled(primary)
    began = time.perf_counter()
    for primary in manifest["primaries"]:
        _fill(primary, directory / primary, jobs, copy=copy)
    upgrade(click.echo)
    files = _bring_files(directory / "files")
    click.echo(f"restored in {time.perf_counter() - began:.1f} s, {files} files in {settings().files_url}")
    click.echo("now run: portal ledger verify, portal analytics rebuild")


def _manifest(directory: Path) -> dict[str, Any]:
    from portal.cli.database import known_revisions
    from portal.settings import settings

    try:
        manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_text())
    except FileNotFoundError:
        raise click.ClickException(f"{directory} is not a backup: it has no {MANIFEST}") from None
    if manifest["format"] != FORMAT:
        raise click.ClickException(f"this backup has format {manifest['format']}; this Krug reads {FORMAT}")
    if missing := sorted(set(manifest["primaries"]) - set(settings().primaries)):
        raise click.ClickException(f"the backup has a primary {missing[0]}: name its new database in DATABASE_URLS")
    if newer := {one["revision"] for one in manifest["primaries"].values()} - known_revisions():
        raise click.ClickException(f"the backup is of a newer Krug (migration {newer.pop()}): install that one first")
    if manifest["secret_key"] != fingerprint():
        click.echo("SECRET_KEY differs from the backup's: what it encrypted and signed cannot be read", err=True)
    return manifest


def _refuse_filled(primary: str) -> None:
    from portal.settings import settings

    with psycopg.connect(settings().admin_url(primary)) as connection:
        row = connection.execute(
            "SELECT count(*), (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
        ).fetchone()
        assert row is not None  # noqa: S101
        if row[0]:
            raise click.ClickException(f"the database {connection.info.dbname} is not empty; restore fills empty ones")
        if not row[1]:
            raise click.ClickException(f"{connection.info.user} must be a superuser to give functions to their roles")


def _fill(primary: str, source: Path, jobs: int, *, copy: bool) -> None:
    from portal.cli import pg
    from portal.cli.database import create_roles, grant_database
    from portal.settings import settings

    url = settings().admin_url(primary)
    create_roles(url)
    with psycopg.connect(url, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
    for section in ("pre-data", "data"):
        pg.restore(url, source, section, jobs)
    _mend(url, copy=copy)
    pg.restore(url, source, "post-data", jobs)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")
    grant_database(url)


def _mend(url: str, *, copy: bool) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(_FOLD)
        for table, column, default in connection.execute(_XID_COLUMNS).fetchall():
            names = {"table": sql.Identifier(table), "column": sql.Identifier(column), "long_ago": sql.SQL(_LONG_AGO)}
            change = "ALTER TABLE {table} ALTER {column} DROP DEFAULT, ALTER {column} TYPE xid8 USING {long_ago}"
            connection.execute(sql.SQL(change).format(**names))
            if default:
                back = sql.SQL("ALTER TABLE {table} ALTER {column} SET DEFAULT {default}")
                connection.execute(back.format(**names, default=sql.SQL(default)))
        connection.execute(_CHECKPOINTS)
        for seals, table in _CHAINS:
            if connection.execute("SELECT to_regclass(%s) IS NOT NULL", (seals,)).fetchone() == (True,):  # else older
                names = {"seals": sql.Identifier(seals), "table": sql.Identifier(table)}
                connection.execute(sql.SQL(_SEALED).format(**names))
                connection.execute(sql.SQL(_UNSEALED).format(**names))
        if copy:
            connection.execute(_HOLD)


def _bring_files(source: Path) -> int:
    from portal.files.storage import storage

    store, count = storage(), 0
    for path in sorted(source.rglob("*")):
        if not path.is_file():
            continue
        name = path.relative_to(source).as_posix()
        if "/" in name:
            store.makedirs(name.rpartition("/")[0], exist_ok=True)
        with path.open("rb") as file, store.open(name, "wb") as target:
            shutil.copyfileobj(file, target)
        count += 1
    return count
