"""Reading inboxes."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select

from portal.extensions import db
from portal.messages.models import Notification


def unseen(member_id: UUID) -> int:
    """How many notices the bell counts (NTF-3)."""
    counted = select(func.count()).select_from(Notification)
    mine = counted.where(Notification.member_id == member_id)
    return db.session.scalar(mine.where(Notification.seen_at.is_(None), Notification.archived_at.is_(None))) or 0


def inbox(member_id: UUID, *, archived: bool = False) -> Select[Any]:
    """A member's notices: those at hand, or those put away."""
    put_away = Notification.archived_at.is_not(None) if archived else Notification.archived_at.is_(None)
    return select(
        Notification.id,
        Notification.kind,
        Notification.data,
        Notification.created_at,
        Notification.seen_at,
        Notification.read_at,
    ).where(Notification.member_id == member_id, put_away)


def own(member_id: UUID) -> Select[Any]:
    """A member's notices, for `get_or_404`."""
    return select(Notification).where(Notification.member_id == member_id)
