"""What happened to proofs of identity (G4)."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from portal.kernel.journal import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class KycSubmitted(Event):
    """A member sent documents."""

    TYPE: ClassVar[str] = "kyc.submitted"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    submission_id: UUID
    level: str

    @property
    def aggregate_id(self) -> UUID:
        return self.member_id


@dataclass(frozen=True, slots=True, kw_only=True)
class KycDecided(Event):
    """A submission changed its state: verified, rejected, resubmit, expired or review."""

    TYPE: ClassVar[str] = "kyc.decided"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    submission_id: UUID
    level: str
    state: str

    @property
    def aggregate_id(self) -> UUID:
        return self.member_id
