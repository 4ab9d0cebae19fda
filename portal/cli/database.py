"""`portal db`: roles, schema, upgrades. The only user of DATABASE_URL's own role (D4)."""

import logging
import random
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import click
import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy.exc import OperationalError

from portal.settings import LOGIN_ROLES, MAIN, ROOT, settings

MIGRATIONS = ROOT / "migrations"
NOLOGIN_ROLES = ("portal_ledger", "portal_maintenance", "portal_steward")
ROLE_TRIES = 20
ONE_AT_A_TIME = 7_305_070  # advisory lock: two deployments do not make roles at once
PATIENCE_S = 600  # how long a migration asks again for a lock that others hold
LIMITS = {  # of the role, since pgbouncer takes no start-up options and `SET` would reach the next client
    "portal_app": {"lock_timeout": "5s", "statement_timeout": "60s", "idle_in_transaction_session_timeout": "120s"},
    "portal_platform": {"lock_timeout": "5s", "statement_timeout": "20s"},
}
log = logging.getLogger(__name__)


def alembic_config(primary: str = MAIN) -> Config:
    """Where the migrations lie, and the primary they are for."""
    config = Config(str(MIGRATIONS / "alembic.ini"))
    config.attributes["primary"] = primary
    return config


@lru_cache(maxsize=1)
def heads() -> frozenset[str]:
    """The newest migrations of this code."""
    return frozenset(ScriptDirectory.from_config(alembic_config()).get_heads())


def known_revisions() -> set[str]:
    """Every migration that this code can go on from."""
    return {one.revision for one in ScriptDirectory.from_config(alembic_config()).walk_revisions()}


def pending_migrations(current: Iterable[str]) -> bool:
    """Whether the database is behind the code."""
    return frozenset(current) != heads()


def create_roles(admin_url: str) -> None:
    """Create or repair the roles: none is a superuser, only portal_backup passes row-level security (D2, D3).

    Roles belong to the server and the lock to one database: two databases of one server that are upgraded at once meet
    in the catalogue, and the later one does it again.
    """
    for left in reversed(range(ROLE_TRIES)):
        try:
            return _create_roles(admin_url)
        except (psycopg.errors.InternalError_, psycopg.errors.UniqueViolation, psycopg.errors.DuplicateObject):
            if not left:
                raise
            time.sleep(random.uniform(0.05, 0.3))  # noqa: S311  jitter, not a secret
    return None


def _create_roles(admin_url: str) -> None:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (ONE_AT_A_TIME,))
        known = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        for role in (*LOGIN_ROLES, *NOLOGIN_ROLES):
            if role not in known:
                connection.execute(sql.SQL("CREATE ROLE {} NOINHERIT").format(sql.Identifier(role)))
        for role in LOGIN_ROLES:
            connection.execute(
                sql.SQL("ALTER ROLE {} LOGIN NOINHERIT PASSWORD {}").format(
                    sql.Identifier(role), sql.Literal(settings().role_password(role))
                )
            )
        for role, limits in LIMITS.items():
            for name, value in limits.items():
                connection.execute(
                    sql.SQL("ALTER ROLE {} SET {} = {}").format(
                        sql.Identifier(role), sql.Identifier(name), sql.Literal(value)
                    )
                )
        connection.execute("ALTER ROLE portal_backup BYPASSRLS")
        newer = connection.info.server_version >= 160_000  # noqa: PLR2004  where membership has options
        for role in NOLOGIN_ROLES:  # the owner gives them their functions
            grant = "GRANT {} TO portal_owner" + (" WITH INHERIT FALSE, SET TRUE" if newer else "")
            connection.execute(sql.SQL(grant).format(sql.Identifier(role)))


def grant_database(admin_url: str) -> None:
    """The owner owns the schema; the others may use it and make temporary tables where imports need them (D5)."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (ONE_AT_A_TIME,))
        name = sql.Identifier(connection.info.dbname)
        me = sql.Identifier(connection.info.user)
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
        for role in LOGIN_ROLES:
            connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, sql.Identifier(role)))
        connection.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO portal_owner").format(name))
        connection.execute(sql.SQL("GRANT TEMP ON DATABASE {} TO portal_app, portal_ledger").format(name))
        connection.execute(sql.SQL("GRANT portal_owner TO {}").format(me))
        connection.execute("ALTER SCHEMA public OWNER TO portal_owner")
        connection.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        for role in (*LOGIN_ROLES, *NOLOGIN_ROLES):
            connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(sql.Identifier(role)))
        for kind in ("TABLES", "SEQUENCES"):  # a dump reads everything (F14)
            connection.execute(f"GRANT SELECT ON ALL {kind} IN SCHEMA public TO portal_backup")
            connection.execute(
                f"ALTER DEFAULT PRIVILEGES FOR ROLE portal_owner IN SCHEMA public GRANT SELECT ON {kind} TO portal_backup"
            )


def upgrade(say: Callable[[str], None] | None = None) -> None:
    """Roles, grants and every migration on each primary: safe to repeat, safe to run twice at once."""
    for primary in settings().primaries:
        url = settings().admin_url(primary)
        create_roles(url)
        grant_database(url)
        _migrate(primary, say or log.info)


def _migrate(primary: str, say: Callable[[str], None]) -> None:
    """A migration that does not get its lock within a second lets everybody pass and asks again (F12).

    Each is one transaction: what was done before the refusal stays, the refused one left nothing.
    """
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            command.upgrade(alembic_config(primary), "head")
        except OperationalError as error:
            if not isinstance(error.orig, psycopg.errors.LockNotAvailable) or time.monotonic() > until:
                raise
        except psycopg.errors.LockNotAvailable:  # of an SQL file, which goes past SQLAlchemy
            if time.monotonic() > until:
                raise
        else:
            return
        say(f"{primary}: somebody holds a table that a migration needs; asking again")
        time.sleep(random.uniform(0.5, 2))  # noqa: S311  jitter, not a secret


@click.group()
def db() -> None:
    """The database: roles, migrations."""


@db.command("upgrade")
def upgrade_command() -> None:
    """Create the roles and bring both schemas up to date."""
    upgrade(click.echo)
    from portal.analytics.migrate import upgrade as upgrade_clickhouse

    upgrade_clickhouse()
    click.echo("PostgreSQL and ClickHouse are up to date")


@db.command("downgrade")
@click.argument("revision")
def downgrade_command(revision: str) -> None:
    """Go back to a migration; data of newer tables is lost."""
    for primary in settings().primaries:
        command.downgrade(alembic_config(primary), revision)


@db.command("check")
def check_command() -> None:
    """Compare the models with the database (a help, not the guard)."""
    command.check(alembic_config())


@db.command("revision")
@click.argument("message")
def revision_command(message: str) -> None:
    """Write the next migration from the models' differences."""
    number = f"{len(list(Path(MIGRATIONS / 'versions').glob('[0-9]*.py'))) + 1:04d}"
    command.revision(alembic_config(), message, autogenerate=True, rev_id=number)
