"""`portal tenant`: communities of this installation."""

import click
from flask import Flask

from portal.cli.environment import application
from portal.settings import MAIN
from portal.web.locale import supported


@click.group()
def tenant() -> None:
    """Make and list tenants."""


@tenant.command()
@click.argument("slug")
@click.option("--name", default="", help="As people see it; the slug when left out.")
@click.option("--currency", default="USD", show_default=True)
@click.option("--timezone", default="UTC", show_default=True)
@click.option(
    "--locale", "locales", multiple=True, default=supported, help="Every language that the portal speaks when left out."
)
@click.option("--kind", type=click.Choice(["live", "sandbox"]), default="live", show_default=True)
@click.option("--domain", "domains", multiple=True, help="Further host names.")
@click.option("--blank", is_flag=True, help="No business and no people, only the default tiers.")
@click.option("--admin", default="", help="E-mail of the first admin; asks for a password.")
@click.option("--business", "businesses", multiple=True, help="slug or slug=Name of a business to open at once.")
@click.option(
    "--template",
    "starter",
    default="blank",
    show_default=True,
    help="What it begins with: shops, club, school or blank.",
)
@click.option("--primary", default=MAIN, show_default=True, help="The PostgreSQL primary it lives on.")
def create(
    slug: str,
    name: str,
    currency: str,
    timezone: str,
    locales: tuple[str, ...],
    kind: str,
    domains: tuple[str, ...],
    *,
    blank: bool,
    admin: str,
    businesses: tuple[str, ...],
    starter: str,
    primary: str,
) -> None:
    """Open a tenant on <slug>.<base domain>, with the tiers, the first business and the texts of a template."""
    app = application()
    from portal.settings import settings
    from portal.tenants.service import SlugTaken
    from portal.tenants.start import open_tenant
    from portal.tenants.starters import STARTERS

    if starter not in STARTERS:
        raise click.ClickException(f"there is no template {starter}; there are {', '.join(STARTERS)}")

    if primary not in settings().primaries:
        raise click.ClickException(f"there is no primary {primary}; there are {', '.join(settings().primaries)}")
    if not blank and not admin:
        admin = click.prompt("E-mail of the first admin")
    password = click.prompt("Password", hide_input=True, confirmation_prompt=True) if admin else ""
    try:
        with app.app_context():
            made = open_tenant(
                slug,
                name=name or slug.title(),
                currency=currency,
                timezone=timezone,
                locales=locales,
                kind=kind,
                domains=domains,
                admin=(admin, password) if admin else None,
                businesses=businesses,
                primary=primary,
                starter=starter,
            )
            key = _furnished(slug) if kind == "sandbox" and not blank else ""
    except SlugTaken:
        raise click.ClickException(f"there is a tenant {slug} already") from None
    click.echo(f"tenant {slug} is open at {made}")
    if key:
        click.echo(f"the examples of {made}/api/v1/docs run with the key {key}")


def _furnished(slug: str) -> str:
    """The shop and the member of the API's examples; returns the test key, which is shown once."""
    from flask import g

    from portal.api.sandbox import furnish
    from portal.kernel.tenancy import tenant_scope
    from portal.tenants.hosts import tenant_by_id, tenant_named

    tenant_id = tenant_named(slug)
    assert tenant_id is not None  # noqa: S101  it was opened a moment ago
    with tenant_scope(tenant_id):
        g.tenant = tenant_by_id(tenant_id)
        return furnish()


@tenant.command("list")
def list_() -> None:
    """Every tenant of this installation."""
    app: Flask = application()
    from sqlalchemy import text

    from portal.kernel import primaries

    shown = text("SELECT slug, name, kind, currency, timezone FROM tenants ORDER BY slug")
    with app.app_context():
        for primary in primaries.names():
            with primaries.own_transaction(primary) as connection:
                for row in connection.execute(shown):
                    click.echo("  ".join((*row, *([primary] if len(primaries.names()) > 1 else []))))
