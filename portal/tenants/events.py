"""What happened to a tenant's own settings (G4)."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from portal.kernel.journal import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderLost(Event):
    """The proof of `host` has ended, so mails come from the portal's address and no more from the tenant's; for an admin."""

    TYPE: ClassVar[str] = "sender.lost"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    host: str
