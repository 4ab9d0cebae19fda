"""What happens to a tenant (G4)."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from portal.kernel.journal import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminInvited(Event):
    """Somebody is to answer for a tenant, as the first admin of a new one unless it was `opened` before; they choose a
    password by the link in a mail.
    """

    TYPE: ClassVar[str] = "admin.invited"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    opened: bool = True
