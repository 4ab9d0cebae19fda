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


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersImported(Event):
    """A batch of people who joined long ago was taken over, `count` of them, their ids from `first_id` to `last_id`."""

    TYPE: ClassVar[str] = "members.imported"
    AGGREGATE: ClassVar[str] = "member"

    first_id: UUID
    last_id: UUID
    count: int
    joined_via: str

    @property
    def aggregate_id(self) -> UUID:
        return self.first_id
