"""A member's profile: every change is a command of their own."""

import re
import unicodedata
from datetime import date
from io import BytesIO
from typing import IO
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal.extensions import db
from portal.files import pictures
from portal.files import service as files
from portal.identity import contacts, roles
from portal.identity.models import User
from portal.identity.service import OwnAccount, ReasonMissing, locked
from portal.kernel import clock
from portal.kernel.commands import command, journal
from portal.kernel.errors import PortalError
from portal.kyc import levels
from portal.profiles.models import Profile

SHOWN = ("avatar", "tier", "since", "about")
SIDE = 512  # pixels of a kept portrait
HANDLE = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{1,28}[a-z0-9])")
RESERVED = frozenset({"admin", "support", "krug", "help", "me", "moderator", "official", "root", "security", "staff"})
OLDEST = 130  # years


class HandleRefused(PortalError):
    """The public name is taken, reserved, or not made of small Latin letters and digits."""

    code = "profile.handle_refused"


class BirthdayRefused(PortalError):
    """No day on which somebody alive was born."""

    code = "profile.birthday_refused"


class BirthdayStands(BirthdayRefused):
    """A member says their birthday once; staff corrects it, so that nobody has two presents a year."""


class HandleMissing(PortalError):
    """A public page needs an address."""

    code = "profile.handle_missing"


def of(member_id: UUID) -> Profile:
    """A member's profile; an empty one, not yet stored, for somebody who never wrote anything."""
    found = db.session.scalars(select(Profile).where(Profile.id == member_id)).one_or_none()
    return found or Profile(
        id=member_id,
        first_name="",
        last_name="",
        display_name="",
        about="",
        birthday_shared=False,
        public=False,
        shows=["avatar"],
    )


@command("profile.edit")
def edit_profile(
    member_id: UUID,
    *,
    first_name: str,
    last_name: str,
    display_name: str,
    about: str,
    born_on: date | None,
    handle: str | None,
    public: bool,
    shows: list[str],
    birthday_shared: bool = False,
) -> None:
    """What a member says of themselves. The birthday is said once: None leaves it as it is.

    Raises `HandleRefused`, `HandleMissing`, `BirthdayRefused`, `BirthdayStands` and `levels.LevelMissing`.
    """
    member = locked(member_id)
    chosen = _handle(member, handle)
    if public and not chosen:
        raise HandleMissing(gettext("Choose an address for your public page."))
    if public:
        levels.require(member_id, "profile.public")
    profile = _stored(member_id)
    if born_on and profile.born_on and born_on != profile.born_on:
        raise BirthdayStands(gettext("Your birthday is set already. Ask the staff if it is wrong."))
    born_on = profile.born_on or _possible(born_on)
    member.username = chosen
    profile.first_name, profile.last_name = contacts.plain_text(first_name), contacts.plain_text(last_name)
    profile.display_name, profile.about = contacts.plain_text(display_name), about.strip()
    profile.born_on, profile.birthday_shared, profile.public = born_on, birthday_shared, public
    profile.shows = [name for name in SHOWN if name in shows]
    if not (db.session.is_modified(profile) or db.session.is_modified(member) or profile in db.session.new):
        journal().unchanged()
        return
    profile.updated_at = clock.now()
    try:
        db.session.flush()
    except IntegrityError as error:  # somebody took it a moment ago
        raise HandleRefused(gettext("This address is taken. Try another."), field="handle") from error
    journal().about("member", member_id)


@command("profile.correct_birthday")
def correct_birthday(member_id: UUID, born_on: date | None, *, reason: str) -> None:
    """Staff puts a member's birthday right, or takes it away; the member may say it anew then.

    Raises `BirthdayRefused`, `ReasonMissing`, `OwnAccount` and `roles.Untouchable`.
    """
    if member_id == g.get("actor_id"):
        raise OwnAccount(gettext("Somebody else has to correct your own birthday."))
    if not reason.strip():
        raise ReasonMissing(gettext("Say how you know it."))
    locked(member_id)
    roles.refuse_touching(member_id)
    profile = _stored(member_id)
    if profile.born_on == _possible(born_on):
        journal().unchanged()
        return
    profile.born_on, profile.updated_at = born_on, clock.now()
    journal().about("member", member_id)
    journal().reason(reason.strip())


def _possible(born_on: date | None) -> date | None:
    today = clock.now().date()
    if born_on and not (today.year - OLDEST <= born_on.year and born_on <= today):
        raise BirthdayRefused(gettext("Nobody here was born on that day."))
    return born_on


def set_avatar(member_id: UUID, stream: IO[bytes], part: pictures.Square = pictures.CENTRE) -> UUID:
    """Keep a portrait, cut to a square and drawn anew. Returns the file's id. Raises `files.FileRefused`."""
    drawn = pictures.square(pictures.read(stream), part, SIDE)
    file_id = files.store(BytesIO(drawn), "portrait.webp", "avatar", owner_id=member_id)
    _wear(member_id, file_id)
    return file_id


def remove_avatar(member_id: UUID) -> None:
    """Back to the initials."""
    _wear(member_id, None)


@command("profile.set_avatar")
def _wear(member_id: UUID, file_id: UUID | None) -> None:
    locked(member_id)
    profile = _stored(member_id)
    before, profile.avatar_id = profile.avatar_id, file_id
    if before == file_id:
        journal().unchanged()
        return
    profile.updated_at = clock.now()
    db.session.flush()
    if before:
        files.discard(before)
    journal().about("member", member_id)


def _stored(member_id: UUID) -> Profile:
    profile = of(member_id)
    if profile not in db.session:
        db.session.add(profile)
    return profile


def _handle(member: User, typed: str | None) -> str | None:
    wanted = unicodedata.normalize("NFKC", typed or "").strip().lower().removeprefix("@")
    if not wanted or wanted == member.username:
        return wanted or None
    if not HANDLE.fullmatch(wanted):
        raise HandleRefused(gettext("Three to thirty small Latin letters, digits, dots, dashes."), field="handle")
    taken = db.session.scalar(select(User.id).where(User.username == wanted, User.id != member.id))
    if taken or wanted in RESERVED:
        raise HandleRefused(gettext("This address is taken. Try another."), field="handle")
    return wanted
