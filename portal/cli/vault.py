"""`portal vault`: the keys of secrets at rest."""

import click

from portal.cli.environment import application


@click.group()
def vault() -> None:
    """The keys under which documents and factors are kept."""


@vault.command()
def rewrap() -> None:
    """Put every tenant's key under the newest MASTER_KEY; then the old one may leave MASTER_KEY_FALLBACKS."""
    app = application()
    from portal.kernel import primaries
    from portal.kernel.commands import command
    from portal.kernel.tenancy import tenant_scope
    from portal.kernel.vault import rewrap as rewrap_one
    from portal.tenants.hosts import every_tenant

    run = command("vault.rewrap")(rewrap_one)
    with app.app_context():
        for tenant_id, name in every_tenant():
            with tenant_scope(tenant_id):
                click.echo(f"{name}: {'rewrapped' if run() else 'nothing to do'}")
        primaries.dispose()
