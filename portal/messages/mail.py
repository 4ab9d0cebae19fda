"""Mails of committed events: sent once as far as a network allows, recognisable when one comes twice (NTF-3).

The state of each mail is a row written on the side (D7): `sending` before the network, `sent` after it. A worker killed
between the two leaves `sending`; when no delivery can be at it any more it is sent again, under the same Message-ID.
"""

import os
import smtplib
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from portal.extensions import db
from portal.identity.models import User
from portal.kernel.failpoint import failpoint
from portal.kernel.model import new_id
from portal.kernel.outbox import Message
from portal.kernel.side import side_transaction
from portal.kernel.tenancy import current_tenant_id
from portal.messages.letter import AddressUnusable, compose
from portal.messages.models import NotificationState
from portal.messages.preferences import may_send
from portal.messages.smtp import PERMANENT, MailServer
from portal.messages.texts import workflow_of
from portal.messages.workflows import EMAIL
from portal.tenants.limits import allowed, lock_key

# No worker is at a mail for longer: a delivery ends after 60 s of the relay's 90, and then its next try must find it free.
LEASE = timedelta(seconds=int(os.environ.get("OUTBOX_LEASE_S", "90")) * 2 / 3)
BATCH_S = 40  # below a delivery's timeout; what is left comes with the next try
Notices = Callable[[Sequence[Message]], list[dict[str, Any]]]

_BEGIN = """
INSERT INTO notification_states (tenant_id, id, message_id, member_id, channel, state, reason)
SELECT :tenant, :id, :message, :member, :channel, state, CASE state WHEN 'skipped' THEN 'limit' END
  FROM (SELECT CASE WHEN cast(:most AS bigint) IS NULL THEN 'sending'
                    WHEN (SELECT count(*) FROM notification_states
                           WHERE tenant_id = :tenant AND channel = :channel AND state IN ('sent', 'sending')
                             AND (message_id, member_id) <> (:message, :member)
                             AND updated_at > clock_timestamp() - interval '1 day') < :most THEN 'sending'
                    ELSE 'skipped' END AS state) AS decided
ON CONFLICT (tenant_id, message_id, member_id, channel) DO UPDATE
   SET state = excluded.state, reason = excluded.reason, attempts = notification_states.attempts + 1, updated_at = clock_timestamp()
 WHERE notification_states.state = 'failed'
    OR notification_states.state = 'sending' AND notification_states.updated_at <= clock_timestamp() - :lease
RETURNING state
"""
_END = """
UPDATE notification_states SET state = :state, reason = :reason, updated_at = clock_timestamp()
 WHERE tenant_id = :tenant AND message_id = :message AND member_id = :member AND channel = :channel
"""


class StillSending(Exception):
    """Another worker may be at this very mail; it is asked again after its lease."""


class BatchTooSlow(Exception):
    """The mail server took too long for the whole batch."""


def send(messages: Sequence[Message], notices: Notices) -> Mapping[UUID, Exception]:
    """Mail each message's notice to its member; returns what failed, for the outbox to try again."""
    rows = {row["dedupe_key"]: row for row in notices(messages)}
    people = _people([row["member_id"] for row in rows.values()])
    failures: dict[UUID, Exception] = {}
    began = time.monotonic()
    with MailServer() as server:
        for message in messages:
            row = rows.get(str(message.id))
            member = people.get(row["member_id"]) if row else None
            if row is None or member is None:
                continue  # the member is gone; there is nobody to tell
            try:
                if time.monotonic() - began > BATCH_S:
                    raise BatchTooSlow(f"the batch took over {BATCH_S} s")
                _send(server, message, row, member)
            except (OSError, smtplib.SMTPException, StillSending, BatchTooSlow) as error:
                failures[message.id] = error
    return failures


def _people(ids: Sequence[UUID]) -> dict[UUID, Any]:
    """Name, address and language of the recipients; no transaction stays open while the network works."""
    columns = select(User.id, User.name, User.email, User.locale).where(User.id.in_(set(ids)))
    found = {row.id: row for row in db.session.execute(columns)}
    db.session.rollback()
    return found


def _send(server: MailServer, message: Message, row: Mapping[str, Any], member: Any) -> None:
    reason = "no_address" if not member.email else may_send(member.id, workflow_of(row["kind"]), EMAIL)
    db.session.rollback()
    if not _begun(message, member, most=None if reason else allowed("mails_a_day")):
        return  # sent, or skipped for good: at an earlier try, or since it would be one more than a day may have
    if reason:
        _end(message, member, "skipped", reason)
        return
    try:
        mail = compose(message, row, member)
    except AddressUnusable:
        _end(message, member, "skipped", "bad_address")
        return
    db.session.rollback()  # the sender's proof was looked up
    try:
        server.send(mail)
        failpoint("after_send")
    except smtplib.SMTPRecipientsRefused as refused:
        code, _ = next(iter(refused.recipients.values()))  # the words would repeat the address
        if code < PERMANENT:
            _end(message, member, "failed", f"refused: {code}")
            raise
        _end(message, member, "skipped", f"refused: {code}")
    except (OSError, smtplib.SMTPException) as error:
        _end(message, member, "failed", type(error).__name__)
        raise
    else:
        _end(message, member, "sent", None)


def _begun(message: Message, member: Any, *, most: int | None) -> bool:
    """Whether this try may send; False when the mail has its end already. `most`: mails a day. Raises `StillSending`."""
    began = side_transaction(
        _BEGIN,
        {**_key(message, member), "id": new_id(), "lease": LEASE, "most": most},
        alone=None if most is None else lock_key("mails_a_day"),
    )
    if began:
        return bool(began[0].state == "sending")
    state = db.session.scalar(
        select(NotificationState.state).where(
            NotificationState.message_id == message.id,
            NotificationState.member_id == member.id,
            NotificationState.channel == EMAIL,
        )
    )
    db.session.rollback()
    if state == "sending":
        raise StillSending(f"mail {message.id} is being sent by another worker, or was by one that died")
    return False


def _end(message: Message, member: Any, state: str, reason: str | None) -> None:
    side_transaction(_END, {**_key(message, member), "state": state, "reason": reason})


def _key(message: Message, member: Any) -> dict[str, Any]:
    return {"tenant": current_tenant_id(), "message": message.id, "member": member.id, "channel": EMAIL}
