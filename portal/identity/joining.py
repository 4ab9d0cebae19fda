"""A stranger becomes a member by a code to their e-mail or phone (D28); who is a member already comes in by it.

The page answers everybody alike: whether the contact is somebody's shows only to who can read the code (S7).
"""

from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.extensions import db
from portal.identity import access, codes, consents, contacts, factors, failures, passwords, queries, referrals, service
from portal.identity.models import User
from portal.kernel.commands import command, journal
from portal.web.locale import current as locale

PURPOSE = "join"


def begin(*, name: str, contact: str, password: str | None, marketing: bool, ref: str) -> UUID:
    """Ask for a code to this contact and keep what was typed until it comes. Returns the challenge.

    Raises `contacts.InvalidName`, `InvalidEmail`, `InvalidPhone`, `passwords.WeakPassword`, `codes.TooManyCodes`.
    """
    clean = contacts.clean_name(name)
    target = contacts.clean_email(contact) if "@" in contact else contacts.clean_phone(contact)
    if password:
        passwords.check_strength(password, clean, target, g.tenant.name)
    kept = {
        "name": clean,
        "password_hash": passwords.hashed(password) if password else None,
        "marketing": marketing,
        "ref": referrals.clean(ref),
    }
    return codes.issue(PURPOSE, codes.channel_of(target), target, data=kept)


def finish(challenge_id: UUID, typed: str, *, user_agent: str, ip: str, replaces: UUID | None = None) -> str:
    """Make the member, or sign in the one whose contact it is; returns the cookie of their session.

    Raises `codes.WrongCode`, `access.Suspended`, `failures.TooManyTries`.
    """
    target = codes.target_of(challenge_id, PURPOSE)
    if not (target and queries.account(target)):
        counted = failures.attempt(str(challenge_id), ip)
        try:
            token = _join(challenge_id, typed, user_agent=user_agent, ip=ip)
        except (IntegrityError, service.ContactTaken):
            counted.undo()  # somebody with this contact came in at the same moment: it is the same person
        else:
            counted.take_back()
            return token
    return access.sign_in_by_code(challenge_id, typed, purpose=PURPOSE, user_agent=user_agent, ip=ip, replaces=replaces)


@command("member.join")
def _join(challenge_id: UUID, typed: str, *, user_agent: str, ip: str) -> str:
    proved = codes.redeem(challenge_id, typed, purpose=PURPOSE)
    kept: Any = proved.data
    member = make(
        name=kept["name"],
        contact=proved.target,
        password_hash=kept["password_hash"],
        marketing=bool(kept["marketing"]),
        ref=kept["ref"],
        joined_via="join",
    )
    return access.open_for(member, user_agent=user_agent, ip=ip, amr=factors.by_code(proved.channel))


def make(*, name: str, contact: str, password_hash: str | None, marketing: bool, ref: str, joined_via: str) -> User:
    """The new member with a contact that was proved, and what they agreed to; inside a command."""
    by_mail = codes.channel_of(contact) == codes.EMAIL
    member_id = service.register_member(
        name=name,
        email=contact if by_mail else None,
        phone=None if by_mail else contact,
        locale=locale(),
        joined_via=joined_via,
    )
    g.actor_id, g.actor_kind = member_id, "member"
    member = db.session.scalars(select(User).where(User.id == member_id)).one()
    member.password_hash = password_hash
    access.confirm(member, contact)
    consents.give(member_id, *consents.asked_of_newcomers(), *([consents.MARKETING] if marketing else []))
    referrals.keep(member_id, ref)
    journal().about("member", member_id)
    return member
