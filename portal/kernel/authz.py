"""What a person may do, and the blueprint on which every route says so (style.md 7, G2, G3)."""

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Any

from flask import Blueprint, abort, current_app, g
from flask_babel import gettext
from flask_login import current_user

from portal.kernel.errors import NotFound

View = Callable[..., Any]


class Permission(StrEnum):
    """`<noun-plural>.<verb>`, in alphabetical order; frozen, since API keys carry them as scopes."""

    AUDIT_READ = "audit.read"
    BUSINESSES_CREATE = "businesses.create"
    BUSINESSES_READ = "businesses.read"
    BUSINESSES_UPDATE = "businesses.update"
    DASHBOARD_READ = "dashboard.read"
    DELIVERIES_MANAGE = "deliveries.manage"
    DELIVERIES_READ = "deliveries.read"
    DESK_READ = "desk.read"
    IMPORTS_CREATE = "imports.create"
    KEYS_MANAGE = "keys.manage"
    KYC_APPROVE = "kyc.approve"
    KYC_READ = "kyc.read"
    MEMBERS_CREATE = "members.create"
    MEMBERS_ERASE = "members.erase"
    MEMBERS_FIND = "members.find"
    MEMBERS_IMPERSONATE = "members.impersonate"
    MEMBERS_MERGE = "members.merge"
    MEMBERS_READ = "members.read"
    MEMBERS_UPDATE = "members.update"
    OPERATORS_READ = "operators.read"
    PURCHASES_CREATE = "purchases.create"
    PURCHASES_EXPORT = "purchases.export"
    PURCHASES_IMPORT = "purchases.import"
    PURCHASES_READ = "purchases.read"
    PURCHASES_REFUND = "purchases.refund"
    ROLES_MANAGE = "roles.manage"
    SETTINGS_UPDATE = "settings.update"
    STAFF_MANAGE = "staff.manage"
    TENANTS_MANAGE = "tenants.manage"
    TIERS_READ = "tiers.read"
    TIERS_UPDATE = "tiers.update"
    WALLETS_ADJUST = "wallets.adjust"
    WALLETS_READ = "wallets.read"


class Access(StrEnum):
    """Ways to open a route without a permission; written out, so that it is a decision."""

    PUBLIC = "public"
    LOGIN = "login"
    HALF = "half"  # also whoever has shown the first factor only: the second factor's own pages (S4)


PUBLIC, LOGIN, HALF = Access.PUBLIC, Access.LOGIN, Access.HALF
P = Permission
CASHIER = frozenset({P.MEMBERS_FIND, P.MEMBERS_CREATE, P.PURCHASES_CREATE, P.PURCHASES_REFUND})
MANAGER = CASHIER | {
    P.AUDIT_READ,
    P.DESK_READ,
    P.PURCHASES_READ,
    P.PURCHASES_EXPORT,
    P.PURCHASES_IMPORT,
    P.IMPORTS_CREATE,
}
OWNER = MANAGER | {P.STAFF_MANAGE, P.KEYS_MANAGE}
EDITOR = frozenset({P.DASHBOARD_READ, P.BUSINESSES_READ, P.TIERS_READ})
SUPPORT = EDITOR | {
    P.MEMBERS_READ,
    P.MEMBERS_UPDATE,
    P.MEMBERS_IMPERSONATE,
    P.MEMBERS_MERGE,
    P.WALLETS_READ,
    P.KYC_READ,
    P.KYC_APPROVE,
}
FINANCE = EDITOR | {P.MEMBERS_READ, P.WALLETS_READ, P.WALLETS_ADJUST, P.AUDIT_READ}
ADMIN = (
    SUPPORT
    | FINANCE
    | OWNER
    | {
        P.MEMBERS_CREATE,
        P.MEMBERS_ERASE,
        P.BUSINESSES_CREATE,
        P.BUSINESSES_UPDATE,
        P.TIERS_UPDATE,
        P.DELIVERIES_READ,
        P.DELIVERIES_MANAGE,
        P.ROLES_MANAGE,
        P.SETTINGS_UPDATE,
    }
)
BUSINESS_ROLES: dict[str, frozenset[Permission]] = {"cashier": CASHIER, "manager": MANAGER, "owner": OWNER}
TENANT_ROLES: dict[str, frozenset[Permission]] = {
    "editor": EDITOR,
    "support": SUPPORT,
    "finance": FINANCE,
    "admin": frozenset(ADMIN),
}
OPERATOR: frozenset[Permission] = frozenset({P.OPERATORS_READ, P.TENANTS_MANAGE})


class SwitchedOff(NotFound):
    """The page belongs to a module that the tenant has switched off."""

    code = "module.off"

    def __init__(self) -> None:
        super().__init__(gettext("This part is switched off here."))


class PortalBlueprint(Blueprint):
    """A blueprint that refuses a route without a permission.

    `room` is the layout and the session rules it belongs to: public, member, till, desk, admin, ops. In the rooms
    till and desk the first part of the address is the business; the view finds it in `g.business`. `module` names the
    tenant's module: switched off, its routes answer 404.
    """

    def __init__(self, name: str, import_name: str, *, room: str, module: str | None = None, **options: Any) -> None:
        super().__init__(name, import_name, **options)
        self.room, self.module = room, module

    def route(  # type: ignore[override]
        self, rule: str, *, permission: Permission | Access, module: str | None = None, **options: Any
    ) -> Callable[[View], View]:
        """Like Flask's, with the permission that a call needs; `permission=` missing is a TypeError at import.

        `module` is the route's own where it is not the blueprint's.
        """
        register = super().route(rule, **options)

        def decorate(view: View) -> View:
            return register(guarded(view, permission, room=self.room, module=module or self.module))

        return decorate


def guarded(view: View, permission: Permission | Access, *, room: str, module: str | None = None) -> View:
    """The view behind its guard; tests read `permission` and `room` from it."""
    if not isinstance(permission, Permission | Access):
        raise TypeError(f"{view.__name__}: permission= takes a Permission, LOGIN or PUBLIC")

    @wraps(view)
    def run(*args: Any, **kwargs: Any) -> Any:
        if module and module not in g.tenant.modules:
            raise SwitchedOff
        if "business" in kwargs:
            g.business = _business(kwargs.pop("business"))
        require(permission)
        return view(*args, **kwargs)

    run.permission = permission  # type: ignore[attr-defined]
    run.room = room  # type: ignore[attr-defined]
    run.module = module  # type: ignore[attr-defined]
    return run


def reachable(endpoint: str) -> bool:
    """Whether there is such a page in this application and its module is switched on for the acting tenant."""
    view = current_app.view_functions.get(endpoint)
    module = getattr(view, "module", None)
    return view is not None and (not module or module in g.tenant.modules)


def require(permission: Permission | Access) -> None:
    """401 for a stranger, 403 for somebody who may not; inside a business its staff row decides."""
    if permission is PUBLIC:
        return
    if permission is HALF and g.get("half") is not None:
        return
    if not current_user.is_authenticated:
        abort(401)
    if permission is LOGIN or permission is HALF:
        return
    if not current_user.may(permission, g.get("business")):
        abort(403)
    g.needs = permission


def _business(slug: str) -> Any:
    from sqlalchemy import select

    from portal.extensions import db
    from portal.partners.models import Business

    if not current_user.is_authenticated:
        abort(401)
    row = db.session.scalars(select(Business).where(Business.slug == slug)).one_or_none()
    if row is None:
        abort(404)
    return row
