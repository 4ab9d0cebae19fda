"""What happened to the audit log itself (G4)."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from portal.kernel.journal import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSigned(Event):
    """Seal `n` over `entries` entries was signed; `member_id` is the admin to whom its hash is given."""

    TYPE: ClassVar[str] = "audit.signed"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    n: int
    entries: int
    hash: str
    signature: str
