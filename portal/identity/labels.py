"""How roles and ways of joining are called (G16)."""

from flask_babel import gettext


def role(name: str) -> str:
    """A role in words."""
    names = {
        "member": gettext("Member"),
        "cashier": gettext("Cashier"),
        "manager": gettext("Manager"),
        "owner": gettext("Owner"),
        "editor": gettext("Editor"),
        "support": gettext("Support"),
        "finance": gettext("Finance"),
        "admin": gettext("Admin"),
    }
    return names.get(name, name)


def joined_via(way: str) -> str:
    """How a member came here."""
    ways = {
        "join": gettext("Joined by themselves"),
        "till": gettext("Joined at a till"),
        "desk": gettext("Written in by staff"),
        "import": gettext("Came with an import"),
        "api": gettext("Joined through the API"),
        "cli": gettext("Made with the community"),
        "demo": gettext("Part of the demo"),
    }
    return ways.get(way, way)
