"""A community's rules of verification: `tenants.settings["kyc"]`, with what holds where nothing is set."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import g

LEVELS = ("none", "basic", "full")
FEATURES = ("bonus.spend", "profile.public")


@dataclass(frozen=True, slots=True)
class Gate:
    """From `level` on a member may do this; below it only up to `free` minor units at once."""

    level: str
    free: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """`enabled`: members may send documents. `valid_months` and `purge_days` count from the decision."""

    enabled: bool = False
    four_eyes: bool = False
    valid_months: int = 24
    purge_days: int = 30
    gates: Mapping[str, Gate] = field(default_factory=dict)


def rules(tenant: Any = None) -> Rules:
    """The acting tenant's rules."""
    stored = (tenant or g.tenant).settings.get("kyc") or {}
    gates = {name: Gate(**given) for name, given in stored.get("gates", {}).items()}
    return Rules(**{name: value for name, value in stored.items() if name != "gates"}, gates=gates)


def reaches(held: str, needed: str) -> bool:
    """Whether one level is enough for another."""
    return LEVELS.index(held) >= LEVELS.index(needed)
