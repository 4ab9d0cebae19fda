"""Letters that ask somebody to come: new members, staff, and who is to answer for a tenant."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext

from portal.extensions import db
from portal.identity import codes
from portal.invitations import labels, queries, service
from portal.kernel.model import new_id
from portal.kernel.outbox import Message
from portal.messages import sms
from portal.messages.codes import failed, send_mail, spoken
from portal.messages.texts import Text


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
    if row.kind == service.OWNER:
        title = gettext("%(tenant)s is yours to look after", tenant=g.tenant.name)
        body = gettext("You answer for it as its owner. Choose how you sign in, and everything is yours to set up.")
        return Text(title, f"{body} {once}", "/", "key"), gettext("Choose how to sign in")
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
