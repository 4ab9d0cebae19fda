"""What happened when somebody left (G4)."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from portal.kernel.journal import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberErased(Event):
    """Nobody stands behind this id any more; whoever keeps copies drops them."""

    TYPE: ClassVar[str] = "member.erased"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
