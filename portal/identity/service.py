"""Members: joining, contacts, passwords, suspension. Every change is a command."""

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import delete, insert, or_, select

from portal.extensions import db
from portal.identity import cards, codes, contacts, passwords, queries, sessions, words
from portal.identity.events import ContactChanged, MemberRegistered, PasswordChanged
from portal.identity.models import ContactChange, DeviceSession, MemberWord, User
from portal.kernel import clock
from portal.kernel.commands import command, emit, journal
from portal.kernel.errors import NotFound, PortalError
from portal.kernel.model import new_id
from portal.tenants.limits import keep_within

CANDIDATES = 3  # card numbers tried at once; two of 9 x 10^10 hardly ever meet
ROUNDS = 5


class ContactTaken(PortalError):
    """Somebody in this tenant has this e-mail or phone already; `field` says which."""

    code, status = "member.contact_taken", 409


class SignedOutMeanwhile(PortalError):
    """The session that asked was ended before the change was made."""

    code, status = "session.ended", 401


class InvalidCard(PortalError):
    """Not a card number of ours: length or check digit."""

    code = "member.invalid_card"


class CardTaken(PortalError):
    """The card belongs to somebody else."""

    code, status = "member.card_taken", 409


class WrongPassword(PortalError):
    """The password that was asked for once more does not fit."""

    code = "member.wrong_password"


class MemberMerged(PortalError):
    """The account was made one with another; what is to be done is done there."""

    code, status = "member.merged", 409

    def __init__(self) -> None:
        super().__init__(gettext("This account was merged into another. Open that one."))


class ReasonMissing(PortalError):
    """Staff must say why."""

    code = "member.reason_missing"


class OwnAccount(PortalError):
    """Nobody does this to their own account."""

    code = "member.own_account"


@command("member.register", emits=(MemberRegistered,))
def register_member(
    *,
    name: str,
    phone: str | None = None,
    email: str | None = None,
    card_number: str | None = None,
    locale: str | None = None,
    timezone: str | None = None,
    password: str | None = None,
    joined_via: str,
    joined_at: datetime | None = None,
    historical: bool = False,
) -> UUID:
    """A new member with a card; contacts and password may come later (D28). Returns the member's id.

    `joined_via`: join, till, desk, import, api, cli or demo. Raises `ContactTaken`, `CardTaken`, `InvalidCard`,
    `contacts.InvalidName`, `InvalidEmail`, `InvalidPhone` and `passwords.WeakPassword`.
    """
    keep_within("members", queries.how_many)
    clean = contacts.clean_name(name)
    mail = contacts.clean_email(email) if email else None
    number = contacts.clean_phone(phone) if phone else None
    given = _own_card(card_number) if card_number else None
    stored = _new_password(password, clean, mail, number) if password else None
    member = User(
        id=new_id(),
        name=clean,
        email=mail,
        phone=number,
        password_hash=stored,
        search_text=words.folded(clean),
        locale=locale,
        timezone=timezone,
        card_number=_free(mail, number, given),
        joined_at=joined_at or clock.now(),
        joined_via=joined_via,
    )
    db.session.add(member)
    db.session.flush()
    rewrite_words(member)
    journal().about("member", member.id)
    emit(MemberRegistered(member_id=member.id, joined_via=joined_via), historical=historical)
    return member.id


@command("member.set_password")
def set_password(user_id: UUID, password: str) -> None:
    """Give a member a password; every session of theirs ends. Raises `WeakPassword`."""
    member = locked(user_id)
    renew_password(member, password)
    journal().about("member", member.id)


def renew_password(member: User, password: str) -> None:
    """Another password, inside a command: every session of theirs ends. Raises `WeakPassword`."""
    member.password_hash = _new_password(password, member.name, member.email, member.phone)
    sign_out_everywhere(member)


@command("member.change_password", emits=(PasswordChanged,))
def change_password(user_id: UUID, *, current: str, new: str, user_agent: str, ip: str) -> str:
    """Replace the password by one's own hand: all sessions end, the cookie of a new one is returned (S2).

    Raises `WrongPassword` and `WeakPassword`.
    """
    from portal.identity import access

    member = locked(user_id)
    if not passwords.matches(member.password_hash, current):
        raise WrongPassword(gettext("This is not your password."))
    renew_password(member, new)
    journal().about("member", member.id)
    emit(PasswordChanged(member_id=member.id, by="member"))
    return access.open_for(member, user_agent=user_agent, ip=ip, proved=True)


@command("member.end_sessions")
def end_sessions(user_id: UUID) -> None:
    """Staff signs a person out everywhere (S2). Raises `roles.Untouchable`."""
    from portal.identity.roles import refuse_touching

    member = locked(user_id)
    refuse_touching(user_id)
    sign_out_everywhere(member)
    journal().about("member", member.id)


@command("member.suspend")
def suspend(member_id: UUID, *, reason: str) -> None:
    """Stop an account: nobody signs in to it, tills show the reason. Raises `ReasonMissing`, `roles.Untouchable`."""
    why = reason.strip()
    if not why:
        raise ReasonMissing(gettext("Say why; the till shows it."))
    from portal.identity.roles import refuse_last_admin, refuse_touching

    refuse_last_admin(member_id)
    member = locked(member_id)
    refuse_touching(member_id)
    if member.suspended_at is None:
        member.suspended_at = clock.now()
    member.suspended_reason = why
    sign_out_everywhere(member)
    journal().about("member", member.id)
    journal().reason(why)


@command("member.unsuspend")
def unsuspend(member_id: UUID, *, reason: str = "") -> None:
    """Open a suspended account again; one that is open stays as it is. Raises `roles.Untouchable`."""
    from portal.identity.roles import refuse_touching

    member = locked(member_id)
    refuse_touching(member_id)
    if member.suspended_at is None:
        journal().unchanged()
        return
    member.suspended_at = member.suspended_reason = None
    journal().about("member", member.id)
    if reason.strip():
        journal().reason(reason.strip())


@command("member.edit")
def edit_member(member_id: UUID, *, name: str, phone: str | None, email: str | None) -> None:
    """Correct a member's name and contacts, by staff: a new contact is not confirmed, the old one is told.

    Raises what `register_member` raises for them, and `roles.Untouchable`.
    """
    from portal.identity.roles import refuse_touching

    member = locked(member_id)
    refuse_touching(member_id)
    mail = contacts.clean_email(email) if email else None
    number = contacts.clean_phone(phone) if phone else None
    if (mail, number) != (member.email, member.phone):
        _refuse_owner(member_id)
        _free(mail, number, member.card_number, but=member.id)
    member.name = contacts.clean_name(name)
    member.search_text = words.folded(member.name)
    replaced = [(kind, new) for kind, new in (("email", mail), ("phone", number)) if new != getattr(member, kind)]
    if not replaced and not db.session.is_modified(member):
        journal().unchanged()
        return
    for kind, new in replaced:
        _replace(member, kind, new, confirmed_at=None)
    db.session.flush()
    rewrite_words(member)
    journal().about("member", member.id)


def _refuse_owner(member_id: UUID) -> None:
    """Another admin holds as much as the owner, and could come in by a contact of their own choice."""
    from portal.identity.roles import Untouchable
    from portal.tenants.owner import owner_of

    if g.get("actor_kind") == "member" and g.actor_id != member_id and owner_of(locked=True) == member_id:
        raise Untouchable(gettext("This is the owner of the circle, who alone changes their contacts."))


@command("member.edit_profile")
def edit_profile(member_id: UUID, *, name: str, locale: str | None, timezone: str | None) -> None:
    """A member's own details; the language and zone in which they are spoken to."""
    member = locked(member_id)
    member.locale, member.timezone = locale, timezone
    edit_member(member_id, name=name, phone=member.phone, email=member.email)
    journal().about("member", member.id)


@command("member.change_contact")
def change_contact(member_id: UUID, challenge_id: UUID, typed: str, *, session_id: UUID) -> str:
    """Take a contact that the member proved by a code; the one before is told. Returns `email` or `phone`.

    Raises `codes.WrongCode`, `ContactTaken` and `SignedOutMeanwhile`: a session that a reset has just ended changes
    nothing any more (R18).
    """
    proved = codes.redeem(challenge_id, typed, purpose="contact")
    if proved.member_id != member_id:
        raise codes.WrongCode
    member = locked(member_id)
    here = select(DeviceSession.id).where(
        DeviceSession.id == session_id,
        DeviceSession.revoked_at.is_(None),
        DeviceSession.auth_epoch == (member.auth_epoch or 0),
    )
    if db.session.scalar(here) is None:
        raise SignedOutMeanwhile(gettext("You were signed out meanwhile. Sign in and try again."))
    kind = take_contact(member, proved.target)
    journal().about("member", member.id)
    return kind


def take_contact(member: User, contact: str) -> str:
    """A contact that was just proved becomes the member's, inside a command; the one before is told.

    Returns `email` or `phone`; raises `ContactTaken`.
    """
    kind = "email" if codes.channel_of(contact) == codes.EMAIL else "phone"
    if contact != getattr(member, kind):
        mail, number = (contact, None) if kind == "email" else (None, contact)
        _free(mail, number, member.card_number, but=member.id)
    _replace(member, kind, contact, confirmed_at=sessions.real_now())
    db.session.flush()
    rewrite_words(member)
    return kind


@command("member.welcomed")
def put_welcome_away(member_id: UUID) -> None:
    """The first steps leave the member's home page."""
    locked(member_id).welcomed_at = clock.now()
    journal().about("member", member_id)


def _replace(member: User, kind: str, new: str | None, *, confirmed_at: datetime | None) -> None:
    old = getattr(member, kind)
    setattr(member, kind, new)
    setattr(member, f"{kind}_confirmed_at", confirmed_at)
    if old and new != old:
        change = ContactChange(
            id=new_id(), member_id=member.id, kind=kind, old=old, new=new, changed_at=sessions.real_now()
        )
        db.session.add(change)
        emit(ContactChanged(member_id=member.id, change_id=change.id, kind=kind))


@command("member.choose_language")
def choose_language(member_id: UUID, locale: str) -> None:
    """The language in which a member reads pages and mails."""
    locked(member_id).locale = locale
    journal().about("member", member_id)


def locked(member_id: UUID) -> User:
    """The member, their row locked until the command commits (D18). Raises `NotFound` and `MemberMerged`."""
    statement = select(User).where(User.id == member_id, User.archived_at.is_(None)).with_for_update()
    member = db.session.scalars(statement, execution_options={"populate_existing": True}).one_or_none()
    if member is None:
        raise NotFound(gettext("There is no such member."))
    if member.merged_into:
        raise MemberMerged
    return member


def _own_card(text: str) -> str:
    card = cards.valid_card(text)
    if card is None:
        raise InvalidCard(gettext("This is not a card number: it has 12 digits, and the last one checks the others."))
    return card


def _free(email: str | None, phone: str | None, card: str | None, but: UUID | None = None) -> str:
    """The card to use, after one look at who has the contacts or the card already."""
    for _ in range(ROUNDS):
        wanted = [card] if card else [cards.new_card_number() for _ in range(CANDIDATES)]
        taken: list[Any] = [User.card_number.in_(wanted)]
        taken += [User.email == email] if email else []
        taken += [User.phone == phone] if phone else []
        found: Any = select(User.email, User.phone, User.card_number).where(or_(*taken))
        rows = db.session.execute(found.where(User.id != but) if but else found).all()
        if email and any(row.email == email for row in rows):
            raise ContactTaken(gettext("Somebody here has this e-mail already."), field="email")
        if phone and any(row.phone == phone for row in rows):
            raise ContactTaken(gettext("Somebody here has this phone number already."), field="phone")
        used = {row.card_number for row in rows}
        if card and card in used:
            raise CardTaken(gettext("Somebody here has this card already."))
        if left := [number for number in wanted if number not in used]:
            return left[0]
    raise CardTaken(gettext("No free card number was found. Try again."))


def _new_password(password: str, *known: str | None) -> str:
    passwords.check_strength(password, *known, g.tenant.name if "tenant" in g else None)
    return passwords.hashed(password)


def sign_out_everywhere(member: User) -> None:
    """Inside a command: every session of this person ends (S2)."""
    member.auth_epoch = (member.auth_epoch or 0) + 1
    sessions.revoke_all(member.id)


def rewrite_words(member: User) -> None:
    """The words by which a member is found, after a change of name or contacts."""
    db.session.execute(delete(MemberWord).where(MemberWord.member_id == member.id))
    found = words.of_member(member.name, member.card_number, member.phone, member.email)
    values = [{"tenant_id": member.tenant_id, "word": word, "member_id": member.id} for word in sorted(found)]
    db.session.execute(insert(MemberWord), values)
