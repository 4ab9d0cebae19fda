"""`portal analytics`: ClickHouse against PostgreSQL."""

import sys
import time
from collections.abc import Callable, Iterator

import click

from portal.cli.environment import application

LOOK_AGAIN_S = 0.5


@click.group()
def analytics() -> None:
    """The facts behind the dashboards."""


@analytics.command()
@click.option("--tenant", "slug", default="", help="Only this one.")
def rebuild(slug: str) -> None:
    """Build the facts anew from PostgreSQL; pages stay filled meanwhile."""
    from portal.analytics import reconcile as books

    for name in _tenants(slug):
        click.echo(f"{name}: {_timed(books.rebuild)}")


@analytics.command()
@click.option("--tenant", "slug", default="", help="Only this one.")
@click.option("--repair", is_flag=True, help="Ship the days that differ again.")
@click.option("--wait", default=15.0, show_default=True, help="Seconds to wait for purchases that are on their way.")
def reconcile(slug: str, *, repair: bool, wait: float) -> None:
    """Compare counts and sums a day; exit 1 on a difference."""
    from portal.analytics import reconcile as books

    wrong = 0
    for name in _tenants(slug):
        if repair:
            books.repair()
        off = books.differences()
        until = time.monotonic() + wait
        while off and books.on_their_way() and time.monotonic() < until:
            time.sleep(LOOK_AGAIN_S)
            off = books.differences()
        for day in off:
            click.echo(f"{name} {day}", err=True)
        coming = books.on_their_way()
        told = f"{len(off)} days differ" if off else "agree"
        click.echo(f"{name}: {told}{f', {coming} on their way' if coming else ''}")
        wrong += len(off)
    sys.exit(1 if wrong else 0)


def _tenants(slug: str) -> Iterator[str]:
    """Act for each tenant in turn, or for the one named."""
    from flask import g

    from portal.extensions import db
    from portal.kernel import primaries
    from portal.kernel.tenancy import tenant_scope
    from portal.tenants.hosts import every_tenant, tenant_by_id

    app = application()
    with app.app_context():
        try:
            found = every_tenant()
            if slug and slug not in {name for _, name in found}:
                raise click.UsageError(f"there is no tenant {slug}")
            for tenant_id, name in found:
                if slug in {"", name}:
                    with tenant_scope(tenant_id):
                        g.tenant = tenant_by_id(tenant_id)
                        yield name
        finally:
            db.session.remove()
            primaries.dispose()


def _timed(work: Callable[[], int]) -> str:
    began = time.perf_counter()
    count = work()
    return f"{count:,} purchases in {time.perf_counter() - began:.1f} s"
