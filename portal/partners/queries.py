"""Reads about businesses and their staff, as Core rows."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select, true

from portal.extensions import db
from portal.identity.models import CustomRole, RoleAssignment, User
from portal.partners.models import ApiKey, ApiKeyUse, Business, BusinessLocation, BusinessStaff


def open_businesses() -> Sequence[Any]:
    """Businesses a member may visit, by name."""
    return db.session.execute(
        select(
            Business.id,
            Business.slug,
            Business.name,
            Business.category,
            Business.address,
            Business.currency,
            Business.description_i18n,
        )
        .where(Business.archived_at.is_(None))
        .order_by(Business.name)
    ).all()


STAFF = (
    select(func.count())
    .where(
        BusinessStaff.tenant_id == Business.tenant_id,
        BusinessStaff.business_id == Business.id,
        BusinessStaff.archived_at.is_(None),
    )
    .correlate(Business)
    .scalar_subquery()
)
STATES = {"open": Business.archived_at.is_(None), "closed": Business.archived_at.is_not(None), "all": true()}


def businesses(q: str = "", state: str = "open") -> Select[Any]:
    """The admin's list; `q` is in the name, in the address or begins the kind."""
    statement = select(
        Business.id,
        Business.slug,
        Business.name,
        Business.category,
        Business.currency,
        Business.max_bonus_share,
        Business.spend_confirmation,
        Business.archived_at,
        Business.created_at,
        STAFF.label("staff"),
    ).where(STATES.get(state, STATES["open"]))
    if q:
        statement = statement.where(
            func.lower(Business.name).contains(q.lower(), autoescape=True)
            | Business.slug.contains(q.lower(), autoescape=True)
            | func.lower(Business.category).startswith(q.lower(), autoescape=True)
        )
    return statement


def staff_of(business_id: UUID) -> Sequence[Any]:
    """Who works at a business: owners first."""
    return db.session.execute(
        select(
            BusinessStaff.id,
            BusinessStaff.role,
            User.id.label("user_id"),
            User.name,
            User.email,
            User.phone,
            BusinessLocation.name.label("location"),
            BusinessStaff.location_id,
        )
        .join(User, (User.tenant_id == BusinessStaff.tenant_id) & (User.id == BusinessStaff.user_id))
        .outerjoin(
            BusinessLocation,
            (BusinessLocation.tenant_id == BusinessStaff.tenant_id)
            & (BusinessLocation.id == BusinessStaff.location_id),
        )
        .where(BusinessStaff.business_id == business_id, BusinessStaff.archived_at.is_(None))
        .order_by(BusinessStaff.role.desc(), User.search_text)
    ).all()


def own_roles_at(business_id: UUID) -> Sequence[Any]:
    """Who has a role of the circle's own at a business, by name."""
    held, place = RoleAssignment, BusinessLocation
    return db.session.execute(
        select(
            held.id,
            CustomRole.name.label("role"),
            User.name,
            User.email,
            User.phone,
            place.name.label("location"),
            held.location_id,
        )
        .join(CustomRole, (CustomRole.tenant_id == held.tenant_id) & (CustomRole.id == held.role_id))
        .join(User, (User.tenant_id == held.tenant_id) & (User.id == held.user_id))
        .outerjoin(place, (place.tenant_id == held.tenant_id) & (place.id == held.location_id))
        .where(held.business_id == business_id)
        .order_by(User.search_text, CustomRole.name)
    ).all()


def open_places() -> Sequence[Any]:
    """Every place of every open business, with the business's name."""
    return db.session.execute(
        select(BusinessLocation.id, BusinessLocation.name, Business.name.label("business"))
        .join(
            Business, (Business.tenant_id == BusinessLocation.tenant_id) & (Business.id == BusinessLocation.business_id)
        )
        .where(BusinessLocation.archived_at.is_(None), Business.archived_at.is_(None))
        .order_by(Business.name, BusinessLocation.name)
    ).all()


def locations_of(business_id: UUID) -> Sequence[Any]:
    """The places of a business."""
    return db.session.execute(
        select(BusinessLocation.id, BusinessLocation.name, BusinessLocation.address)
        .where(BusinessLocation.business_id == business_id, BusinessLocation.archived_at.is_(None))
        .order_by(BusinessLocation.name)
    ).all()


def keys_of(business_id: UUID) -> Sequence[Any]:
    """The API keys of a business, live ones first, with the hour they were last seen."""
    last = (
        select(func.max(ApiKeyUse.hour))
        .where(ApiKeyUse.tenant_id == ApiKey.tenant_id, ApiKeyUse.key_id == ApiKey.id)
        .scalar_subquery()
    )
    return db.session.execute(
        select(
            ApiKey.id,
            ApiKey.name,
            ApiKey.prefix,
            ApiKey.scopes,
            ApiKey.created_at,
            ApiKey.expires_at,
            ApiKey.revoked_at,
            last.label("last_used"),
        )
        .where(ApiKey.business_id == business_id)
        .order_by(ApiKey.revoked_at.is_not(None), ApiKey.created_at.desc())
    ).all()


def named() -> Sequence[Any]:
    """Every business by name, the closed ones too: address and name."""
    return db.session.execute(select(Business.slug, Business.name).order_by(Business.name, Business.slug)).all()


def of_slug(slug: str) -> Any:
    """The acting tenant's business at this address, or None."""
    return db.session.execute(select(Business.id, Business.name).where(Business.slug == slug)).one_or_none()
