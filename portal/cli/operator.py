"""`portal operator`: the people who run this installation."""

import click

from portal.cli.environment import application


@click.group()
def operator() -> None:
    """Make operators, and let one in again who lost password or second factor."""


@operator.command()
@click.argument("mail")
@click.option("--name", default="", help="As colleagues see it; what stands before the @ when left out.")
def create(mail: str, name: str) -> None:
    """Make an operator who signs in with MAIL at ops.<base domain>; asks for a password.

    The second factor is set up at the first sign-in.
    """
    app = application()
    from portal.kernel.errors import PortalError
    from portal.platform import service
    from portal.tenants.hosts import ops_url

    try:
        with app.app_context():
            if service.is_operator(mail):
                raise click.ClickException(
                    f"there is an operator {mail} already; portal operator reset {mail} gives a new password"
                )
            service.create_operator(mail, name or mail.partition("@")[0], _password())
    except PortalError as error:
        raise click.ClickException(error.message) from None
    click.echo(f"operator {mail} signs in at {ops_url()}")


@operator.command()
@click.argument("mail")
def reset(mail: str) -> None:
    """Give the operator MAIL a new password; passkeys, app, recovery codes and open sessions go.

    Asks for the password. A new second factor is set up at the next sign-in.
    """
    app = application()
    from portal.kernel.errors import PortalError
    from portal.platform import service
    from portal.tenants.hosts import ops_url

    try:
        with app.app_context():
            if not service.is_operator(mail):
                raise click.ClickException(f"there is no operator {mail}; portal operator create {mail} makes one")
            service.reset_operator(mail, _password())
    except PortalError as error:
        raise click.ClickException(error.message) from None
    click.echo(f"operator {mail} signs in at {ops_url()} with the new password and sets up a second factor there")


def _password() -> str:
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password
