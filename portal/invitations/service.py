"""Invitations: 256 bits, a week, once; bound to the tenant, the contact and what they give (security.md 8, R12).

Nobody gives by a link more than they may do themselves, neither when it is made nor when it is accepted: what a link
gives is given in the name of whoever made it, in the transaction that uses the link up.
"""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import select, text

from portal.extensions import db
from portal.identity import (
    access,
    codes,
    consents,
    contacts,
    factors,
    joining,
    passwords,
    queries,
    roles,
    service,
    sessions,
)
from portal.identity.models import CustomRole, ForeignIdentity, TwoFactorMethod, User
from portal.invitations.events import InvitationAsked
from portal.invitations.models import Invitation
from portal.kernel.authz import BUSINESS_ROLES, TENANT_ROLES, Permission
from portal.kernel.commands import command, emit, journal
from portal.kernel.errors import Conflict, NotFound, PortalError
from portal.kernel.model import new_id
from portal.kernel.side import side_transaction
from portal.kernel.tenancy import current_tenant_id
from portal.kernel.turns import take_turn
from portal.partners.models import Business, BusinessLocation
from portal.partners.service import add_staff
from portal.web.locale import offered

LIFE = timedelta(days=7)
OWNER = "owner"  # to who answers for the tenant, by the operator alone
GAP, SENDINGS = timedelta(seconds=60), 5
_MINT = """
UPDATE invitations SET token_hash = :hash
 WHERE tenant_id = :tenant AND id = :id AND used_at IS NULL AND withdrawn_at IS NULL AND sent_at IS NULL
   AND expires_at > clock_timestamp()
RETURNING id
"""
_SENT = "UPDATE invitations SET sent_at = clock_timestamp() WHERE tenant_id = :tenant AND id = :id"
_USE = text("""
UPDATE invitations SET used_at = clock_timestamp()
 WHERE tenant_id = :tenant AND token_hash = :hash AND used_at IS NULL AND withdrawn_at IS NULL
   AND expires_at > clock_timestamp()
RETURNING id, kind, target, member_id, role, role_id, business_id, location_id, invited_by
""")
_FORGET = text("""
DELETE FROM invitations
 WHERE tenant_id = :tenant AND used_at IS NULL AND expires_at < clock_timestamp() - interval '90 days'
""")


class InvitationOver(PortalError):
    """The link was used, withdrawn, is too old, or its maker may not give any more what it gives."""

    code, status = "invitation.over", 410

    def __init__(self) -> None:
        super().__init__(gettext("This invitation does not work any more. Ask whoever invited you for a new one."))


class WrongPerson(PortalError):
    """The invitation went to somebody else than the person who is signed in."""

    code, status = "invitation.wrong_person", 409

    def __init__(self) -> None:
        super().__init__(
            gettext("This invitation went to another address than yours. Sign out to accept it as the one it went to.")
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """What a staff invitation gives: a frozen `role`, or `role_id`, one of the tenant's own; where it reaches."""

    role: str | None = None
    role_id: UUID | None = None
    business_id: UUID | None = None
    location_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody to be invited; `member_id` for a member who never signed in."""

    contact: str
    name: str = ""
    locale: str | None = None
    offer: Offer | None = None
    member_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """Whose account it is now, and the cookie of a session where one was opened."""

    member_id: UUID
    cookie: str | None


@dataclass(frozen=True, slots=True)
class Letter:
    """A link to be sent."""

    id: UUID
    token: str


@command("invitation.make", emits=(InvitationAsked,))
def invite(guest: Guest) -> UUID:
    """Ask somebody to come; the link is sent by a worker. Returns the invitation's id.

    A contact of a member who never signed in makes it an invitation to their own account; so does naming them, by a
    contact that they lack if the acting person may give them one. Raises `Conflict` for who is here or was asked already,
    `roles.TooMuch`, `roles.Untouchable`, `service.ContactTaken`, `contacts.InvalidEmail`, `InvalidPhone`,
    `InvalidName`, and `roles.InvalidRole` for a role that does not fit its place.
    """
    target, channel = address(guest.contact)
    key, now = codes.target_key(target), sessions.real_now()
    take_turn(f"{current_tenant_id()}invitations{key}")
    member = judge(guest, target)
    wanted = guest.locale or (member.locale if member else None)
    offer = guest.offer or Offer()
    row = Invitation(
        id=new_id(),
        kind="staff" if guest.offer else "member",
        name=member.name if member else contacts.clean_name(guest.name) if guest.name.strip() else "",
        channel=channel,
        target=target,
        target_key=key,
        locale=wanted if wanted in offered() else g.tenant.default_locale,
        member_id=member.id if member else None,
        role=offer.role,
        role_id=offer.role_id,
        business_id=offer.business_id,
        location_id=offer.location_id,
        invited_by=g.get("actor_id") if g.get("actor_kind") == "member" else None,
        created_at=now,
        asked_at=now,
        expires_at=now + LIFE,
    )
    db.session.add(row)
    db.session.flush()
    journal().about("invitation", row.id)
    emit(InvitationAsked(invitation_id=row.id))
    return row.id


def invite_owner(member_id: UUID) -> None:
    """Inside a command of the operator's: the member who is to answer for the tenant gets a link by mail.

    Every link that another owner, or they themselves, had before opens nothing any more.
    """
    withdraw_owners()
    member, now = service.locked(member_id), sessions.real_now()
    assert member.email is not None  # noqa: S101  the operator named them by it
    row = Invitation(
        id=new_id(),
        kind=OWNER,
        name=member.name,
        channel=codes.EMAIL,
        target=member.email,
        target_key=codes.target_key(member.email),
        locale=member.locale if member.locale in offered() else g.tenant.default_locale,
        member_id=member.id,
        created_at=now,
        asked_at=now,
        expires_at=now + LIFE,
    )
    db.session.add(row)
    db.session.flush()
    emit(InvitationAsked(invitation_id=row.id))


def withdraw_owners() -> None:
    """Inside a command of the operator's: no link that was sent to an owner opens anything any more."""
    sent = select(Invitation).where(
        Invitation.kind == OWNER, Invitation.used_at.is_(None), Invitation.withdrawn_at.is_(None)
    )
    for row in db.session.scalars(sent.with_for_update()):
        row.withdrawn_at = sessions.real_now()


@command("invitation.make_many")
def invite_all(guests: Iterable[Guest]) -> tuple[int, int]:
    """Ask many at once, all or nothing; returns how many were asked, and how many refused meanwhile."""
    asked = refused = 0
    for guest in guests:
        try:
            invite(guest)
        except PortalError:
            refused += 1
        else:
            asked += 1
    if not asked:
        journal().unchanged()
    return asked, refused


@command("invitation.send_again", emits=(InvitationAsked,))
def send_again(invitation_id: UUID) -> None:
    """A new link, good for a week from now; the one before ends when the new one is sent.

    Raises `Conflict` within a minute of the last one, after five, and for one that was accepted or withdrawn.
    """
    row = _locked(invitation_id)
    check(offer_of(row))
    now = sessions.real_now()
    if row.used_at or row.withdrawn_at:
        raise Conflict(gettext("This invitation is closed. Invite the person anew."))
    if now - row.asked_at < GAP:
        raise Conflict(gettext("It was sent a moment ago. Wait a minute."))
    if row.sendings >= SENDINGS:
        raise Conflict(gettext("It was sent five times already. Ask the person another way."))
    row.sendings += 1
    row.asked_at, row.expires_at, row.sent_at = now, now + LIFE, None
    journal().about("invitation", row.id)
    emit(InvitationAsked(invitation_id=row.id))


@command("invitation.withdraw")
def withdraw(invitation_id: UUID) -> None:
    """The link opens nothing any more. Raises `Conflict` when it was accepted before, or is the operator's to an owner."""
    row = _locked(invitation_id)
    if row.kind == OWNER:
        raise Conflict(gettext("The operator of the portal named the owner, and alone can name another."))
    if row.used_at:
        raise Conflict(gettext("The invitation was accepted already. Take the role away instead."))
    if row.withdrawn_at is None:
        row.withdrawn_at = sessions.real_now()
    journal().about("invitation", row.id)


def mint(invitation_id: UUID) -> Letter | None:
    """Make the link, in a worker just before it is sent; None when it is not to be sent any more, or was."""
    letter = Letter(invitation_id, secrets.token_urlsafe(32))
    db.session.rollback()  # one delivery never holds two connections
    values = {"tenant": current_tenant_id(), "id": invitation_id, "hash": _hash(letter.token)}
    return letter if side_transaction(_MINT, values) else None


def mark_sent(invitation_id: UUID) -> None:
    """The link left the house."""
    side_transaction(_SENT, {"tenant": current_tenant_id(), "id": invitation_id})


def look(token: str) -> UUID | None:
    """The invitation behind a link that still opens; looking does not use it up (S15)."""
    own = select(Invitation.id).where(
        Invitation.token_hash == _hash(token),
        Invitation.used_at.is_(None),
        Invitation.withdrawn_at.is_(None),
        Invitation.expires_at > text("clock_timestamp()"),
    )
    return db.session.scalar(own)


@command("invitation.accept")
def accept(
    token: str,
    *,
    person_id: UUID | None = None,
    amr: str | None = None,
    name: str = "",
    password: str | None = None,
    marketing: bool = False,
    user_agent: str,
    ip: str,
) -> Accepted:
    """Use the link up, exactly once (R12): make or find the account, give what the link gives.

    `person_id` is who is signed in, by `amr`; of nobody's session the link counts as a code to where it was sent. A new
    member, one who never signed in, and whoever is signed in get a session; anybody else signs in as always, since a link that lay in a mailbox for days does not open an account that
    has its own ways in. Raises `InvitationOver`, `WrongPerson`, `access.Suspended`, `passwords.WeakPassword`,
    `contacts.InvalidName`, `tenants.limits.LimitReached`; after each of them the link still opens.
    """
    row = db.session.execute(_USE, {"tenant": current_tenant_id(), "hash": _hash(token)}).one_or_none()
    if row is None:
        raise InvitationOver
    member = _account_of(row, person_id)
    came = member is None or not signs_in(member)
    if member is None:
        if password:
            passwords.check_strength(password, contacts.clean_name(name), row.target, g.tenant.name)
        member = joining.make(
            name=name,
            contact=row.target,
            password_hash=passwords.hashed(password) if password else None,
            marketing=marketing,
            ref="",
            joined_via="invitation",
        )
    else:
        g.actor_id, g.actor_kind = member.id, "member"
        _prove(member, row, person_id)
        if came:
            if password:
                service.renew_password(member, password)
            consents.give(member.id, *consents.asked_of_newcomers(), *([consents.MARKETING] if marketing else []))
    _give(row, member.id)
    journal().note("invitations", row.id, {"member_id": [row.member_id, member.id]})
    db.session.execute(
        text("UPDATE invitations SET member_id = :member WHERE tenant_id = :tenant AND id = :id"),
        {"tenant": current_tenant_id(), "id": row.id, "member": member.id},
    )
    journal().about("member", member.id)
    if not came and person_id is None:
        return Accepted(member.id, None)
    db.session.flush()
    db.session.refresh(member)
    amr = amr or factors.by_code(codes.channel_of(row.target))
    proved = "+" in amr or amr == "swk"
    return Accepted(member.id, access.open_for(member, user_agent=user_agent, ip=ip, amr=amr, proved=proved))


@command("invitation.forget")
def forget_old() -> None:
    """Drop what was never accepted and ran out three months ago: it holds the contacts of people who did not come."""
    db.session.execute(_FORGET, {"tenant": current_tenant_id()})
    journal().unchanged()


def address(typed: str) -> tuple[str, str]:
    """The contact as it is stored, and the way a link goes there. Raises `contacts.InvalidEmail`, `InvalidPhone`."""
    if "@" in typed:
        return contacts.clean_email(typed), codes.EMAIL
    target = contacts.clean_phone(typed)
    if not codes.offered(codes.SMS):
        raise contacts.InvalidPhone(gettext("No text message can be sent from here. Type an e-mail."))
    return target, codes.SMS


def judge(guest: Guest, target: str) -> User | None:
    """Whose account an invitation would be about, None for a stranger; raises what `invite` raises."""
    check(guest.offer)
    member = _whose(guest, target)
    _refuse_twice(codes.target_key(target), guest.offer)
    return member


def check(offer: Offer | None) -> None:
    """Raises `roles.TooMuch` for more than the acting person may do, `roles.InvalidRole` for what fits no place."""
    if offer is None:
        return
    permissions, at_business = _allows(offer)
    if at_business != (offer.business_id is not None):
        raise roles.InvalidRole(
            gettext("Choose the business for a role at a business, and none for one over the circle."), field="business"
        )
    if offer.business_id is not None:
        shop = select(Business.id).where(Business.id == offer.business_id, Business.archived_at.is_(None))
        if db.session.scalar(shop) is None:
            raise NotFound(gettext("There is no such business."))
    if offer.location_id is not None:
        place = select(BusinessLocation.id).where(
            BusinessLocation.id == offer.location_id,
            BusinessLocation.business_id == offer.business_id,
            BusinessLocation.archived_at.is_(None),
        )
        if db.session.scalar(place) is None:
            raise NotFound(gettext("There is no such place."))
    roles.refuse_more(permissions, offer.business_id)


def member_of(member_id: UUID) -> User | None:
    """The member, unless they left or were merged."""
    return db.session.scalars(select(User).where(User.id == member_id, *queries.listed())).one_or_none()


def signs_in(member: Any) -> bool:
    """Whether somebody has ever had a way in of their own: a password, a contact they proved, a passkey, Telegram."""
    if member.password_hash or member.email_confirmed_at or member.phone_confirmed_at:
        return True
    keys = select(TwoFactorMethod.id).where(TwoFactorMethod.user_id == member.id)
    elsewhere = select(ForeignIdentity.id).where(ForeignIdentity.user_id == member.id)
    return db.session.scalar(keys.union_all(elsewhere).limit(1)) is not None


def offer_of(row: Any) -> Offer | None:
    """What an invitation gives."""
    return Offer(row.role, row.role_id, row.business_id, row.location_id) if row.kind == "staff" else None


def _allows(offer: Offer) -> tuple[Iterable[str], bool]:
    """The permissions of a role, and whether it is one at a business."""
    if offer.role_id is not None:
        own = db.session.execute(
            select(CustomRole.permissions, CustomRole.reach).where(CustomRole.id == offer.role_id)
        ).one_or_none()
        if own is None:
            raise NotFound(gettext("There is no such role."))
        return own.permissions, own.reach == "business"
    if offer.role in BUSINESS_ROLES:
        return BUSINESS_ROLES[offer.role], True
    if offer.role in TENANT_ROLES:
        return TENANT_ROLES[offer.role], False
    raise NotFound(gettext("There is no such role."))


def _whose(guest: Guest, target: str) -> User | None:
    """The account that the invitation is about; None for a stranger."""
    account = queries.account(target)
    if guest.member_id is not None and account is not None and account.id != guest.member_id:
        raise service.ContactTaken(gettext("Somebody else here has this contact already."), field="contact")
    own = guest.member_id or (account.id if account else None)
    if own is None:
        return None
    member = member_of(own)
    if member is None:
        raise NotFound(gettext("There is no such member."))
    if guest.offer is None and signs_in(member):
        raise Conflict(gettext("%(name)s is a member already and signs in.", name=member.name), field="contact")
    if target not in {member.email, member.phone}:
        _refuse_strange(member)
    return member


def _refuse_strange(member: User) -> None:
    """A link to a contact that an account lacks opens the account to whoever has the contact.

    So it is only for one that nobody signs in to, from somebody who may give it contacts. Raises `Conflict`,
    `roles.TooMuch` and `roles.Untouchable`.
    """
    if signs_in(member):
        raise Conflict(
            gettext("%(name)s is a member already. Invite them by the contact they sign in with.", name=member.name),
            field="contact",
        )
    roles.refuse_more([Permission.MEMBERS_UPDATE])
    roles.refuse_touching(member.id)


def _refuse_twice(key: str, offer: Offer | None) -> None:
    same = offer or Offer()
    waiting = select(Invitation.id).where(
        Invitation.target_key == key,
        Invitation.used_at.is_(None),
        Invitation.withdrawn_at.is_(None),
        Invitation.expires_at > text("clock_timestamp()"),
        Invitation.role.is_not_distinct_from(same.role),
        Invitation.role_id.is_not_distinct_from(same.role_id),
        Invitation.business_id.is_not_distinct_from(same.business_id),
    )
    if db.session.scalar(waiting.limit(1)) is not None:
        raise Conflict(gettext("This person was invited already and has not come yet."), field="contact")


def _account_of(row: Any, person_id: UUID | None) -> User | None:
    """The account that accepts, locked; None where it has to be made."""
    account = queries.account(row.target)
    own = row.member_id or (account.id if account else None) or person_id
    if own is None:
        return None
    if person_id not in {None, own}:
        raise WrongPerson
    try:
        member = service.locked(own)
    except NotFound:
        raise InvitationOver from None
    if member.suspended_at is not None:
        raise access.Suspended(gettext("This account is suspended: %(reason)s", reason=member.suspended_reason or "…"))
    return member


def _prove(member: User, row: Any, person_id: UUID | None) -> None:
    """The contact that the link went to is the member's: it was before, or they had none of its kind (R18).

    For whoever is not signed in, whoever made the link may give them this contact still.
    """
    target = row.target
    own = member.email if codes.channel_of(target) == codes.EMAIL else member.phone
    if own == target:
        access.confirm(member, target)
    elif own is not None:
        raise WrongPerson if person_id else InvitationOver
    else:
        try:
            if person_id is None:
                with sessions.acting_as(row.invited_by, "member" if row.invited_by else "system"):
                    _refuse_gone(row.invited_by)
                    _refuse_strange(member)
            service.take_contact(member, target)
        except (service.ContactTaken, Conflict, roles.TooMuch, roles.Untouchable):
            raise InvitationOver from None


def _give(row: Any, member_id: UUID) -> None:
    """Give what the link gives, in the name of whoever made it: if they lost the right to, it gives nothing."""
    if row.kind != "staff":
        return
    with sessions.acting_as(row.invited_by, "member" if row.invited_by else "system"):
        try:
            _refuse_gone(row.invited_by)
            check(offer_of(row))
            if row.role in BUSINESS_ROLES:
                add_staff(row.business_id, member_id, row.role, location_id=row.location_id)
            elif row.role:
                roles.grant_role(member_id, row.role)
            else:
                roles.assign(row.role_id, member_id, row.business_id, location_id=row.location_id)
        except (roles.TooMuch, NotFound):
            raise InvitationOver from None
        except Conflict:
            return  # it was given meanwhile by hand


def _refuse_gone(user_id: UUID | None) -> None:
    here = select(User.id).where(User.id == user_id, User.suspended_at.is_(None), User.archived_at.is_(None))
    if user_id is not None and db.session.scalar(here) is None:
        raise roles.TooMuch


def _locked(invitation_id: UUID) -> Invitation:
    row = db.session.scalars(select(Invitation).where(Invitation.id == invitation_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound(gettext("There is no such invitation."))
    return row


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
