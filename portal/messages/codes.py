"""One-time codes on their way out, by mail and by SMS, in the language in which they were asked for (S6)."""

import logging
import smtplib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import select

from portal.extensions import db
from portal.identity import codes, resets
from portal.identity.models import ContactChange, User
from portal.identity.sessions import real_now
from portal.kernel.model import new_id
from portal.kernel.outbox import Message
from portal.messages import sms
from portal.messages.letter import AddressUnusable, address, write
from portal.messages.smtp import PERMANENT, MailServer
from portal.messages.texts import Text, text_of
from portal.settings import settings
from portal.web.locale import locale_of

log = logging.getLogger(__name__)


def send_codes(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """Make and send each code that somebody is to get; returns what failed, for the outbox to try again."""
    failures: dict[UUID, Exception] = {}
    for message in messages:
        challenge = UUID(message.data["challenge_id"])
        code = codes.mint(challenge)
        db.session.rollback()
        if code is None or code.channel not in codes.channels:
            continue
        way = codes.channels[code.channel]
        if not failed(failures, message, lambda way=way, code=code: way.send(code)):  # type: ignore[misc]
            codes.mark_sent(challenge)
    return failures


def send_links(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """Links to a new password; returns what failed, for the outbox to try again."""
    failures: dict[UUID, Exception] = {}
    for message in messages:
        letter = resets.mint(UUID(message.data["reset_id"]))
        db.session.rollback()
        if letter is not None and not failed(failures, message, lambda letter=letter: _send_link(letter)):  # type: ignore[misc]
            resets.mark_sent(letter.id)
    return failures


def _send_link(letter: resets.Letter) -> None:
    link = f"{g.tenant.base_url}/reset/{letter.token}"
    with spoken(letter.locale) as locale:
        title = gettext("A new password for %(tenant)s", tenant=g.tenant.name)
        if letter.channel == codes.SMS:
            sms.send(letter.target, f"{title}: {link}")
            return
        body = gettext(
            "The link opens once, within half an hour. If it was not you who asked, do nothing: the password stays."
        )
        said = Text(title, body, "/", "key")
        button = gettext("Set a new password")
        send_mail(said, letter.target, letter.name, locale, str(new_id()), button=button, link=link)


def tell_old_contacts(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """Tell the contact that was replaced; returns what failed."""
    ids = [UUID(message.data["change_id"]) for message in messages]
    rows = select(ContactChange.id, ContactChange.kind, ContactChange.old, User.name, User.locale).join(
        User, (User.tenant_id == ContactChange.tenant_id) & (User.id == ContactChange.member_id)
    )
    found = {row.id: row for row in db.session.execute(rows.where(ContactChange.id.in_(ids)))}
    db.session.rollback()
    failures: dict[UUID, Exception] = {}
    for message in messages:
        row = found.get(UUID(message.data["change_id"]))
        if row is not None and row.old:
            failed(failures, message, lambda row=row, message=message: _tell_old(row, message))  # type: ignore[misc]
    return failures


def _tell_old(row: Any, message: Message) -> None:
    with spoken(row.locale) as locale:
        said = text_of("contact.changed", {"kind": row.kind})
        if row.kind == "email":
            send_mail(said, row.old, row.name, locale, f"{message.id}.old")
        elif _sms_offered():
            sms.send(row.old, f"{g.tenant.name}: {said.title}. {said.body}")


def failed(failures: dict[UUID, Exception], message: Message, send: Callable[[], None]) -> bool:
    """Send; True when it is worth another try. What is refused for good is let go."""
    try:
        send()
    except (sms.SmsRefused, AddressUnusable) as refused:
        log.info("%s %s: %s", message.type, message.id, type(refused).__name__)
    except (OSError, smtplib.SMTPException) as error:
        failures[message.id] = error
        return True
    return False


def by_mail(code: codes.Outgoing) -> None:
    """The code as a mail; raises OSError, smtplib.SMTPException or `AddressUnusable`."""
    with spoken(code.locale) as locale:
        said = Text(
            gettext("%(code)s is your code for %(tenant)s", code=code.code, tenant=g.tenant.name),
            f"{_what_for(code.purpose)} {_warning()}",
            "/",
            "key",
        )
        send_mail(said, code.target, code.name, locale, str(new_id()))  # each try has a code of its own


def by_sms(code: codes.Outgoing) -> None:
    """The code as a text message; raises `sms.SmsFailed` or `sms.SmsRefused`."""
    with spoken(code.locale):
        first = gettext("%(code)s is your code for %(tenant)s", code=code.code, tenant=g.tenant.name)
        sms.send(code.target, f"{first}. {_warning()}")


def send_mail(
    said: Text, to: str, name: str, locale: str, key: str, *, button: str = "", link: str = "", why: str = ""
) -> None:
    """A mail about an account's safety to an address that need not be a member's; `key` makes its Message-ID.

    `why` says why they get it; without it, that somebody asked for it.
    Raises OSError, smtplib.SMTPException or `AddressUnusable`; an address that is refused for good is left alone.
    """
    why = why or gettext("Somebody, probably you, asked for it at %(tenant)s.", tenant=g.tenant.name)
    mail = write(said, to=address(to, name), locale=locale, why=why, button=button, link=link)
    mail["Date"] = format_datetime(real_now())
    mail["Message-ID"] = f"<{key}@{g.tenant.host}>"
    db.session.rollback()
    try:
        with MailServer() as server:
            server.send(mail)
    except smtplib.SMTPRecipientsRefused as refused:
        number, _ = next(iter(refused.recipients.values()))
        if number < PERMANENT:
            raise


@contextmanager
def spoken(locale: str) -> Iterator[str]:
    """Speak the language in which something was asked for."""
    with locale_of(SimpleNamespace(locale=locale), g.tenant) as chosen:
        yield chosen


def _what_for(purpose: str) -> str:
    purposes = {
        "sign_in": gettext("Type it on the page to sign in."),
        "join": gettext("Type it on the page to join."),
        "contact": gettext("Type it on the page to confirm this contact."),
    }
    return purposes.get(purpose, gettext("Type it on the page that asks for it."))


def _warning() -> str:
    return gettext("It holds for ten minutes. Nobody of ours asks for it; if it was not you who asked, do nothing.")


def _sms_offered() -> bool:
    return bool(settings().SMS_URL)


codes.register_channel(codes.Channel(codes.EMAIL, by_mail))
codes.register_channel(codes.Channel(codes.SMS, by_sms, _sms_offered))
