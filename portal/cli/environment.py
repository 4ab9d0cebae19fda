"""Where a command finds the installation: the environment, else what `portal up` left in var/run.json, else engines of its own."""

import atexit
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from portal import embedded
from portal.cli.up import ADDRESSES, enter

if TYPE_CHECKING:
    from portal.app import PortalApp


def installation(*, migrate: bool = True) -> None:
    """Set the environment; starts embedded engines for this command when nothing runs. Raises `ClickException`."""
    if all(os.environ.get(name) for name in (*ADDRESSES, "SECRET_KEY")):
        return
    var = Path(os.environ.get("VAR_DIR", "var")).resolve()
    run = var / "run.json"
    try:
        given = {name: os.environ[name] for name in ADDRESSES if os.environ.get(name)}
        engines = embedded.start(var, given=given)
    except embedded.AlreadyRunning:
        if not run.exists():
            raise click.ClickException("the portal is just starting; try again in a moment") from None
        values = json.loads(run.read_text())
        os.environ.update({name: value for name, value in values.items() if not os.environ.get(name)})
        return
    except embedded.EngineFailed as problem:
        raise click.ClickException(str(problem)) from None
    atexit.register(engines.stop)
    port = int(json.loads(run.read_text())["PORT"]) if run.exists() else int(os.environ.get("PORT", "8000"))
    enter(var, engines.engines, port)
    if not migrate:
        return
    from portal.analytics.migrate import upgrade as upgrade_clickhouse
    from portal.cli import database

    database.upgrade()
    upgrade_clickhouse()


def application() -> "PortalApp":
    """The portal, for commands that call services."""
    installation()
    from portal import create_app

    return create_app()
