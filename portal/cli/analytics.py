"""`portal analytics`: ClickHouse against PostgreSQL."""

import sys
from collections.abc import Callable, Iterator

import click
from sqlalchemy import text

from portal.cli.environment import application


@click.group()
def analytics() -> None:
    """The facts behind the dashboards."""


def _tenants(slug: str) -> Iterator[str]:
    from portal.extensions import db
    from portal.kernel.tenancy import tenant_scope

    app = application()
    with app.app_context():
        for tenant_id, name in db.session.execute(text("SELECT id, slug FROM tenants ORDER BY slug")).all():
            if slug in {"", name}:
                with tenant_scope(tenant_id):
                    yield name


def _timed(work: Callable[[], int]) -> str:
    import time

    began = time.perf_counter()
    count = work()
    return f"{count:,} purchases in {time.perf_counter() - began:.1f} s"


@analytics.command()
@click.option("--tenant", "slug", default="", help="Only this one.")
def rebuild(slug: str) -> None:
    """Build the facts anew from PostgreSQL."""
    from portal.analytics import reconcile as books

    for name in _tenants(slug):
        click.echo(f"{name}: {_timed(books.rebuild)}")


@analytics.command()
@click.option("--tenant", "slug", default="", help="Only this one.")
@click.option("--repair", is_flag=True, help="Ship the days that differ again.")
def reconcile(slug: str, *, repair: bool) -> None:
    """Compare counts and sums a day; exit 1 on a difference."""
    from portal.analytics import reconcile as books

    wrong = 0
    for name in _tenants(slug):
        if repair:
            books.repair()
        off = books.differences()
        for day in off:
            click.echo(f"{name} {day.day}: PostgreSQL {day.books}, ClickHouse {day.facts}", err=True)
        wrong += len(off)
        click.echo(f"{name}: {'agree' if not off else f'{len(off)} days differ'}")
    sys.exit(1 if wrong else 0)
