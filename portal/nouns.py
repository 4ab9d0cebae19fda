"""The nouns of the portal, in the order of their layers (D9): the one list of what is loaded where."""

from importlib import import_module
from importlib.util import find_spec

NOUNS = (
    "tenants",
    "identity",
    "jobs",
    "files",
    "kyc",
    "partners",
    "wallets",
    "loyalty",
    "profiles",
    "purchases",
    "imports",
    "invitations",
    "messages",
    "telegram",
    "merging",
    "analytics",
    "reports",
    "audit",
    "leaving",
    "delivery",
    "search",
    "home",
    "platform",
)


def load(part: str) -> list[object]:
    """Import `portal.<noun>.<part>` of each noun that has one."""
    names = [f"portal.{noun}.{part}" for noun in NOUNS]
    return [import_module(name) for name in names if find_spec(name)]


def load_models() -> None:
    """Map every table."""
    load("models")
    import_module("portal.kernel.audit")
    import_module("portal.kernel.outbox")
    import_module("portal.kernel.vault")


def load_handlers() -> None:
    """Register every outbox subscriber."""
    load("handlers")
