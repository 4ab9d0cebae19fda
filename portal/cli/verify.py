"""`portal verify`: every invariant of every tenant, counted."""

import json
import sys
from collections.abc import Iterable
from typing import Any

import click

from portal.cli.environment import application

TOLD = 10  # differences of one check that are shown


@click.command()
@click.option("--drained", is_flag=True, help="Nothing may be on its way any more.")
@click.option("--json", "as_json", is_flag=True, help="Counts as one JSON object.")
def verify(*, drained: bool, as_json: bool) -> None:
    """Count what breaks an invariant (I1 to I15), in every tenant; exit 1 when anything does.

    Each noun brings the checks of what it keeps.
    """
    found = differences(application(), drained=drained)
    for name, told in found.items():
        for difference in told[:TOLD]:
            click.echo(f"{name}: {difference}", err=True)
    counts = {name: len(told) for name, told in sorted(found.items())}
    if as_json:
        click.echo(json.dumps(counts))
    else:
        for name, count in counts.items():
            click.echo(f"{count:>8}  {name}")
    sys.exit(1 if any(counts.values()) else 0)


def differences(app: Any, *, drained: bool) -> dict[str, list[str]]:
    """Each check and what it found, in words, over all tenants."""
    found: dict[str, list[str]] = {}
    with app.app_context():
        for name, told in _found(drained=drained):
            found[name] = found.get(name, []) + told
    return found


def _found(*, drained: bool) -> Iterable[tuple[str, list[str]]]:
    from portal import nouns
    from portal.kernel import verify as kernel
    from portal.kernel.tenancy import tenant_scope
    from portal.tenants.hosts import every_tenant

    checks: dict[str, Any] = {**kernel.CHECKS, **(kernel.DRAINED if drained else {})}
    for module in nouns.load("verify"):
        checks |= vars(module)["CHECKS"]
    for tenant_id, slug in every_tenant():
        with tenant_scope(tenant_id):
            for name, check in checks.items():
                yield name, [f"{slug}: {difference}" for difference in kernel.found_by(check)]
    yield from kernel.across_tenants()
