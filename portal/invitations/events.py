"""What happened to invitations (G4)."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from portal.kernel.journal import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationAsked(Event):
    """An invitation is to be sent, or sent again; to whom stands in `invitations`."""

    TYPE: ClassVar[str] = "invitation.asked"
    AGGREGATE: ClassVar[str] = "invitation"

    invitation_id: UUID
