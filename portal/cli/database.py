"""`portal db`: roles, schema, upgrades. The only user of DATABASE_URL's own role (D4)."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import click
import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql

from portal.settings import LOGIN_ROLES, ROOT, settings

MIGRATIONS = ROOT / "migrations"
NOLOGIN_ROLES = ("portal_ledger", "portal_maintenance")


def alembic_config() -> Config:
    """Where the migrations lie."""
    return Config(str(MIGRATIONS / "alembic.ini"))


@lru_cache(maxsize=1)
def heads() -> frozenset[str]:
    """The newest migrations of this code."""
    return frozenset(ScriptDirectory.from_config(alembic_config()).get_heads())


def pending_migrations(current: Iterable[str]) -> bool:
    """Whether the database is behind the code."""
    return frozenset(current) != heads()


def create_roles(admin_url: str) -> None:
    """Create or repair the roles: none is a superuser, only portal_backup passes row-level security (D2, D3)."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(7305070)")
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
        connection.execute("ALTER ROLE portal_backup BYPASSRLS")
        newer = connection.info.server_version >= 160_000  # noqa: PLR2004  where membership has options
        for role in NOLOGIN_ROLES:  # the owner gives them their functions
            grant = "GRANT {} TO portal_owner" + (" WITH INHERIT FALSE, SET TRUE" if newer else "")
            connection.execute(sql.SQL(grant).format(sql.Identifier(role)))
        connection.execute("SELECT pg_advisory_unlock(7305070)")


def grant_database(admin_url: str) -> None:
    """The owner owns the schema; the others may use it and make temporary tables where imports need them (D5)."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
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


def upgrade() -> None:
    """Roles, grants, every migration, ClickHouse's too: safe to repeat, safe to run twice at once."""
    url = settings().DATABASE_URL
    create_roles(url)
    grant_database(url)
    command.upgrade(alembic_config(), "head")


@click.group()
def db() -> None:
    """The database: roles, migrations."""


@db.command("upgrade")
def upgrade_command() -> None:
    """Create the roles and bring both schemas up to date."""
    upgrade()
    from portal.analytics.migrate import upgrade as upgrade_clickhouse

    upgrade_clickhouse()
    click.echo("PostgreSQL and ClickHouse are up to date")


@db.command("downgrade")
@click.argument("revision")
def downgrade_command(revision: str) -> None:
    """Go back to a migration; data of newer tables is lost."""
    command.downgrade(alembic_config(), revision)


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
