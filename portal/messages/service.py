"""Whether a member may be told something, and what they chose (NTF-1)."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.commands import command, journal
from portal.kernel.model import new_id
from portal.kernel.suppression import suppressed
from portal.kernel.tenancy import current_tenant_id
from portal.messages.models import Notification, NotificationPreference
from portal.messages.texts import WORKFLOW
from portal.settings import settings

CHANNELS = ("in_app", "email")
WORKFLOWS = ("purchase", "tier", "welcome", "work")
DEFAULTS = {("work", "email"): False}


def may_send(member_id: UUID, workflow: str, channel: str) -> str | None:
    """Why not, or None: suppression first, then the member's choice, then the workflow's default."""
    if reason := suppressed(member_id, "transactional"):
        return reason
    return None if wanted(preferences(member_id), workflow, channel) else "switched_off"


def preferences(member_id: UUID) -> dict[tuple[str, str], bool]:
    """A member's own choices."""
    rows = select(
        NotificationPreference.workflow, NotificationPreference.channel, NotificationPreference.enabled
    ).where(NotificationPreference.member_id == member_id)
    return {(row.workflow, row.channel): row.enabled for row in db.session.execute(rows)}


def wanted(chosen: Mapping[tuple[str, str], bool], workflow: str, channel: str) -> bool:
    """The first that is set: this workflow on this channel, everything on this channel, the default."""
    for key in ((workflow, channel), ("*", channel)):
        if key in chosen:
            return chosen[key]
    return DEFAULTS.get((workflow, channel), True)


@command("notifications.choose")
def choose(member_id: UUID, choices: Mapping[tuple[str, str], bool]) -> None:
    """Set what a member wants to hear and where."""
    for (workflow, channel), enabled in choices.items():
        statement = insert(NotificationPreference).values(
            tenant_id=current_tenant_id(),
            id=new_id(),
            member_id=member_id,
            workflow=workflow,
            channel=channel,
            enabled=enabled,
        )
        db.session.execute(
            statement.on_conflict_do_update(
                index_elements=["tenant_id", "member_id", "workflow", "channel"], set_={"enabled": enabled}
            )
        )
    journal().about("member", member_id)


@command("notifications.stop_mail")
def stop_mail(member_id: UUID) -> None:
    """No mail of any kind, in one act; the inbox goes on."""
    db.session.execute(
        delete(NotificationPreference).where(
            NotificationPreference.member_id == member_id, NotificationPreference.channel == "email"
        )
    )
    choose(member_id, {("*", "email"): False})
    journal().about("member", member_id)


_TELL = text("""
INSERT INTO notifications (tenant_id, id, member_id, kind, dedupe_key, data, created_at)
SELECT :tenant, r.id, r.member_id, r.kind, r.dedupe_key, r.data, r.created_at
  FROM jsonb_to_recordset(cast(:rows AS jsonb)) AS r (id uuid, member_id uuid, kind text, dedupe_key text, data jsonb, created_at timestamptz)
  JOIN users u ON u.tenant_id = :tenant AND u.id = r.member_id AND u.archived_at IS NULL AND u.merged_into IS NULL AND u.suspended_at IS NULL
 WHERE NOT EXISTS (SELECT 1 FROM notification_preferences p WHERE p.tenant_id = :tenant AND p.member_id = r.member_id
                      AND p.workflow = r.data ->> 'workflow' AND p.channel = 'in_app' AND NOT p.enabled)
ON CONFLICT (tenant_id, member_id, kind, dedupe_key) DO NOTHING
""")


def tell(rows: Sequence[Mapping[str, Any]]) -> None:
    """Put notices into inboxes, set-based; the same notice twice is one. Rows: member_id, kind, dedupe_key, data, created_at."""
    import json

    from portal.kernel.books import plain

    made = [
        {**row, "id": new_id(), "data": {**row["data"], "workflow": WORKFLOW.get(row["kind"], "work")}} for row in rows
    ]
    if made:
        db.session.execute(_TELL, {"tenant": current_tenant_id(), "rows": json.dumps(made, default=plain)})


@command("notifications.seen")
def mark(member_id: UUID, *, read: bool = False, archive: UUID | None = None) -> int:
    """Mark a member's notices seen, or read, or put one away; leaves no audit entry, since nothing of weight changed."""
    now = clock.now()
    statement = update(Notification).where(Notification.member_id == member_id)
    if archive:
        statement = statement.where(Notification.id == archive).values(archived_at=now, seen_at=now)
    elif read:
        statement = statement.where(Notification.read_at.is_(None)).values(read_at=now, seen_at=now)
    else:
        statement = statement.where(Notification.seen_at.is_(None)).values(seen_at=now)
    done = db.session.execute(statement.returning(Notification.id)).all()
    journal().unchanged()
    return len(done)


def unsubscribe_token(member_id: UUID) -> str:
    """What stands in a mail's unsubscribe address: it says who, and that we wrote it."""
    return _signer().dumps([str(current_tenant_id()), str(member_id)])


def unsubscribing(token: str) -> UUID | None:
    """The member of a token of the acting tenant, or None."""
    try:
        tenant, member = _signer().loads(token)
    except (BadSignature, ValueError, TypeError):
        return None
    return UUID(member) if tenant == str(current_tenant_id()) else None


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(settings().SECRET_KEY, salt="unsubscribe")
