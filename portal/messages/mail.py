"""Mail: sent once as far as a network allows, recognisable when it comes twice (NTF-3).

The state of each mail is a row written on the side: `sending` before the network, `sent` after it. A worker killed between
the two sends again under the same Message-ID, by which mail servers and readers know it for the same.
"""

import html
import smtplib
from collections.abc import Callable, Mapping, Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Self
from urllib.parse import urlsplit
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import select

from portal.extensions import db
from portal.identity.models import User
from portal.kernel.model import new_id
from portal.kernel.outbox import Message
from portal.kernel.side import side_transaction
from portal.kernel.tenancy import current_tenant_id
from portal.messages.service import may_send, unsubscribe_token
from portal.messages.texts import WORKFLOW, text_of
from portal.settings import settings
from portal.web.locale import locale_of

SMTP_S = 10
_BEGIN = """
INSERT INTO notification_states (tenant_id, id, message_id, member_id, channel, state)
VALUES (:tenant, :id, :message, :member, 'email', 'sending')
ON CONFLICT (tenant_id, message_id, member_id, channel) DO UPDATE
   SET attempts = notification_states.attempts + 1, updated_at = clock_timestamp()
 WHERE notification_states.state IN ('sending', 'failed')
RETURNING id
"""
_END = """
UPDATE notification_states SET state = :state, reason = :reason, updated_at = clock_timestamp()
 WHERE tenant_id = :tenant AND message_id = :message AND member_id = :member AND channel = 'email'
"""
Notices = Callable[[Sequence[Message]], list[dict[str, Any]]]


def send(messages: Sequence[Message], notices: Notices) -> Mapping[UUID, Exception]:
    """Mail each notice to its member; returns what failed, for the outbox to try again."""
    failures: dict[UUID, Exception] = {}
    by_key = {row["dedupe_key"]: row for row in notices(messages)}
    people = {
        row.id: row
        for row in db.session.execute(
            select(User.id, User.name, User.email, User.locale).where(
                User.id.in_([row["member_id"] for row in by_key.values()])
            )
        )
    }
    db.session.rollback()  # no transaction is open while the network works
    with _server() as server:
        for message in messages:
            row = by_key.get(str(message.id))
            if row is None or (who := people.get(row["member_id"])) is None:
                continue
            try:
                _one(server, message, row, who)
            except (OSError, smtplib.SMTPException) as error:
                _end(message, who.id, "failed", str(error)[:200])
                failures[message.id] = error
    return failures


def _one(server: "_Lazy", message: Message, row: Mapping[str, Any], who: Any) -> None:
    if not who.email:
        return
    workflow = WORKFLOW.get(row["kind"], "work")
    reason = may_send(who.id, workflow, "email")
    db.session.rollback()
    values = {"tenant": current_tenant_id(), "message": message.id, "member": who.id}
    if not side_transaction(_BEGIN, {**values, "id": new_id()}):
        return  # sent, or skipped for good, at an earlier try
    if reason:
        _end(message, who.id, "skipped", reason)
        return
    server.send(compose(message, row, who))
    _end(message, who.id, "sent", None)


def _end(message: Message, member_id: UUID, state: str, reason: str | None) -> None:
    side_transaction(
        _END,
        {"tenant": current_tenant_id(), "message": message.id, "member": member_id, "state": state, "reason": reason},
    )


def compose(message: Message, row: Mapping[str, Any], who: Any) -> EmailMessage:
    """The mail in the recipient's language; its links stand on the tenant's stored host (T5)."""
    tenant = g.tenant
    with locale_of(who, tenant):
        words = text_of(row["kind"], row["data"])
        stop = f"{tenant.base_url}/unsubscribe/{unsubscribe_token(who.id)}"
        link = tenant.base_url + words.path
        mail = EmailMessage()
        mail["Subject"] = words.title
        mail["From"] = _sender(tenant.name)
        mail["To"] = Address(display_name=who.name.replace("\r", " ").replace("\n", " "), addr_spec=who.email)
        mail["Date"] = format_datetime(message.recorded_at)
        mail["Message-ID"] = f"<{message.id}.{who.id}@{tenant.host}>"
        mail["List-Unsubscribe"] = f"<{stop}>"
        mail["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        foot = gettext("You get this mail as a member of %(tenant)s.", tenant=tenant.name)
        end = gettext("Stop these mails")
        mail.set_content(f"{words.title}\n\n{words.body}\n\n{link}\n\n--\n{foot}\n{end}: {stop}\n")
        mail.add_alternative(
            "<!doctype html><html><body>"
            f"<h1>{html.escape(words.title)}</h1><p>{html.escape(words.body)}</p>"
            f'<p><a href="{html.escape(link)}">{html.escape(tenant.name)}</a></p><hr>'
            f'<p><small>{html.escape(foot)} <a href="{html.escape(stop)}">{html.escape(end)}</a></small></p></body></html>',
            subtype="html",
        )
    return mail


def _sender(name: str) -> Address:
    from email.utils import parseaddr

    return Address(display_name=name, addr_spec=parseaddr(settings().MAIL_FROM)[1])


class _Lazy:
    """The mail server, connected at the first mail of a batch."""

    def __init__(self) -> None:
        self._smtp: smtplib.SMTP | None = None

    def send(self, mail: EmailMessage) -> None:
        if self._smtp is None:
            parts = urlsplit(settings().SMTP_URL)
            self._smtp = smtplib.SMTP(parts.hostname or "127.0.0.1", parts.port or 25, timeout=SMTP_S)
            if parts.scheme == "smtp+tls":
                self._smtp.starttls()
            if parts.username:
                self._smtp.login(parts.username, parts.password or "")
        self._smtp.send_message(mail)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._smtp is not None:
            try:
                self._smtp.quit()
            except (OSError, smtplib.SMTPException):
                self._smtp.close()


def _server() -> _Lazy:
    return _Lazy()
