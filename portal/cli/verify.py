"""`portal verify`: every invariant of every tenant, counted."""

import json
import sys
from collections.abc import Iterable
from typing import Any

import click
from sqlalchemy import text

from portal.cli.environment import application

TOLD = 10  # differences of one check that are shown


@click.command()
@click.option("--drained", is_flag=True, help="Nothing may be on its way any more.")
@click.option("--json", "as_json", is_flag=True, help="Counts as one JSON object.")
def verify(*, drained: bool, as_json: bool) -> None:
    """Count what breaks an invariant (I1 to I15), in every tenant; exit 1 when anything does.

    Each noun brings the checks of what it keeps.
    """
    app = application()
    counts: dict[str, int] = {}
    with app.app_context():
        for name, found in _found(drained=drained):
            counts[name] = counts.get(name, 0) + len(found)
            for difference in found[:TOLD]:
                click.echo(f"{name}: {difference}", err=True)
    if as_json:
        click.echo(json.dumps(counts))
    else:
        for name in sorted(counts):
            click.echo(f"{counts[name]:>8}  {name}")
    sys.exit(1 if any(counts.values()) else 0)


def _found(*, drained: bool) -> Iterable[tuple[str, list[str]]]:
    from portal import nouns
    from portal.extensions import db
    from portal.kernel import verify as kernel
    from portal.kernel.tenancy import tenant_scope

    checks: dict[str, Any] = {**kernel.CHECKS, **(kernel.DRAINED if drained else {})}
    for module in nouns.load("verify"):
        checks |= vars(module)["CHECKS"]
    tenants = db.session.execute(text("SELECT id, slug FROM tenants ORDER BY slug")).all()
    for tenant_id, slug in tenants:
        with tenant_scope(tenant_id):
            for name, check in checks.items():
                yield name, [f"{slug}: {difference}" for difference in kernel.found_by(check)]
