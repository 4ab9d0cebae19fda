"""The admin's page of the tiers, and a member's tier set by hand."""

from uuid import UUID

from flask import abort, flash, g, redirect, request, url_for
from flask_babel import gettext
from werkzeug.wrappers import Response

from portal.identity import queries as people
from portal.kernel.authz import Permission, PortalBlueprint
from portal.kernel.errors import PortalError
from portal.loyalty import changes, labels, queries, service
from portal.loyalty.durations import midnight
from portal.loyalty.forms import MemberTierForm, ProgramForm, program_form
from portal.loyalty.progress import progress
from portal.loyalty.queries import Program
from portal.web.fragments import render
from portal.web.locale import offered
from portal.web.security import reading

loyalty_admin = PortalBlueprint("loyalty_admin", __name__, room="admin", module="loyalty", url_prefix="/admin")
P = Permission


@loyalty_admin.route("/tiers", permission=P.TIERS_READ)
def tiers() -> Response:
    """The ladder and its rules."""
    program = queries.program()
    if program is None:
        return render("loyalty/no_program.html")
    return _shown(program, program_form(program, offered()))


@loyalty_admin.route("/tiers", methods=["POST"], permission=P.TIERS_UPDATE)
def update_tiers() -> Response:
    """Show what a change means, then make it."""
    program = queries.program()
    if program is None:
        abort(404)
    form = program_form(program, offered())
    if not form.validate():
        return _shown(program, form, status=422)
    drafts = form.drafts(program.rules.tiers, offered())
    options = {
        "bonus_expiry": form.bonus_expiry,
        "period": form.period.data,
        "end_rule": form.end_rule.data,
        "downgrade": form.downgrade.data,
    }
    try:
        service.check(drafts)
        if request.form.get("step") == "preview":
            return _shown(program, form, said=changes.changes(program, drafts, **options), previewed=True)
        service.update_program(drafts, **options)
    except PortalError as error:
        return _shown(program, form, status=error.status, refusal=error.message)
    flash(gettext("Saved. It holds from the next purchase on."))
    return redirect(url_for("loyalty_admin.tiers"), code=303)


@loyalty_admin.route("/members/<uuid:member_id>/tier", methods=["GET", "POST"], permission=P.TIERS_UPDATE)
def member_tier(member_id: UUID) -> Response:
    """Put a member on a tier by hand, with a reason and a lock (LOY-11)."""
    member, standing = people.member(member_id), progress(member_id)
    if member is None or standing is None:
        abort(404)
    form = MemberTierForm(data={"tier": standing.tier.code} if reading() else None)
    form.tier.choices = [(tier.code, tier.name_i18n.in_(g.tenant.default_locale)) for tier in queries.tiers()]
    refusal, status = "", 200
    if request.method == "POST":
        status = 422
        if form.validate():
            lock = midnight(form.locked_until.data, g.tenant.timezone) if form.locked_until.data else None
            try:
                service.set_tier(member_id, form.tier.data, reason=form.reason.data or "", locked_until=lock)
                flash(gettext("The tier is set."))
                return redirect(url_for("loyalty_admin.member_tier", member_id=member_id), code=303)
            except PortalError as error:
                refusal, status = error.message, error.status
    return render(
        "loyalty/member_tier.html",
        status=status,
        member=member,
        standing=standing,
        form=form,
        refusal=refusal,
        changes=queries.changes_of(member_id),
        cause=labels.cause,
    )


def _shown(
    program: Program,
    form: ProgramForm,
    *,
    status: int = 200,
    said: list[str] | None = None,
    previewed: bool = False,
    refusal: str = "",
) -> Response:
    return render(
        "loyalty/tiers.html",
        status=status,
        program=program,
        form=form,
        said=said or [],
        previewed=previewed,
        refusal=refusal,
        locales=offered(),
        members=queries.members_by_tier(),
        everybody=queries.everybody(),
        labels=labels,
    )
