"""`portal outbox`: what is on its way."""

import click

from portal.cli.environment import application, installation


@click.group()
def outbox() -> None:
    """Events on their way to their subscribers."""


@outbox.command()
def status() -> None:
    """Lag, pending and dead deliveries of each subscriber, over all tenants."""
    installation()
    from portal.kernel.primaries import connect, names

    click.echo(f"{'subscriber':<32}{'pending':>9}{'dead':>7}{'oldest':>9}")
    for primary in names():
        if len(names()) > 1:
            click.echo(f"{primary}:")
        with connect("portal_relay", primary) as connection:
            for name, pending, dead, oldest in connection.execute(
                "SELECT subscriber, count(*) FILTER (WHERE open), count(*) FILTER (WHERE status = 'dead'),"
                " coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at) FILTER (WHERE open)), 0)::int"
                " FROM outbox_deliveries GROUP BY 1 ORDER BY 1"
            ):
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
    from portal.kernel import primaries
    from portal.kernel.tenancy import tenant_scope
    from portal.tenants.hosts import tenant_named

    with app.app_context():
        try:
            tenant_id = tenant_named(slug)
            if tenant_id is None:
                raise click.ClickException(f"there is no tenant {slug}")
            with tenant_scope(tenant_id), acting_as(None, "system"):
                count = replay_dead(name or None)
        finally:
            db.session.remove()
            primaries.dispose()
    click.echo(f"{count} deliveries go out again")
