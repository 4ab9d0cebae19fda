"""What happened to people (G4)."""

from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRequested(Event):
    """Somebody asked for a one-time code; whom it goes to stands in `one_time_codes`."""

    TYPE: ClassVar[str] = "code.requested"
    AGGREGATE: ClassVar[str] = "code"

    challenge_id: UUID

    @property
    def aggregate_id(self) -> UUID:
        return self.challenge_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetRequested(Event):
    """Somebody asked for a link to a new password; whom it goes to stands in `password_resets`."""

    TYPE: ClassVar[str] = "reset.requested"
    AGGREGATE: ClassVar[str] = "reset"

    reset_id: UUID

    @property
    def aggregate_id(self) -> UUID:
        return self.reset_id


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChanged(Event):
    """A member has a new password; `by` says how: reset, member."""

    TYPE: ClassVar[str] = "password.changed"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactChanged(Event):
    """A member's e-mail or phone is another; both stand in `contact_changes`."""

    TYPE: ClassVar[str] = "contact.changed"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    change_id: UUID
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorAdded(Event):
    """A member has one more way to show who they are; `kind`: passkey, totp, email, sms."""

    TYPE: ClassVar[str] = "factor.added"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    method_id: UUID
    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorRemoved(Event):
    """A member has one way less to show who they are."""

    TYPE: ClassVar[str] = "factor.removed"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    method_id: UUID
    kind: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCodeUsed(Event):
    """Somebody came in with a recovery code; `left` are unused."""

    TYPE: ClassVar[str] = "recovery_code.used"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLookedAt(Event):
    """Somebody of support began to look through the member's eyes, and said why."""

    TYPE: ClassVar[str] = "member.looked_at"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    by: UUID
    reason: str

    @property
    def aggregate_id(self) -> UUID:
        return self.member_id


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityLinked(Event):
    """A member is known elsewhere too, and can sign in from there; `provider`: telegram."""

    TYPE: ClassVar[str] = "identity.linked"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityUnlinked(Event):
    """A member cut the tie to a provider."""

    TYPE: ClassVar[str] = "identity.unlinked"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersMerged(Event):
    """`merged_id` was another account of the same person and leads to `member_id` from now on (D28)."""

    TYPE: ClassVar[str] = "member.merged"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    merged_id: UUID
    merge_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersParted(Event):
    """A merge was undone: `merged_id` is a member of their own again."""

    TYPE: ClassVar[str] = "member.parted"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    merged_id: UUID
    merge_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChanged(Event):
    """Somebody has a role more or less, or one of theirs allows something else now; `how`: given, taken, changed.

    `role` is a frozen role, or the name of one of the tenant's own in its first language; `names` are those in all its
    languages, none for a frozen one; `business` the shop's name, "" for one over the tenant.
    """

    TYPE: ClassVar[str] = "role.changed"
    AGGREGATE: ClassVar[str] = "member"

    member_id: UUID
    how: str
    role: str
    business: str
    names: dict[str, str] = field(default_factory=dict)
