"""`portal outbox`: what is on its way."""

import click
from sqlalchemy import text

from portal.cli.environment import application, installation


@click.group()
def outbox() -> None:
    """Events on their way to their subscribers."""


@outbox.command()
def status() -> None:
    """Lag, pending and dead deliveries of each subscriber, over all tenants."""
    import psycopg

    installation()
    from portal.settings import settings

    with psycopg.connect(settings().database_url("portal_relay")) as connection:
        rows = connection.execute(
            "SELECT subscriber, count(*) FILTER (WHERE open), count(*) FILTER (WHERE status = 'dead'),"
            " coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at) FILTER (WHERE open)), 0)::int"
            " FROM outbox_deliveries GROUP BY 1 ORDER BY 1"
        ).fetchall()
    click.echo(f"{'subscriber':<32}{'pending':>9}{'dead':>7}{'oldest':>9}")
    for name, pending, dead, oldest in rows:
        click.echo(f"{name:<32}{pending:>9}{dead:>7}{oldest:>8}s")


@outbox.command()
@click.option("--tenant", "slug", required=True)
@click.option("--subscriber", "name", default="", help="Only this one's dead letters.")
def replay(slug: str, name: str) -> None:
    """Send a tenant's dead letters once more."""
    app = application()
    from portal.delivery.service import replay_dead
    from portal.extensions import db
    from portal.identity.sessions import acting_as
    from portal.kernel.tenancy import tenant_scope

    with app.app_context():
        try:
            tenant_id = db.session.execute(text("SELECT id FROM tenants WHERE slug = :slug"), {"slug": slug}).scalar()
            if tenant_id is None:
                raise click.ClickException(f"there is no tenant {slug}")
            with tenant_scope(tenant_id), acting_as(None, "system"):
                count = replay_dead(name or None)
        finally:
            db.session.remove()
            db.engine.dispose()
    click.echo(f"{count} deliveries go out again")
