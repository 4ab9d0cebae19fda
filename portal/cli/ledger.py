"""`portal ledger`: the books, checked."""

import sys

import click

from portal.cli.environment import application


@click.group()
def ledger() -> None:
    """The ledger of every tenant."""


@ledger.command()
@click.option("--tenant", "slug", default="", help="Only this one.")
def verify(slug: str) -> None:
    """Re-check sums, lots, versions, balances and the chain of seals; exit 1 when anything does not fit."""
    app = application()
    from portal.kernel import primaries
    from portal.kernel.tenancy import tenant_scope
    from portal.tenants.hosts import every_tenant
    from portal.wallets.seals import CHAIN
    from portal.wallets.verify import verify as differences_of

    wrong = 0
    with app.app_context():
        for tenant_id, name in every_tenant():
            if slug and name != slug:
                continue
            with tenant_scope(tenant_id):
                found = differences_of()
                head = CHAIN.newest()
            for difference in found[:20]:
                click.echo(f"{name}: {difference}", err=True)
            wrong += len(found)
            state = f"{head.entries} postings in {head.n} seals" if head else "nothing sealed yet"
            click.echo(f"{name}: {state}, {f'{len(found)} differences' if found else 'clean'}")
        primaries.dispose()
    sys.exit(1 if wrong else 0)
