"""`portal web | relay | worker | cron`: one process each, for installations that start their own."""

import os
import sys
from urllib.request import urlopen

import click

from portal.cli.environment import installation
from portal.settings import ROOT


def _become(*module: str) -> None:
    installation()
    os.chdir(ROOT)
    os.execv(sys.executable, (sys.executable, "-m", *module))  # noqa: S606  this interpreter, our own module


@click.command()
def web() -> None:
    """Serve pages and the API by gunicorn; any number may run."""
    _become("gunicorn", "-c", "python:portal.web.server", "wsgi:app")


@click.command()
def probe() -> None:
    """Ask the web server of this machine whether it is ready; exit 1 when it is not."""
    address = f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/readyz"
    try:
        with urlopen(address, timeout=4) as answer:
            click.echo(answer.read().decode().strip())
    except OSError as problem:  # a refusal is one too
        raise click.ClickException(f"{address}: {problem}") from None


@click.command()
def relay() -> None:
    """Carry due outbox rows to the queues; any number may run."""
    _become("workers.relay")


@click.command()
@click.argument("queue", type=click.Choice(["fast", "long"]), default="fast")
@click.option("--processes", default=1, show_default=True)
def worker(queue: str, processes: int) -> None:
    """Serve one queue."""
    _become("workers.pool", queue, str(processes))


@click.command()
def cron() -> None:
    """Start the periodic tasks; any number may run, each task is started once a period."""
    _become("workers.cron")
