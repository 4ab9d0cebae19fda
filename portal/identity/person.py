"""The light user of a request: one query, no ORM (performance.md)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from flask_login import AnonymousUserMixin, UserMixin

from portal.kernel.authz import BUSINESS_ROLES, OPERATOR, TENANT_ROLES, Permission
from portal.kernel.model import I18n


@dataclass(frozen=True, slots=True)
class StaffPost:
    """Where somebody works and as what: a frozen `role`, or the id of one of the tenant's own with its `names`."""

    business_id: UUID
    slug: str
    business: str
    role: str
    location_id: UUID | None
    permissions: frozenset[Permission]
    names: I18n = field(default_factory=I18n)


def post_permissions(role: str, custom: Iterable[str] | None) -> frozenset[Permission]:
    """What a post allows: its role's permissions, or those of the tenant's own role."""
    return BUSINESS_ROLES[role] if custom is None else known(custom)


def known(names: Iterable[str]) -> frozenset[Permission]:
    """Permissions by name; one of another release is none."""
    return frozenset(Permission(name) for name in names if name in set(Permission))


class Person(UserMixin):
    """A signed-in person: what the session row and their roles say."""

    def __init__(
        self,
        *,
        id: UUID,  # noqa: A002  Flask-Login's name
        name: str,
        locale: str | None,
        timezone: str | None,
        session_id: UUID,
        roles: list[str],
        staff: list[StaffPost],
        custom: Mapping[str, Iterable[str]] | None = None,
        newcomer: bool = False,
    ) -> None:
        self.id, self.name, self.locale, self.timezone, self.session_id = id, name, locale, timezone, session_id
        self.roles, self.staff, self.newcomer = roles, staff, newcomer
        own = (known(names) for names in (custom or {}).values())
        self.permissions: frozenset[Permission] = frozenset().union(*(TENANT_ROLES[r] for r in roles), *own)

    def drop_duties(self) -> None:
        """Only the member is left: no role, no post. For support, who looks through their eyes (S14)."""
        self.roles, self.staff, self.permissions = [], [], frozenset()

    def get_id(self) -> str:
        return str(self.id)

    @property
    def initials(self) -> str:
        return "".join(word[0] for word in self.name.split()[:2]).upper()

    def may(self, permission: Permission, business: Any = None) -> bool:
        """Whether a tenant role, or a staff row at this business, gives the permission (G3)."""
        if permission in self.permissions:
            return True
        if business is None:
            return False
        return any(post.business_id == business.id and permission in post.permissions for post in self.staff)

    def works_at(self, business_id: UUID) -> StaffPost | None:
        """The post at a business, if any."""
        return next((post for post in self.staff if post.business_id == business_id), None)


@dataclass
class Stranger(AnonymousUserMixin):
    """Nobody yet."""

    id: None = None
    name: str = ""
    locale: None = None
    timezone: None = None
    roles: list[str] = field(default_factory=list)
    staff: list[StaffPost] = field(default_factory=list)
    permissions: frozenset[Permission] = frozenset()

    def may(self, permission: Permission, business: Any = None) -> bool:  # noqa: ARG002
        return False


class OperatorPerson(UserMixin):
    """An operator, in the operator's room only."""

    locale = timezone = None
    roles: tuple[str, ...] = ("operator",)
    staff: tuple[StaffPost, ...] = ()

    def __init__(self, id: UUID, name: str) -> None:  # noqa: A002
        self.id, self.name = id, name

    @property
    def initials(self) -> str:
        return "".join(word[0] for word in self.name.split()[:2]).upper()

    def may(self, permission: Permission, business: Any = None) -> bool:  # noqa: ARG002
        return permission in OPERATOR
