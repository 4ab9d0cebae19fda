"""Letters that ask somebody to come: to the first admin of a new tenant, to new members and staff."""

import logging
import smtplib
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import select

from portal.extensions import db
from portal.identity import codes
from portal.identity.models import User
from portal.invitations import labels, queries, service
from portal.kernel.model import new_id
from portal.kernel.outbox import Message
from portal.messages import sms
from portal.messages.codes import failed, send_mail, spoken
from portal.messages.letter import AddressUnusable
from portal.messages.texts import Text
from portal.tenants import start

log = logging.getLogger(__name__)


def send_guests(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """Make and send each link that is still wanted; returns what failed, for the outbox to try again."""
    failures: dict[UUID, Exception] = {}
    for message in messages:
        invitation_id = UUID(message.data["invitation_id"])
        row = queries.invitation(invitation_id)
        letter = service.mint(invitation_id) if row is not None else None
        db.session.rollback()
        if letter is None:
            continue
        if not failed(failures, message, lambda row=row, token=letter.token: _ask(row, token)):  # type: ignore[misc]
            service.mark_sent(invitation_id)
    return failures


def _ask(row: Any, token: str) -> None:
    link = f"{g.tenant.base_url}/invite/{token}"
    with spoken(row.locale) as language:
        said, button = _words(row)
        if row.channel == codes.SMS:
            sms.send(row.target, f"{said.title}: {link}")
            return
        why = gettext(
            "%(who)s asked us to write to you. If you do not want to come, do nothing.", who=queries.inviter_name(row)
        )
        send_mail(said, row.target, row.name, language, str(new_id()), button=button, link=link, why=why)


def _words(row: Any) -> tuple[Text, str]:
    once = gettext("The link opens once, within a week.")
    who = queries.inviter_name(row)
    if row.kind == "staff":
        title = gettext("%(who)s invites you to work at %(place)s", who=who, place=row.business or g.tenant.name)
        body = gettext("Your role would be: %(role)s.", role=labels.gives(row))
        return Text(title, f"{body} {once}", "/", "user-plus"), gettext("See the invitation")
    if row.member_id is not None:
        title = gettext("Your card of %(tenant)s, on your phone", tenant=g.tenant.name)
        body = gettext("You are a member already. Choose how you sign in, and see your bonus and your purchases.")
        return Text(title, f"{body} {once}", "/", "user-plus"), gettext("Choose how to sign in")
    title = gettext("%(who)s invites you to %(tenant)s", who=who, tenant=g.tenant.name)
    body = gettext("One card for every shop of the circle: each purchase brings bonus. It costs nothing.")
    return Text(title, f"{body} {once}", "/", "user-plus"), gettext("See the invitation")


def send_invitations(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """Mail each first admin who has no password yet; returns what failed, for the outbox to try again."""
    failures: dict[UUID, Exception] = {}
    for message in messages:
        member_id = UUID(message.data["member_id"])
        who = select(User.email, User.name, User.locale).where(User.id == member_id, User.password_hash.is_(None))
        row = db.session.execute(who).one_or_none()
        if row is None or not row.email:
            continue
        try:
            _send(message, member_id, row)
        except AddressUnusable:
            log.info("invitation %s: no mail can carry this address", message.id)
        except (OSError, smtplib.SMTPException) as error:
            failures[message.id] = error
    return failures


def _send(message: Message, member_id: UUID, row: Any) -> None:
    with spoken(row.locale or g.tenant.default_locale) as language:
        title = gettext("%(tenant)s is open", tenant=g.tenant.name)
        body = gettext("You are its first admin. Choose a password within a week, and everything is yours to set up.")
        if not message.data.get("opened", True):
            title = gettext("%(tenant)s is yours to look after", tenant=g.tenant.name)
            body = gettext("The operator of the portal named you its owner. Choose a password within a week.")
        said = Text(title, body, "/", "key")
        link = g.tenant.base_url + start.invitation(member_id)
        send_mail(said, row.email, row.name, language, str(message.id), button=gettext("Choose a password"), link=link)
