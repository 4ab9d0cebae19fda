"""Kinds of news a member can be told of, and which channels each takes unless the member says otherwise (NTF-1)."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask_babel import lazy_gettext as _

IN_APP, EMAIL = "in_app", "email"
CHANNELS = (IN_APP, EMAIL)
EVERYTHING = "*"  # the workflow of a choice that holds for a whole channel


@dataclass(frozen=True, slots=True)
class Workflow:
    """`channels` are on by default; a `critical` one cannot be switched off."""

    name: str
    channels: frozenset[str] = frozenset(CHANNELS)
    critical: bool = False

    @property
    def purpose(self) -> str:
        """What `kernel.suppression` asks: news of safety reaches suspended people too."""
        return "security" if self.critical else "transactional"


WORKFLOWS: Mapping[str, Workflow] = {
    w.name: w
    for w in (
        Workflow("purchase"),
        Workflow("tier"),
        Workflow("welcome"),
        Workflow("work", channels=frozenset({IN_APP})),
        Workflow("verification"),
        Workflow("security", critical=True),
    )
}

Choices = Mapping[tuple[str, str], bool]


def wanted(workflow: str, channel: str, chosen: Choices) -> bool:
    """First match wins: critical; this workflow on this channel; the whole channel; the workflow's default (NTF-1)."""
    rule = WORKFLOWS[workflow]
    if rule.critical:
        return True
    for key in ((workflow, channel), (EVERYTHING, channel)):
        if key in chosen:
            return chosen[key]
    return channel in rule.channels


_NAMES = {
    "purchase": _("Purchases and refunds"),
    "tier": _("Changes of your tier"),
    "welcome": _("First steps"),
    "work": _("Imports and reports you started"),
    "verification": _("Your verification"),
    "security": _("Safety of your account"),
}
_CHANNEL_NAMES = {IN_APP: _("In the inbox"), EMAIL: _("By mail")}


def workflow_name(name: str) -> str:
    """What can be switched on and off, in words."""
    return str(_NAMES.get(name, name))


def channel_name(name: str) -> str:
    """Where news arrives, in words."""
    return str(_CHANNEL_NAMES.get(name, name))
