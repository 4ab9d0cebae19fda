"""The mail by which the first admin of a new tenant comes in."""

import logging
import smtplib
from collections.abc import Mapping, Sequence
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import select

from portal.extensions import db
from portal.identity.models import User
from portal.kernel.outbox import Message
from portal.messages.codes import send_mail, spoken
from portal.messages.letter import AddressUnusable
from portal.messages.texts import Text
from portal.tenants import start

log = logging.getLogger(__name__)


def send_invitations(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """Mail each invitation that was not used yet; returns what failed, for the outbox to try again."""
    failures: dict[UUID, Exception] = {}
    for message in messages:
        member_id = UUID(message.data["member_id"])
        who = select(User.email, User.name, User.locale).where(User.id == member_id, User.password_hash.is_(None))
        row = db.session.execute(who).one_or_none()
        if row is None or not row.email:
            continue
        try:
            _send(message, member_id, row.email, row.name, row.locale)
        except AddressUnusable:
            log.info("invitation %s: no mail can carry this address", message.id)
        except (OSError, smtplib.SMTPException) as error:
            failures[message.id] = error
    return failures


def _send(message: Message, member_id: UUID, email: str, name: str, locale: str | None) -> None:
    with spoken(locale or g.tenant.default_locale) as language:
        said = Text(
            gettext("%(tenant)s is open", tenant=g.tenant.name),
            gettext("You are its first admin. Choose a password within a week, and everything is yours to set up."),
            "/",
            "key",
        )
        link = g.tenant.base_url + start.invitation(member_id)
        send_mail(said, email, name, language, str(message.id), button=gettext("Choose a password"), link=link)
