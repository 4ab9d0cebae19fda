"""`portal audit`: the chain over the audit log."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from portal.cli.environment import application

TOLD = 20


@click.group()
def audit() -> None:
    """The audit log of every tenant."""


@audit.command()
@click.option("--tenant", "slug", default="", help="Only this one.")
@click.option(
    "--root",
    "kept",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A signed root that was kept outside.",
)
def verify(slug: str, kept: tuple[Path, ...]) -> None:
    """Check every sealed entry, the chain of seals and the signed roots; exit 1 when anything does not fit."""
    app = application()
    from portal.audit.seals import CHAIN
    from portal.audit.verify import broken
    from portal.kernel import primaries
    from portal.kernel.tenancy import tenant_scope
    from portal.tenants.hosts import every_tenant

    roots = [_root(path) for path in kept]
    wrong, seen = 0, set()
    with app.app_context():
        for tenant_id, name in every_tenant():
            if slug and name != slug:
                continue
            with tenant_scope(tenant_id):
                found = broken([root for root in roots if root["tenant"] == str(tenant_id)])
                head = CHAIN.newest()
            seen.add(str(tenant_id))
            for difference in found[:TOLD]:
                click.echo(f"{name}: {difference}", err=True)
            wrong += len(found)
            state = f"{head.entries} entries in {head.n} seals" if head else "nothing sealed yet"
            click.echo(f"{name}: {state}, {f'{len(found)} differences' if found else 'all as it was sealed'}")
        primaries.dispose()
    for root in roots:
        if root["tenant"] not in seen:
            click.echo(f"no tenant here has the id {root['tenant']} of the given root", err=True)
            wrong += 1
    sys.exit(1 if wrong else 0)


def _root(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text())
    except ValueError:
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("tenant"), str):
        raise click.ClickException(f"{path} is no signed root")
    return told
