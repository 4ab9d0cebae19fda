"""Reads about invitations, as Core rows."""

from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import ColumnElement, Select, and_, case, func, literal, select, text

from portal.extensions import db
from portal.identity.models import CustomRole, ForeignIdentity, TwoFactorMethod, User
from portal.identity.queries import listed
from portal.invitations.models import Invitation
from portal.partners.models import Business, BusinessLocation

I = Invitation  # noqa: E741  every line below names it
Inviter = User.__table__.alias("inviter")
_now = text("clock_timestamp()")
OPEN = and_(I.used_at.is_(None), I.withdrawn_at.is_(None))
STATES: dict[str, ColumnElement[bool]] = {
    "waiting": and_(OPEN, I.expires_at > _now),
    "accepted": I.used_at.is_not(None),
    "expired": and_(OPEN, I.expires_at <= _now),
    "withdrawn": and_(I.used_at.is_(None), I.withdrawn_at.is_not(None)),
}
_state = case(*((condition, literal(name)) for name, condition in STATES.items()), else_=literal("waiting"))


def invitations(state: str = "", q: str = "", business_id: UUID | None = None) -> Select[Any]:
    """Everybody who was asked, at one business where it is named; `q` is in the name or the contact."""
    statement: Any = (
        select(
            I.id,
            I.kind,
            func.coalesce(User.name, I.name).label("name"),
            I.target,
            I.channel,
            I.locale,
            I.member_id,
            I.role,
            I.role_id,
            CustomRole.name_i18n.label("own_role"),
            I.business_id,
            Business.name.label("business"),
            BusinessLocation.name.label("place"),
            Inviter.c.name.label("inviter"),
            I.sendings,
            I.created_at,
            I.asked_at,
            I.sent_at,
            I.expires_at,
            I.used_at,
            I.withdrawn_at,
            _state.label("state"),
        )
        .outerjoin(User, (User.tenant_id == I.tenant_id) & (User.id == I.member_id))
        .outerjoin(Inviter, (Inviter.c.tenant_id == I.tenant_id) & (Inviter.c.id == I.invited_by))
        .outerjoin(CustomRole, (CustomRole.tenant_id == I.tenant_id) & (CustomRole.id == I.role_id))
        .outerjoin(Business, (Business.tenant_id == I.tenant_id) & (Business.id == I.business_id))
        .outerjoin(
            BusinessLocation, (BusinessLocation.tenant_id == I.tenant_id) & (BusinessLocation.id == I.location_id)
        )
    )
    if business_id is not None:
        statement = statement.where(I.business_id == business_id)
    if state in STATES:
        statement = statement.where(STATES[state])
    if q:
        named = func.lower(func.coalesce(User.name, I.name)).contains(q.lower(), autoescape=True)
        statement = statement.where(named | I.target.contains(q.lower(), autoescape=True))
    narrowed: Select[Any] = statement
    return narrowed


def invitation(invitation_id: UUID) -> Any:
    """One of them, or None."""
    return db.session.execute(invitations().where(I.id == invitation_id)).one_or_none()


def never_in() -> tuple[ColumnElement[bool], ...]:
    """Members who have no way in of their own yet; what `service.signs_in` says of one."""
    keys = select(TwoFactorMethod.user_id)
    elsewhere = select(ForeignIdentity.user_id)
    return (
        User.password_hash.is_(None),
        User.email_confirmed_at.is_(None),
        User.phone_confirmed_at.is_(None),
        User.suspended_at.is_(None),
        User.id.not_in(keys),
        User.id.not_in(elsewhere),
        *listed(),
    )


def asked_already() -> ColumnElement[bool]:
    """Members who have an invitation that still opens."""
    return User.id.in_(select(I.member_id).where(STATES["waiting"], I.member_id.is_not(None)))


def inviter_name(row: Any) -> str:
    """Who invites, as the invited person reads it: the person's name, else the circle's; an owner is named by the operator."""
    return gettext("The operator of the portal") if row.kind == "owner" else str(row.inviter or g.tenant.name)
