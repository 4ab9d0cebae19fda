"""What happened to tiers (LOY-11)."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from portal.kernel.journal import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class TierChanged(Event):
    """A member stands on another tier; `cause` is earned, expired, manual or refund. Codes are the tiers' own."""

    TYPE: ClassVar[str] = "tier.changed"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    from_tier: str
    to_tier: str
    up: bool
    cause: str
