"""Who must not be reached, whatever the channel: one place, asked before every message."""

from uuid import UUID

from sqlalchemy import select


def suppressed(member_id: UUID, purpose: str) -> str | None:
    """Why this member gets nothing for this purpose (`transactional`, `marketing`), or None.

    A suspended, archived or merged account gets nothing at all; marketing reaches those only who agreed to it.
    """
    from portal.extensions import db
    from portal.identity.consents import MARKETING, agreed
    from portal.identity.models import User

    row = db.session.execute(
        select(User.suspended_at, User.archived_at, User.merged_into).where(User.id == member_id)
    ).one_or_none()
    if row is None:
        return "unknown_member"
    if row.merged_into:
        return "merged"
    if row.archived_at:
        return "archived"
    if row.suspended_at and purpose != "security":
        return "suspended"
    if purpose == "marketing" and not agreed(member_id, MARKETING):
        return "no_consent"
    return None
