"""What happened to people (G4)."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from portal.kernel.journal import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRegistered(Event):
    """Somebody joined; `joined_via` says how: join, till, desk, import, api, cli, demo."""

    TYPE: ClassVar[str] = "member.registered"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    joined_via: str
