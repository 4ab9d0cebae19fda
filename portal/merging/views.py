"""Two accounts of one person: finding them, looking at both, making them one, and parting them again (D28)."""

from typing import Any
from uuid import UUID

from flask import abort, flash, g, redirect, request, url_for
from flask_babel import gettext

from portal.identity import cards, contacts, pairs, roles
from portal.identity import labels as words
from portal.identity import queries as people
from portal.identity.models import MemberMerge, User
from portal.identity.stepup import fresh
from portal.kernel import clock
from portal.kernel.authz import Permission, PortalBlueprint
from portal.kernel.errors import NotFound, PortalError
from portal.kernel.reads import written_down
from portal.merging import labels, queries, service
from portal.merging.forms import DistinctForm, MergeForm, PartForm
from portal.wallets.labels import account_name
from portal.web.fragments import render
from portal.web.lookup import get_or_404
from portal.web.paging import Sort, page, query_text, when
from portal.web.security import reading

merging_admin = PortalBlueprint("merging_admin", __name__, room="admin", url_prefix="/admin/members")
P = Permission
SORTS = {"date": Sort(MemberMerge.merged_at.expression, when)}
FOUND = 20


@merging_admin.route("/merges", permission=P.MEMBERS_MERGE)
def merges() -> Any:
    """What was merged, the newest first, and what can still be undone."""
    found = page(queries.listed(), sorts=SORTS, default="-date", key=MemberMerge.id.expression)
    return render("merging/merges.html", fragment="merges", page=found, now=clock.now())


@merging_admin.route("/duplicates", methods=["GET", "POST"], permission=P.MEMBERS_MERGE)
def duplicates() -> Any:
    """Pairs who may be one person; POST says that one of them is two."""
    if request.method == "POST":
        form = DistinctForm()
        try:
            pairs.distinguish(UUID(form.low.data or ""), UUID(form.high.data or ""))
        except ValueError:
            return _duplicates(status=422)
        flash(gettext("They are two people; the pair is not shown again."))
        return redirect(url_for("merging_admin.duplicates"), code=303)
    return _duplicates()


def _duplicates(*, status: int = 200) -> Any:
    return render(
        "merging/duplicates.html",
        status=status,
        pairs=pairs.likely(),
        why=labels.why,
        card=cards.shown,
        phone=contacts.hidden_phone,
        email=contacts.hidden_email,
    )


@merging_admin.route("/<uuid:member_id>/merge", permission=P.MEMBERS_MERGE)
def choose(member_id: UUID) -> Any:
    """With whom: the likely ones, and a search."""
    member, q = _open(member_id), query_text()
    exact = people.find_member(q) if q else None
    found = ([exact] if exact else []) + (people.search_members(q, FOUND) if q else [])
    others = {row.id: row for row in found if row.id != member_id}
    return render(
        "merging/choose.html",
        fragment="candidates",
        member=member,
        q=q,
        found=list(others.values()),
        likely=[] if q else pairs.like(member),
        why=labels.why,
        card=cards.shown,
        phone=contacts.hidden_phone,
        email=contacts.hidden_email,
    )


@merging_admin.route("/<uuid:member_id>/merge/<uuid:other_id>", methods=["GET", "POST"], permission=P.MEMBERS_MERGE)
@fresh
def compare(member_id: UUID, other_id: UUID) -> Any:
    """Both side by side, what they would be together, and the last question."""
    if member_id == other_id:
        abort(404)
    if request.method == "POST" and (done := _done_before(member_id, other_id)):
        return done
    both = [_open(member_id), _open(other_id)]
    form = MergeForm()
    form.stays.choices = [(str(one.id), f"{one.name}, {cards.shown(one.card_number)}") for one in both]
    if reading():
        form.stays.data = str(_likelier(both).id)
    elif form.validate():
        stays = UUID(form.stays.data)
        goes = other_id if stays == member_id else member_id
        try:
            service.merge(goes, stays, reason=form.reason.data or "", key=form.key)
        except PortalError as error:
            form.stays.errors = [error.message]
        else:
            flash(gettext("The two accounts are one now. It can be undone for seven days."))
            return redirect(url_for("identity_admin.member", member_id=stays), code=303)
    for one in both:  # what they are reached by and their birthdays stand side by side
        written_down("member.read_contacts", about=("member", one.id))
        written_down("member.read_birthday", about=("member", one.id))
    first, second = (queries.side(one, g.tenant.currency) for one in both)
    return render(
        "merging/compare.html",
        status=422 if form.errors else 200,
        form=form,
        first=first,
        second=second,
        together=queries.together(first, second),
        account_name=account_name,
        joined_via=words.joined_via,
        card=cards.shown,
        phone=contacts.shown_phone,
    )


@merging_admin.route("/merges/<uuid:merge_id>/undo", methods=["GET", "POST"], permission=P.MEMBERS_MERGE)
@fresh
def undo(merge_id: UUID) -> Any:
    """What would come back and what cannot, and parting them."""
    found: MemberMerge = get_or_404(MemberMerge, merge_id)
    roles.refuse_touching(found.into_id)
    form = PartForm()
    if request.method == "POST" and form.validate():
        try:
            service.undo(merge_id, reason=form.reason.data or "")
        except PortalError as error:
            form.reason.errors = [error.message]
        else:
            flash(gettext("They are two members again."))
            return redirect(url_for("identity_admin.member", member_id=found.from_id), code=303)
    return render(
        "merging/undo.html",
        status=422 if form.errors else 200,
        form=form,
        merge=found,
        goes=get_or_404(User, found.from_id),
        stays=get_or_404(User, found.into_id),
        parts=service.parts(found),
        may_undo=service.may_undo(found, clock.now()),
        account_name=account_name,
    )


def _open(member_id: UUID) -> User:
    """A member who can be merged; 403 for somebody who may do more here than the person who asks."""
    found: User = get_or_404(User, member_id)
    if found.archived_at is not None or found.merged_into is not None:
        raise NotFound(gettext("There is no such member."))
    roles.refuse_touching(member_id)
    return found


def _done_before(member_id: UUID, other_id: UUID) -> Any:
    """The button was pressed twice, or a colleague was first: where the two are one."""
    into = people.survivor(member_id)
    if into != member_id and into == people.survivor(other_id):
        return redirect(url_for("identity_admin.member", member_id=into), code=303)
    if people.survivor(other_id) == member_id:
        return redirect(url_for("identity_admin.member", member_id=member_id), code=303)
    return None


def _likelier(both: list[User]) -> User:
    """Who had better stay: somebody with a role, then who can sign in, then who joined first."""
    return min(both, key=lambda one: (not people.role_keys(one.id), one.password_hash is None, one.joined_at, one.id))
