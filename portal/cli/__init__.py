"""The command `portal`."""

import click


class Lazy(click.Group):
    """Sub-commands are imported when they are called, so that `portal --help` and `portal up` start at once."""

    where = {  # noqa: RUF012
        "db": ("portal.cli.database", "db"),
        "up": ("portal.cli.up", "up"),
        "web": ("portal.cli.processes", "web"),
        "probe": ("portal.cli.processes", "probe"),
        "relay": ("portal.cli.processes", "relay"),
        "worker": ("portal.cli.processes", "worker"),
        "cron": ("portal.cli.processes", "cron"),
        "seed": ("portal.cli.seed", "seed"),
        "tenant": ("portal.cli.tenant", "tenant"),
        "operator": ("portal.cli.operator", "operator"),
        "ledger": ("portal.cli.ledger", "ledger"),
        "outbox": ("portal.cli.outbox", "outbox"),
        "audit": ("portal.cli.audit", "audit"),
        "analytics": ("portal.cli.analytics", "analytics"),
        "import": ("portal.cli.imports", "import_"),
        "backup": ("portal.cli.backup", "backup"),
        "restore": ("portal.cli.restore", "restore"),
        "doctor": ("portal.cli.doctor", "doctor"),
        "vault": ("portal.cli.vault", "vault"),
        "verify": ("portal.cli.verify", "verify"),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.where)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        from importlib import import_module

        if name not in self.where:
            return None
        module, attribute = self.where[name]
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.command(cls=Lazy)
def main() -> None:
    """Krug: the portal of a community, its members and its partner businesses."""
