"""Who learns of a signed root: the tenant's admins, by mail, so that it stands where no operator of the portal reaches."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from portal.audit.events import AuditSigned
from portal.kernel.outbox import Message, subscriber
from portal.messages import mail


@subscriber("audit.mail_root", events=(AuditSigned,), transactional=False)
def mail_root(messages: Sequence[Message]) -> Mapping[UUID, Exception]:
    """A mail with the hash and its signature to each admin."""
    return mail.send(messages, _notices)


def _notices(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [
        {
            "member_id": UUID(m.data["member_id"]),
            "kind": m.type,
            "dedupe_key": str(m.id),
            "data": dict(m.data),
            "created_at": m.occurred_at,
        }
        for m in messages
    ]
