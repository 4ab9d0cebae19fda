"""`portal relay | worker | cron`: one process each, for installations that start their own."""

import os
import sys

import click

from portal.cli.environment import installation


def _become(*module: str) -> None:
    installation()
    os.execv(sys.executable, (sys.executable, "-m", *module))  # noqa: S606  this interpreter, our own module


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
    """Start the periodic tasks; run one."""
    _become("workers.cron")
