"""`portal doctor`: is this installation sound?"""

import sys

import click

from portal.cli.environment import installation


@click.command()
def doctor() -> None:
    """Check the stores, the roles, the locale and the migrations; exit 1 with what to do."""
    installation()
    from portal.settings import settings

    problems = [problem for primary in settings().primaries for problem in _postgres(primary)]
    problems += [*_redis(), *_clickhouse()]
    for problem in problems:
        click.echo(f"✗ {problem}", err=True)
    if not problems:
        click.echo("everything answers and is as it should be")
        _operators()
    sys.exit(1 if problems else 0)


def _operators() -> None:
    """A hint where nobody can enter the operator's room; an installation is sound without it."""
    from portal.platform.service import anybody

    if not anybody():
        click.echo("nobody can enter the operator's room yet: portal operator create MAIL makes the first operator")


def _postgres(primary: str) -> list[str]:
    import psycopg

    from portal.cli.database import pending_migrations
    from portal.kernel.primaries import connect

    found = []
    where = f"PostgreSQL {primary}" if primary != "main" else "PostgreSQL"
    try:
        with connect("portal_app", primary) as connection:
            version = connection.info.server_version
            row = connection.execute(
                "SELECT datcollate, pg_encoding_to_char(encoding), datlocprovider::text FROM pg_database WHERE datname = current_database()"
            ).fetchone()
            role = connection.execute(
                "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
            current = [r[0] for r in connection.execute("SELECT version_num FROM alembic_version")]
    except psycopg.Error as error:
        return [f"{where}: {error}".strip()]
    if version < 150_000:  # noqa: PLR2004
        found.append(f"{where} {version // 10_000} is too old: 15 or newer")
    if row and (row[1] != "UTF8" or (row[2] == "c" and row[0] not in {"C.UTF-8", "C.utf8", "C"})):
        found.append(f"the database's locale is {row[0]} ({row[1]}): create it with C.UTF-8 (D6)")
    if role and any(role):
        found.append("portal_app is a superuser or passes row-level security: run portal db upgrade")
    if pending_migrations(current):
        found.append("migrations are pending: run portal db upgrade")
    return found


def _redis() -> list[str]:
    from portal.kernel.redis import redis

    try:
        redis().ping()
    except Exception as error:  # noqa: BLE001  a doctor reports whatever is wrong
        return [f"Redis: {error}; pages work, jobs wait"]
    return []


def _clickhouse() -> list[str]:
    from portal.analytics.clickhouse import ping

    try:
        ping()
    except Exception as error:  # noqa: BLE001
        return [f"ClickHouse: {error}; pages work, dashboards show less"]
    return []
