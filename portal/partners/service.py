"""Businesses, their places and their staff: what an admin and an owner may change."""

from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import IntegrityError

from portal.extensions import db
from portal.identity.events import RoleChanged
from portal.identity.models import RoleAssignment, User
from portal.identity.roles import changed, refuse_more
from portal.kernel import clock
from portal.kernel.authz import BUSINESS_ROLES
from portal.kernel.commands import command, journal
from portal.kernel.errors import Conflict, NotFound, PortalError
from portal.kernel.model import I18n
from portal.partners.models import Business, BusinessLocation, BusinessStaff
from portal.tenants.limits import keep_within


class SlugTaken(PortalError):
    """Another business of the tenant has this address."""

    code, status = "business.slug_taken", 409


class LastOwner(PortalError):
    """A business cannot be left without an owner."""

    code, status = "staff.last_owner", 409


def _open_ones() -> int:
    return db.session.scalar(select(func.count()).select_from(Business).where(Business.archived_at.is_(None))) or 0


def _posts() -> int:
    given = select(func.count()).select_from(BusinessStaff).where(BusinessStaff.archived_at.is_(None))
    return db.session.scalar(given) or 0


@command("business.create")
def create_business(*, slug: str, name: str, category: str, currency: str, **more: Any) -> UUID:
    """Open a business. Raises `SlugTaken`. `more` may hold address, description_i18n, max_bonus_share, spend_confirmation."""
    keep_within("businesses", _open_ones)
    if db.session.scalar(select(Business.id).where(Business.slug == slug)):
        raise SlugTaken(
            gettext("There is a business at /%(slug)s already. Choose another address.", slug=slug), field="slug"
        )
    business = Business(
        slug=slug, name=name, category=category, currency=currency, **{"description_i18n": I18n(), **more}
    )
    db.session.add(business)
    try:
        db.session.flush()
    except IntegrityError as error:
        raise SlugTaken(
            gettext("There is a business at /%(slug)s already. Choose another address.", slug=slug), field="slug"
        ) from error
    # Its lazy accounts are there before its first sales, which would wait for the one that makes them.
    db.session.execute(
        text(
            "SELECT ledger.account('business', :id, '', :currency, type) FROM unnest(ARRAY['issuance', 'payable']) AS type"
        ),
        {"id": business.id, "currency": currency},
    )
    journal().about("business", business.id)
    return business.id


@command("business.update")
def update_business(business_id: UUID, **values: Any) -> None:
    """Change what is given of name, category, address, description_i18n, max_bonus_share, spend_confirmation."""
    business = _locked(business_id)
    for name, value in values.items():
        if name not in {"name", "category", "address", "description_i18n", "max_bonus_share", "spend_confirmation"}:
            raise ValueError(f"{name} is not changed here")
        setattr(business, name, value)
    journal().about("business", business_id)


@command("business.archive")
def archive_business(business_id: UUID, reason: str) -> None:
    """Close a business: out of every list of choices, still in history (G14). Its till stops at once."""
    business = _locked(business_id)
    if business.archived_at:
        raise Conflict(gettext("%(name)s is closed already.", name=business.name))
    business.archived_at, business.archived_by = clock.now(), g.get("actor_id")
    journal().about("business", business_id)
    journal().reason(reason)


@command("business.reopen")
def reopen_business(business_id: UUID) -> None:
    """Open a closed business again; nothing happens to one that is open. Raises `LimitReached`."""
    business = _locked(business_id)
    if business.archived_at is None:
        journal().unchanged()
        return
    keep_within("businesses", _open_ones)
    business.archived_at = business.archived_by = None
    journal().about("business", business_id)


def _locked(business_id: UUID) -> Business:
    row = db.session.scalars(select(Business).where(Business.id == business_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(gettext("There is no such business."))
    return row


@command("location.create")
def add_location(business_id: UUID, *, name: str, address: str = "") -> UUID:
    """A further place of a business; a closed one of that name opens again. Raises `Conflict` when one of that name is open."""
    place = db.session.scalars(
        select(BusinessLocation)
        .where(BusinessLocation.business_id == business_id, BusinessLocation.name == name)
        .with_for_update()
    ).one_or_none()
    if place is None:
        place = BusinessLocation(business_id=business_id, name=name)
        db.session.add(place)
    elif place.archived_at is None:
        raise Conflict(gettext("There is a place of that name already."))
    place.address, place.archived_at, place.archived_by = address, None, None
    try:
        db.session.flush()
    except IntegrityError as error:
        raise Conflict(gettext("There is a place of that name already.")) from error
    journal().about("business", business_id)
    return place.id


@command("location.archive")
def close_location(business_id: UUID, location_id: UUID) -> None:
    """Close a place: no longer offered, still in history. Its staff keep their posts, for every place."""
    place = db.session.scalars(
        select(BusinessLocation)
        .where(
            BusinessLocation.business_id == business_id,
            BusinessLocation.id == location_id,
            BusinessLocation.archived_at.is_(None),
        )
        .with_for_update()
    ).one_or_none()
    if place is None:
        raise NotFound(gettext("There is no such place."))
    place.archived_at, place.archived_by = clock.now(), g.get("actor_id")
    for held in (BusinessStaff, RoleAssignment):
        db.session.execute(update(held).where(held.location_id == location_id).values(location_id=None))
    journal().about("business", business_id)


@command("staff.add", emits=(RoleChanged,))
def add_staff(business_id: UUID, user_id: UUID, role: str, *, location_id: UUID | None = None) -> UUID:
    """Give a member a post at a business; a post that was ended is taken up again. They sign in anew (S2).

    Raises `roles.TooMuch` for a post that allows more than the giver may do there.
    """
    refuse_more(BUSINESS_ROLES[role], business_id)
    if db.session.scalar(select(User.id).where(User.id == user_id, User.archived_at.is_(None))) is None:
        raise NotFound(gettext("There is no such member."))
    keep_within("staff", _posts)
    post = db.session.scalars(
        select(BusinessStaff)
        .where(BusinessStaff.business_id == business_id, BusinessStaff.user_id == user_id, BusinessStaff.role == role)
        .with_for_update()
    ).one_or_none()
    if post is None:
        post = BusinessStaff(business_id=business_id, user_id=user_id, role=role)
        db.session.add(post)
    elif post.archived_at is None:
        raise Conflict(gettext("This person has that post already."))
    post.archived_at = post.archived_by = None
    post.location_id = location_id
    db.session.flush()
    changed(user_id, "given", role, business_id)
    journal().about("business", business_id)
    return post.id


@command("staff.move")
def move_staff(business_id: UUID, staff_id: UUID, location_id: UUID | None) -> None:
    """Another place for a post; None for every place. It opens nothing more and nothing less, so nobody signs in anew."""
    post = db.session.scalars(
        select(BusinessStaff)
        .where(
            BusinessStaff.business_id == business_id,
            BusinessStaff.id == staff_id,
            BusinessStaff.archived_at.is_(None),
        )
        .with_for_update()
    ).one_or_none()
    if post is None:
        raise NotFound(gettext("There is no such post."))
    refuse_more(BUSINESS_ROLES[post.role], business_id)
    post.location_id = location_id
    journal().about("business", business_id)


@command("staff.remove", emits=(RoleChanged,))
def remove_staff(business_id: UUID, staff_id: UUID) -> None:
    """End a post: their sessions end, and what they begin after it lacks the post (R14). Raises `LastOwner`."""
    posts = db.session.scalars(
        select(BusinessStaff)
        .where(BusinessStaff.business_id == business_id, BusinessStaff.archived_at.is_(None))
        .order_by(BusinessStaff.id)
        .with_for_update()
    ).all()
    post = next((p for p in posts if p.id == staff_id), None)
    if post is None:
        raise NotFound(gettext("There is no such post."))
    refuse_more(BUSINESS_ROLES[post.role], business_id)
    if post.role == "owner" and sum(p.role == "owner" for p in posts) == 1:
        raise LastOwner(gettext("This is the last owner. Name another one first."))
    db.session.execute(
        update(BusinessStaff)
        .where(BusinessStaff.id == staff_id)
        .values(archived_at=clock.now(), archived_by=g.get("actor_id"))
    )
    changed(post.user_id, "taken", post.role, business_id)
    journal().about("business", business_id)
