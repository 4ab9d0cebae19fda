"""A member's inbox: news comes in, is seen, read and put away (NTF-3)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, text, update

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.books import plain
from portal.kernel.commands import command, journal
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id
from portal.messages.models import Notification
from portal.messages.texts import workflow_of
from portal.messages.workflows import EVERYTHING, IN_APP, WORKFLOWS

# Who may be told: `preferences.may_send` for many at once; a test holds the two together.
_TELL = text("""
INSERT INTO notifications (tenant_id, id, member_id, kind, dedupe_key, data, created_at)
SELECT :tenant, r.id, r.member_id, r.kind, r.dedupe_key, r.data, r.created_at
  FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r (
       id uuid, member_id uuid, kind text, dedupe_key text, data jsonb, created_at timestamptz, workflow text,
       critical boolean, usual boolean)
  JOIN users u ON u.tenant_id = :tenant AND u.id = r.member_id AND u.archived_at IS NULL AND u.merged_into IS NULL
   AND (u.suspended_at IS NULL OR r.critical)
  LEFT JOIN notification_preferences own ON own.tenant_id = :tenant AND own.member_id = r.member_id
   AND own.channel = :channel AND own.workflow = r.workflow
  LEFT JOIN notification_preferences whole ON whole.tenant_id = :tenant AND whole.member_id = r.member_id
   AND whole.channel = :channel AND whole.workflow = :everything
 WHERE r.critical OR coalesce(own.enabled, whole.enabled, r.usual)
 ORDER BY r.created_at
ON CONFLICT (tenant_id, member_id, kind, dedupe_key) DO NOTHING
""")


def tell(rows: Sequence[Mapping[str, Any]]) -> None:
    """Put news into the inboxes of those who want it, in one statement; the same news twice is one line.

    Each row holds `member_id, kind, dedupe_key, data, created_at`. Called in a delivery or a command.
    """
    made = [_row(row) for row in rows]
    if made:
        values = {"rows": json.dumps(made, default=plain), "channel": IN_APP, "everything": EVERYTHING}
        db.session.execute(_TELL, {"tenant": current_tenant_id(), **values})


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    workflow = WORKFLOWS[workflow_of(row["kind"])]
    return {
        **row,
        "id": new_id(),
        "workflow": workflow.name,
        "critical": workflow.critical,
        "usual": IN_APP in workflow.channels,
    }


@command("notifications.see")
def see(member_id: UUID, ids: Sequence[UUID]) -> None:
    """These stood before the member's eyes: the bell counts them no more."""
    _mark(member_id, Notification.id.in_(ids), Notification.seen_at.is_(None), seen_at=clock.now())


@command("notifications.read")
def read(member_id: UUID, notification_id: UUID | None = None) -> None:
    """One was opened, or all are taken as read."""
    one = [Notification.id == notification_id] if notification_id else []
    _mark(member_id, *one, Notification.read_at.is_(None), read_at=clock.now())


@command("notifications.archive")
def archive(member_id: UUID, notification_id: UUID) -> None:
    """Put one away."""
    now = clock.now()
    _mark(member_id, Notification.id == notification_id, Notification.archived_at.is_(None), archived_at=now)


@command("notifications.bring_back")
def bring_back(member_id: UUID, notification_id: UUID) -> None:
    """Take one out of what was put away."""
    _mark(member_id, Notification.id == notification_id, archived_at=None)


def _mark(member_id: UUID, *which: Any, **moments: Any) -> None:
    """Write the moments; whatever happened to a line, it was seen. No audit entry: nothing of weight changed."""
    moments.setdefault("seen_at", func.coalesce(Notification.seen_at, clock.now()))
    db.session.execute(update(Notification).where(Notification.member_id == member_id, *which).values(**moments))
    journal().unchanged()
