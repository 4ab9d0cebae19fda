"""Reading inboxes."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select

from portal.extensions import db
from portal.messages.models import Notification


def unseen(member_id: UUID) -> int:
    """How many notices the bell counts."""
    return (
        db.session.scalar(
            select(func.count())
            .where(
                Notification.member_id == member_id, Notification.seen_at.is_(None), Notification.archived_at.is_(None)
            )
            .select_from(Notification)
        )
        or 0
    )


def inbox(member_id: UUID) -> Select[Any]:
    """A member's notices that were not put away."""
    return select(
        Notification.id,
        Notification.kind,
        Notification.data,
        Notification.created_at,
        Notification.seen_at,
        Notification.read_at,
    ).where(Notification.member_id == member_id, Notification.archived_at.is_(None))
