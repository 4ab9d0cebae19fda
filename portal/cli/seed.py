"""`portal seed demo`: the demo world in an installation that is not started by `portal up --demo`."""

import click

from portal.cli.environment import installation


@click.group()
def seed() -> None:
    """Fill an installation."""


@seed.command()
@click.option("--mail-url", default="", help="Where the mailbox of the demo can be read.")
def demo(mail_url: str) -> None:
    """Build the demo world; harmless the second time."""
    installation()
    from portal.demo.world import build_once

    build_once(mail_url=mail_url, say=click.echo)
