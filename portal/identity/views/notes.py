"""Notes on a member, at the admin's page of the member."""

from typing import Any
from uuid import UUID

from flask import abort, flash, redirect, url_for
from flask_babel import gettext
from flask_login import current_user

from portal.identity import notes
from portal.identity.forms import NoteForm
from portal.identity.models import MemberNote, User
from portal.identity.views.blueprints import admin
from portal.kernel.authz import Permission
from portal.web.fragments import render
from portal.web.lookup import get_or_404

P = Permission


@admin.route("/<uuid:member_id>/notes", methods=["POST"], permission=P.MEMBERS_UPDATE)
def write_note(member_id: UUID) -> Any:
    found: User = get_or_404(User, member_id)
    form = NoteForm()
    if not form.validate() or not (form.body.data or "").strip():
        return render("identity/note.html", form=form, member=found, note=None, status=422)
    notes.write(member_id, current_user.id, form.body.data or "")
    return _back(member_id)


@admin.route("/notes/<uuid:note_id>", methods=["GET", "POST"], permission=P.MEMBERS_UPDATE)
def edit_note(note_id: UUID) -> Any:
    """One's own note; emptied it is removed."""
    note: MemberNote = get_or_404(MemberNote, note_id)
    if note.author_id != current_user.id:
        abort(403)
    found: User = get_or_404(User, note.member_id)
    form = NoteForm(obj=note)
    if not form.is_submitted() or not form.validate():
        return render("identity/note.html", form=form, member=found, note=note, status=422 if form.errors else 200)
    notes.edit(note_id, current_user.id, form.body.data or "")
    return _back(found.id)


def _back(member_id: UUID) -> Any:
    flash(gettext("The note is saved."))
    return redirect(url_for("identity_admin.member", member_id=member_id, _anchor="notes"), code=303)
