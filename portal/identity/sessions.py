"""Sessions: an opaque cookie, its row in PostgreSQL, the light user made from it in one query (D37, D38, security.md 3).

A visitor without a session gets a signed cookie with nothing but a CSRF token; a signed-in person's session data lives
in `device_sessions.data`. Redis is not asked at all: losing it logs nobody out.
"""

import copy
import hashlib
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import Flask, Response, g, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_babel import gettext
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from portal.extensions import db, login_manager
from portal.identity.models import DeviceSession
from portal.identity.person import Person, StaffPost, Stranger, post_permissions
from portal.kernel.authz import Permission
from portal.kernel.books import plain
from portal.kernel.errors import LookingOnly, PortalError
from portal.kernel.model import I18n
from portal.kernel.side import side_transaction
from portal.settings import settings
from portal.tenants.hosts import enter_tenant
from portal.web.security import SAFE

log = logging.getLogger(__name__)

WHILE_LOOKING = {"identity.stop_looking", "identity.language", "identity.theme", "static"}
SEEN_EVERY = timedelta(minutes=1)
LIVES: dict[str, tuple[timedelta, timedelta]] = {  # idle, absolute (D37)
    "member": (timedelta(days=60), timedelta(days=180)),
    "cashier": (timedelta(hours=12), timedelta(days=90)),
    "desk": (timedelta(hours=8), timedelta(days=7)),
    "admin": (timedelta(minutes=30), timedelta(hours=12)),
    "looking": (timedelta(minutes=15), timedelta(minutes=30)),  # support, through a member's eyes
    "half": (timedelta(minutes=30), timedelta(minutes=30)),  # time to find the telephone, or to enrol one
}
DESK_ROLES = {"manager", "owner", "editor", "support"}
_FIND = text("""
SELECT s.id, s.user_id, s.auth_epoch, s.data, s.last_seen_at, s.idle_until, s.expires_at, u.name, u.locale, u.timezone,
       s.state, s.amr, s.proved_at, s.impersonator_id, clock_timestamp() AS now,
       u.welcomed_at IS NULL AND u.joined_at > clock_timestamp() - interval '30 days' AS newcomer,
       ARRAY(SELECT role FROM tenant_roles r WHERE r.tenant_id = s.tenant_id AND r.user_id = u.id) AS roles,
       (SELECT coalesce(jsonb_object_agg(c.id, c.permissions), '{}')
          FROM role_assignments a JOIN custom_roles c ON c.tenant_id = a.tenant_id AND c.id = a.role_id
         WHERE a.tenant_id = s.tenant_id AND a.user_id = u.id AND a.business_id IS NULL) AS custom,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(b.id, b.slug, b.name, f.role, f.location_id, f.permissions, f.names)
                                  ORDER BY b.name, f.role), '[]')
          FROM (SELECT business_id, role, location_id, NULL::text[] AS permissions, NULL::jsonb AS names FROM business_staff
                 WHERE tenant_id = s.tenant_id AND user_id = u.id AND archived_at IS NULL
                 UNION ALL
                SELECT a.business_id, c.id::text, a.location_id, c.permissions, c.name_i18n
                  FROM role_assignments a JOIN custom_roles c ON c.tenant_id = a.tenant_id AND c.id = a.role_id
                 WHERE a.tenant_id = s.tenant_id AND a.user_id = u.id AND a.business_id IS NOT NULL) f
          JOIN businesses b ON b.tenant_id = s.tenant_id AND b.id = f.business_id
         WHERE b.archived_at IS NULL) AS staff
  FROM device_sessions s JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
 WHERE s.tenant_id = :tenant AND s.token_hash = :hash AND s.revoked_at IS NULL AND s.auth_epoch = u.auth_epoch
   AND u.suspended_at IS NULL AND u.archived_at IS NULL
   AND s.idle_until > clock_timestamp() AND s.expires_at > clock_timestamp()
""")


class Fallen(PortalError):
    """What somebody was about to do needs a role that was taken from them meanwhile."""

    code, status = "session.fallen", 403


class PortalSession(SecureCookieSession):
    """Flask's session object; where it is stored depends on who is there."""


class PortalSessionInterface(SecureCookieSessionInterface):
    """The visitor's signed cookie; `enter_session` puts a signed-in person's stored data in its place."""

    session_class = PortalSession

    def get_cookie_name(self, app: Flask) -> str:  # noqa: ARG002
        return "__Host-anon" if settings().secure else "anon"

    def save_session(self, app: Flask, session: Any, response: Response) -> None:
        if request.endpoint == "static":
            return  # the same for everybody
        row = g.get("device_session")
        if row is None:
            super().save_session(app, session, response)
        elif session.modified and dict(session) != row.data:
            import json

            try:
                db.session.rollback()  # the view is done: one request never holds two connections
                side_transaction(
                    "UPDATE device_sessions SET data = cast(:data AS jsonb) WHERE tenant_id = :tenant AND id = :id",
                    {"data": json.dumps(dict(session), default=plain), "tenant": g.tenant_id, "id": row.id},
                )
            except (DBAPIError, PoolTimeout) as error:  # what was done is done, and its answer stands (F13)
                log.warning("a session's data was not kept: %s", error)


def init_app(app: Flask) -> None:
    """Make the host, then the session, the first two things that a request learns."""
    app.session_interface = PortalSessionInterface()
    app.config.update(
        SESSION_COOKIE_SECURE=settings().secure, SESSION_COOKIE_SAMESITE="Lax", SESSION_COOKIE_HTTPONLY=True
    )
    app.extensions.setdefault("any_host", set())
    from portal.platform.rooms import keep_apart

    app.before_request(enter_tenant)
    app.before_request(keep_apart)
    app.before_request(enter_session)
    from portal.identity.views.agreeing import gate

    app.before_request(gate)
    app.before_request(look_only)
    app.after_request(_send_cookie)
    login_manager.request_loader(lambda _: g.get("person"))
    login_manager.anonymous_user = Stranger


def cookie_name() -> str:
    """`sid` on plain http, `__Host-sid` everywhere else."""
    return "__Host-sid" if settings().secure else "sid"


def enter_session() -> None:
    """Find who is signed in; an unknown, old or foreign cookie makes a stranger.

    Whoever has shown only the first of two factors is a stranger too, to every route but those marked HALF, which find
    the session's row in `g.half` (S4).
    """
    token = request.cookies.get(cookie_name(), "")
    if not token or g.get("unknown_host") or request.endpoint == "static":
        return
    if g.get("ops"):
        from portal.platform import sessions as operators

        operators.enter(token)
        return
    row = db.session.execute(_FIND, {"tenant": g.tenant_id, "hash": token_hash(token)}).one_or_none()
    if row is None:
        g.drop_cookie = True
        return
    g.device_session = row
    session.clear()
    session.update(copy.deepcopy(row.data))
    session.modified = False
    if row.state == "half":
        g.half = row
        return
    g.person = _person(row)
    g.standing = _refuse_fallen
    g.actor_id, g.actor_kind = row.user_id, "member"
    if row.impersonator_id is not None:  # support sees the member's own pages; the entry names both (S14, AUD-1)
        g.looking, g.actor_id, g.on_behalf_of = row, row.impersonator_id, row.user_id
        g.person.drop_duties()
        return
    if row.now - row.last_seen_at > SEEN_EVERY:
        _touch(row, kind_of([*g.person.roles, *row.custom], [post.role for post in g.person.staff]))


def _person(row: Any) -> Person:
    return Person(
        id=row.user_id,
        name=row.name,
        locale=row.locale,
        timezone=row.timezone,
        session_id=row.id,
        newcomer=row.newcomer,
        roles=row.roles,
        custom=row.custom,
        staff=[
            StaffPost(
                UUID(b),
                slug,
                name,
                role,
                UUID(loc) if loc else None,
                post_permissions(role, permissions),
                I18n(names or {}),
            )
            for b, slug, name, role, loc, permissions, names in row.staff
        ],
    )


def _refuse_fallen(permission: Permission) -> None:
    """A command of a request begins: the session, and the permission that opened the page, must hold still (R14)."""
    token = request.cookies.get(cookie_name(), "")
    row = db.session.execute(_FIND, {"tenant": g.tenant_id, "hash": token_hash(token)}).one_or_none()
    if row is None or not _person(row).may(permission, g.get("business")):
        raise Fallen(gettext("You may not do this any more: your roles changed a moment ago."))


def _touch(row: Any, kind: str) -> None:
    db.session.rollback()  # gives the connection back first
    side_transaction(
        "UPDATE device_sessions SET last_seen_at = clock_timestamp(),"
        " idle_until = least(expires_at, clock_timestamp() + :idle) WHERE tenant_id = :tenant AND id = :id",
        {"idle": LIVES[kind][0], "tenant": g.tenant_id, "id": row.id},
    )


def kind_of(roles: list[str], staff_roles: list[str]) -> str:
    """The strictest life among a person's roles; those that a tenant made live as short as an admin's."""
    held = {*roles, *staff_roles}
    if held - DESK_ROLES - {"cashier"}:
        return "admin"
    if held & DESK_ROLES:
        return "desk"
    return "cashier" if held else "member"


def token_hash(token: str) -> str:
    """What is stored of a cookie."""
    return hashlib.sha256(token.encode()).hexdigest()


def look_only() -> None:
    """Before each request: whoever looks through another's eyes reads, and stops looking; nothing else (S14)."""
    if g.get("looking") and request.method not in SAFE and request.endpoint not in WHILE_LOOKING:
        raise LookingOnly


def real_now() -> datetime:
    """The database's own time: sessions live by it, whatever a sandbox tenant's clock says."""
    return db.session.execute(text("SELECT clock_timestamp()")).scalar_one()


def open_session(
    user_id: UUID,
    *,
    auth_epoch: int,
    kind: str,
    user_agent: str,
    ip: str,
    now: datetime,
    amr: str = "pwd",
    half: bool = False,
    impersonator_id: UUID | None = None,
) -> str:
    """A new session row, inside a command; `now` is `real_now()`. Returns the cookie's value, kept nowhere else.

    `amr` says by what it was opened: pwd, otp-email, otp-sms, tg, swk, and after a `+` the second factor.
    A `half` one waits for it.
    """
    token = secrets.token_urlsafe(32)
    idle, absolute = LIVES["half" if half else kind]
    db.session.add(
        DeviceSession(
            token_hash=token_hash(token),
            user_id=user_id,
            auth_epoch=auth_epoch,
            amr=amr,
            state="half" if half else "full",
            proved_at=None if half or impersonator_id else now,
            impersonator_id=impersonator_id,
            data={},
            user_agent=user_agent[:300],
            ip=ip,
            created_at=now,
            last_seen_at=now,
            idle_until=now + min(idle, absolute),
            expires_at=now + absolute,
        )
    )
    return token


def revoke(session_id: UUID) -> None:
    """End a session, inside a command."""
    db.session.execute(
        update(DeviceSession)
        .where(DeviceSession.id == session_id, DeviceSession.revoked_at.is_(None))
        .values(revoked_at=real_now())
    )


def revoke_all(user_id: UUID, *, but: UUID | None = None) -> int:
    """End every session of a person, but one if named, inside a command; returns how many ended."""
    open_ones = update(DeviceSession).where(DeviceSession.user_id == user_id, DeviceSession.revoked_at.is_(None))
    if but is not None:
        open_ones = open_ones.where(DeviceSession.id != but)
    return len(db.session.execute(open_ones.values(revoked_at=real_now()).returning(DeviceSession.id)).all())


def hand_cookie(token: str) -> None:
    """Send this session's cookie with the answer, and forget the visitor's session: ids change at sign-in (S2)."""
    session.clear()
    g.send_cookie = token


def keep_own(token: str) -> None:
    """Keep the cookie of one's own session aside while one looks through a member's eyes."""
    g.keep_own = token


def own_kept() -> str | None:
    """The cookie that was kept aside."""
    return request.cookies.get(_aside())


def _aside() -> str:
    return "__Host-own" if settings().secure else "own"


def drop_cookie() -> None:
    """Take the cookie away with the answer."""
    session.clear()
    g.device_session = None
    g.drop_cookie = True


def _send_cookie(response: Response) -> Response:
    options: dict[str, Any] = {"secure": settings().secure, "httponly": True, "samesite": "Lax", "path": "/"}
    if token := g.get("send_cookie"):
        response.set_cookie(cookie_name(), token, max_age=int(timedelta(days=180).total_seconds()), **options)
        if g.get("keep_own"):
            response.set_cookie(_aside(), g.keep_own, max_age=int(LIVES["looking"][1].total_seconds()), **options)
        elif own_kept():
            response.delete_cookie(_aside(), **options)
    elif g.get("drop_cookie"):
        response.delete_cookie(cookie_name(), **options)
    return response


@contextmanager
def acting_as(actor_id: UUID | None, kind: str) -> Iterator[None]:
    """Name who acts where no browser does: API keys, jobs, the command line; a session that is there counts for nothing."""
    before = g.get("actor_id"), g.get("actor_kind"), g.get("standing")
    g.actor_id, g.actor_kind, g.standing = actor_id, kind, None
    try:
        yield
    finally:
        g.actor_id, g.actor_kind, g.standing = before
