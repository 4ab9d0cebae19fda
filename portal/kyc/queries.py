"""Submissions as pages show them: never a sealed word."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from portal.extensions import db
from portal.identity import queries as people
from portal.identity.models import User
from portal.kyc.models import KycDocument, KycSubmission

COLUMNS = (
    KycSubmission.id,
    KycSubmission.member_id,
    KycSubmission.version,
    KycSubmission.level,
    KycSubmission.state,
    KycSubmission.submitted_at,
    KycSubmission.first_approver_id,
    KycSubmission.decided_at,
    KycSubmission.decided_by,
    KycSubmission.reasons,
    KycSubmission.note,
    KycSubmission.valid_until,
    KycSubmission.purged_at,
    KycSubmission.document_kind,
    KycSubmission.country,
)


def of_member(member_id: UUID) -> list[Any]:
    """A member's submissions, the newest first; those of an account that was merged into theirs too (D28)."""
    statement = select(*COLUMNS).where(people.whose(KycSubmission.member_id, member_id))
    return list(db.session.execute(statement.order_by(KycSubmission.submitted_at.desc(), KycSubmission.id.desc())))


def queue(q: str, filters: Mapping[str, str]) -> Select[Any]:
    """The reviewers' list: open ones unless a state is chosen; `q` finds the member."""
    joined: Any = select(*COLUMNS, User.name, User.card_number).join(
        User, (User.tenant_id == KycSubmission.tenant_id) & (User.id == KycSubmission.member_id)
    )
    state = filters.get("state", "open")
    if state == "open":
        joined = joined.where(KycSubmission.state.in_(("pending", "review")))
    elif state != "all":
        joined = joined.where(KycSubmission.state == state)
    if filters.get("level"):
        joined = joined.where(KycSubmission.level == filters["level"])
    if q:
        found = people.matching(joined, q)
        joined = found if found is not None else joined.where(User.id.is_(None))
    statement: Select[Any] = joined
    return statement


def submission(submission_id: UUID) -> Select[Any]:
    """One submission, for `get_or_404`."""
    return select(KycSubmission).where(KycSubmission.id == submission_id)


def documents(submission_id: UUID) -> list[Any]:
    """The kinds and types of a submission's pictures."""
    statement = select(KycDocument.id, KycDocument.kind, KycDocument.mime).where(
        KycDocument.submission_id == submission_id
    )
    return list(db.session.execute(statement.order_by(KycDocument.id)))


def names(ids: set[UUID]) -> dict[UUID, str]:
    """Who the reviewers are."""
    if not ids:
        return {}
    return dict(db.session.execute(select(User.id, User.name).where(User.id.in_(ids))).all())
