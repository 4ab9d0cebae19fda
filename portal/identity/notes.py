"""Notes of staff on a member: who wrote what and when; only the author changes or removes one."""

from typing import Any
from uuid import UUID

from flask_babel import gettext
from sqlalchemy import select

from portal.extensions import db
from portal.identity.models import MemberNote, User
from portal.identity.queries import whose
from portal.identity.service import locked
from portal.kernel import clock
from portal.kernel.commands import command, journal
from portal.kernel.errors import NotFound, PortalError
from portal.kernel.model import new_id

LONGEST = 2000  # characters
SHOWN = 50


class NotYourNote(PortalError):
    """Somebody else wrote it."""

    code, status = "note.not_yours", 403


def of_member(member_id: UUID) -> list[Any]:
    """The newest notes on a member and on who was merged into them, with the authors' names, newest first."""
    statement = (
        select(MemberNote, User.name.label("author"))
        .join(User, (User.tenant_id == MemberNote.tenant_id) & (User.id == MemberNote.author_id))
        .where(whose(MemberNote.member_id, member_id))
        .order_by(MemberNote.written_at.desc(), MemberNote.id.desc())
    )
    return list(db.session.execute(statement.limit(SHOWN)))


@command("note.write")
def write(member_id: UUID, author_id: UUID, body: str) -> UUID:
    """Write something down; returns the note's id."""
    locked(member_id)
    note = MemberNote(id=new_id(), member_id=member_id, author_id=author_id, body=body.strip(), written_at=clock.now())
    db.session.add(note)
    journal().about("member", member_id)
    return note.id


@command("note.edit")
def edit(note_id: UUID, author_id: UUID, body: str) -> None:
    """Change one's own note; nothing but blanks removes it. Raises `NotYourNote` and `NotFound`."""
    note = db.session.scalars(select(MemberNote).where(MemberNote.id == note_id).with_for_update()).one_or_none()
    if note is None:
        raise NotFound
    if note.author_id != author_id:
        raise NotYourNote(gettext("Somebody else wrote this note."))
    journal().about("member", note.member_id)
    if not body.strip():
        db.session.delete(note)
    elif body.strip() != note.body:
        note.body, note.edited_at = body.strip(), clock.now()
