"""A member as the admin sees one: figures, timeline, and what may be done to the account."""

from typing import Any
from uuid import UUID

from flask import flash, g, redirect, request, url_for
from flask_babel import gettext
from flask_login import current_user

from portal.identity import access, cards, contacts, labels, notes, onward, pairs, queries, roles, service, sessions
from portal.identity.forms import ContactsForm, LookForm, NoteForm, SuspensionForm, apart
from portal.identity.models import User
from portal.identity.stepup import fresh, fresh_to_write
from portal.identity.views import roster, timeline
from portal.identity.views.blueprints import admin
from portal.identity.views.corrections import AdjustmentForm, TierForm
from portal.kernel import clock
from portal.kernel.authz import Permission
from portal.kernel.errors import PortalError
from portal.kernel.reads import written_down
from portal.web.client import client_address
from portal.web.fragments import render
from portal.web.lookup import get_or_404

P = Permission


@admin.route("/<uuid:member_id>", permission=P.MEMBERS_READ)
def member(member_id: UUID) -> Any:
    return _page(get_or_404(User, member_id))


@admin.route("/<uuid:member_id>/contacts", methods=["GET", "POST"], permission=P.MEMBERS_UPDATE)
@fresh_to_write
def contacts_of(member_id: UUID) -> Any:
    found = touchable(member_id)
    form = ContactsForm(obj=found)
    if request.method == "POST" and form.validate():
        try:
            service.edit_member(
                member_id, name=form.name.data or "", phone=form.phone.data or None, email=form.email.data or None
            )
        except PortalError as error:
            form.refuse(error)
        else:
            return _done(member_id, gettext("Contacts are saved."))
    _contacts_read(member_id)  # what is refused shows them, too
    return render("identity/contacts.html", member=found, form=form, status=422 if form.errors else 200)


@admin.route("/<uuid:member_id>/contacts/shown", permission=P.MEMBERS_READ)
def show_contacts(member_id: UUID) -> Any:
    """The member's page with the whole phone and e-mail, which the page itself shows in part; the look is audited."""
    found: User = get_or_404(User, member_id)
    _contacts_read(member_id)
    return _page(found, fragment="contact_data", revealed=True)


@admin.route("/<uuid:member_id>/suspension", methods=["POST"], permission=P.MEMBERS_UPDATE)
def suspend(member_id: UUID) -> Any:
    found = touchable(member_id)
    if member_id == current_user.id:
        raise service.OwnAccount(gettext("You cannot suspend yourself."))
    form = SuspensionForm()
    if form.validate():
        service.suspend(member_id, reason=form.reason.data or "")
        return _done(member_id, gettext("%(name)s is suspended; tills show the reason.", name=found.name))
    return _page(found, suspension=form, status=422)


@admin.route("/<uuid:member_id>/suspension/end", methods=["POST"], permission=P.MEMBERS_UPDATE)
def reinstate(member_id: UUID) -> Any:
    found = touchable(member_id)
    service.unsuspend(member_id)
    return _done(member_id, gettext("%(name)s is open again.", name=found.name))


@admin.route("/<uuid:member_id>/looking", methods=["POST"], permission=P.MEMBERS_IMPERSONATE)
@fresh
def look(member_id: UUID) -> Any:
    """See the member's own pages, changing nothing; the member is told (S14)."""
    found = get_or_404(User, member_id)
    form = LookForm()
    if not form.validate():
        return _page(found, looking=form, status=422)
    own = request.cookies.get(sessions.cookie_name(), "")
    token = access.look(
        member_id,
        by=current_user.id,
        reason=form.reason.data or "",
        user_agent=request.user_agent.string,
        ip=client_address(),
    )
    sessions.hand_cookie(token)
    sessions.keep_own(own)
    return redirect(onward.home(), code=303)


@admin.route("/<uuid:member_id>/sessions/end", methods=["POST"], permission=P.MEMBERS_UPDATE)
def end_sessions(member_id: UUID) -> Any:
    """Sign a member out everywhere: a lost telephone, a strange device."""
    found = touchable(member_id)
    service.end_sessions(member_id)
    return _done(member_id, gettext("%(name)s is signed out everywhere.", name=found.name))


@admin.route("/<uuid:member_id>/adjustments", methods=["POST"], permission=P.WALLETS_ADJUST)
@fresh_to_write
def adjust(member_id: UUID) -> Any:
    """Give or take bonus with a reason; the form's key makes a double click one correction."""
    from portal.wallets import service as wallets

    found = get_or_404(User, member_id)
    form = AdjustmentForm()
    if form.validate():
        try:
            wallets.adjust(
                member_id, form.signed(), currency=g.tenant.currency, reason=form.reason.data or "", key=form.key
            )
        except PortalError as error:
            form.amount.errors = [error.message]
        else:
            return _done(member_id, gettext("The balance is corrected."))
    return _page(found, adjustment=form, status=422)


@admin.route("/<uuid:member_id>/tier", methods=["POST"], permission=P.TIERS_UPDATE)
def set_tier(member_id: UUID) -> Any:
    from portal.loyalty import service as loyalty

    found = get_or_404(User, member_id)
    form = TierForm()
    if form.validate():
        until = roster.midnight(form.locked_until.data.isoformat(), days=1) if form.locked_until.data else None
        try:
            loyalty.set_tier(member_id, form.tier.data, reason=form.reason.data or "", locked_until=until)
        except PortalError as error:
            form.locked_until.errors = [error.message]
        else:
            return _done(member_id, gettext("The tier is set."))
    return _page(found, tier_form=form, status=422)


def _contacts_read(member_id: UUID) -> None:
    written_down("member.read_contacts", about=("member", member_id))


def touchable(member_id: UUID) -> User:
    """The member; 403 for the account of somebody who may do more here than the person who asks."""
    found: User = get_or_404(User, member_id)
    roles.refuse_touching(member_id)
    return found


def _done(member_id: UUID, told: str) -> Any:
    flash(told)
    return redirect(url_for("identity_admin.member", member_id=member_id), code=303)


def _page(found: User, *, status: int = 200, fragment: str = "timeline", revealed: bool = False, **forms: Any) -> Any:
    from portal.loyalty.progress import progress
    from portal.profiles import birthdays
    from portal.wallets.queries import balances

    kind = request.args.get("f.kind", "")
    lines, older = timeline.lines(found.id, kind=kind, after=request.args.get("after", ""))
    place = progress(found.id)
    given = {
        "suspension": SuspensionForm(formdata=None),
        "note_form": NoteForm(formdata=None),
        "adjustment": AdjustmentForm(formdata=None),
        "looking": LookForm(formdata=None),
        "tier_form": TierForm(formdata=None, data={"tier": place.tier.code}) if place else None,
    }
    every: dict[str, Any] = {**given, **forms}
    shown: dict[str, Any] = {name: apart(form, name) if form else None for name, form in every.items()}
    return render(
        "identity/member.html",
        fragment=fragment,
        status=status,
        member=found,
        roles=[labels.role(name) for name in queries.tenant_roles(found.id)],
        card=cards.shown(found.card_number),
        phone=contacts.shown_phone(found.phone) if revealed else contacts.hidden_phone(found.phone),
        email=found.email if revealed else contacts.hidden_email(found.email),
        revealed=revealed,
        born_on=birthdays.of(found.id),
        joined_via=labels.joined_via(found.joined_via),
        balances=balances(found.id),
        place=place,
        lines=lines,
        older=older,
        kind=kind,
        kinds=timeline.kinds(),
        merges=pairs.standing(found.id),
        now=clock.now(),
        shown_card=cards.shown,
        touchable=roles.may_touch(found.id),
        notes=notes.of_member(found.id),
        opened=next(iter(forms), ""),
        **shown,
    )
