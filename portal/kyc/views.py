"""Verification: the member sends, the community's people decide."""

from datetime import date
from typing import Any
from uuid import UUID

from flask import Response, abort, flash, g, redirect, request, url_for
from flask_babel import gettext
from flask_login import current_user

from portal.files.service import FileRefused
from portal.identity.models import User
from portal.identity.stepup import fresh_to_write
from portal.kernel import vault
from portal.kernel.authz import LOGIN, Permission, PortalBlueprint
from portal.kernel.errors import PortalError
from portal.kyc import labels, levels, queries, service
from portal.kyc.forms import PICTURES, DecisionForm, RulesForm, SubmissionForm
from portal.kyc.models import KycSubmission
from portal.kyc.rules import FEATURES, rules
from portal.tenants import hosts
from portal.web.fragments import render
from portal.web.lookup import get_or_404
from portal.web.paging import Sort, filters, page, query_text, when
from portal.web.security import reading
from portal.web.template import day

kyc = PortalBlueprint("kyc", __name__, room="member")
kyc_admin = PortalBlueprint("kyc_admin", __name__, room="admin", url_prefix="/admin/kyc")
P = Permission
SORTS = {"date": Sort(KycSubmission.submitted_at.expression, when)}


@kyc.route("/me/verification", methods=["GET", "POST"], permission=LOGIN)
def status() -> Any:
    """How far one is verified, what was decided and why, and the form for the next try."""
    form = SubmissionForm()
    if reading():
        return _status(SubmissionForm(formdata=None, data=_known()))
    if not rules().enabled:
        abort(404)
    if not form.validate():
        return _status(form, code=422)
    sent = {name: file for name in PICTURES if (file := request.files.get(name)) and file.filename}
    born: date = form.born_on.data
    try:
        service.submit(
            current_user.id,
            level=form.level.data,
            legal_name=form.legal_name.data or "",
            born_on=born,
            country=form.country.data,
            document_kind=form.document_kind.data,
            document_number=form.document_number.data or "",
            documents={name: file.stream for name, file in sent.items()},
        )
    except FileRefused as error:
        form.front.errors = [error.message]
        return _status(form, code=error.status)
    except PortalError as error:
        form.refuse(error)
        return _status(form, code=error.status)
    finally:
        for file in sent.values():
            file.close()
    flash(gettext("Your documents are on their way. You hear from us here and by mail."))
    return redirect(url_for("kyc.status"), code=303)


@kyc_admin.route("", permission=P.KYC_READ)
def submissions() -> Any:
    """The queue, the oldest first."""
    chosen = filters("state", "level")
    found = page(
        queries.queue(query_text(), chosen),
        sorts=SORTS,
        default="date",
        key=KycSubmission.id.expression,
        filters=chosen,
    )
    return render("kyc/queue.html", fragment="queue", page=found, labels=labels, rules=rules())


@kyc_admin.route("/<uuid:submission_id>", permission=P.KYC_READ)
def submission(submission_id: UUID) -> Any:
    """One submission with what was sent; opening it is audited."""
    return _submission(get_or_404(KycSubmission, submission_id))


@kyc_admin.route("/<uuid:submission_id>/documents/<uuid:document_id>", permission=P.KYC_READ)
def document(submission_id: UUID, document_id: UUID) -> Response:
    """A picture, unsealed for this one look, which is audited (AUD-2)."""
    mime, body = service.document(submission_id, document_id)
    response = Response(body, mimetype=mime)
    response.headers["Cache-Control"] = "no-store"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    if mime != "image/jpeg":
        response.headers["Content-Disposition"] = "attachment; filename=document.pdf"
    return response


@kyc_admin.route("/<uuid:submission_id>/decisions", methods=["POST"], permission=P.KYC_APPROVE)
@fresh_to_write
def decide(submission_id: UUID) -> Any:
    """Approve, refuse, ask for another try, or look again."""
    found = get_or_404(KycSubmission, submission_id)
    form = DecisionForm()
    if not form.validate():
        return _submission(found, form, code=422)
    act, note = request.form.get("act", ""), form.note.data or ""
    try:
        told = _carry_out(act, submission_id, form, note)
    except PortalError as error:
        field = {"reasons": form.reasons, "valid_until": form.valid_until}.get(error.extra.get("field", ""), form.note)
        field.errors = [error.message]
        return _submission(found, form, code=error.status)
    flash(told)
    return redirect(url_for("kyc_admin.submission", submission_id=submission_id), code=303)


@kyc_admin.route("/settings", methods=["GET", "POST"], permission=P.SETTINGS_UPDATE)
@fresh_to_write
def settings() -> Any:
    """Whether members can be verified, by whom, for how long, and what each level unlocks."""
    own = rules()
    gates = {name: own.gates.get(name) for name in FEATURES}
    if reading():
        known = {name: getattr(own, name) for name in ("enabled", "four_eyes", "valid_months", "purge_days")}
        known |= {
            "spend_level": gates["bonus.spend"].level if gates["bonus.spend"] else "none",
            "spend_free": gates["bonus.spend"].free if gates["bonus.spend"] else 0,
            "public_level": gates["profile.public"].level if gates["profile.public"] else "none",
        }
        return render("kyc/settings.html", form=RulesForm(formdata=None, data=known))
    form = RulesForm()
    if not form.validate():
        return render("kyc/settings.html", form=form, status=422)
    service.set_rules(
        {
            "enabled": form.enabled.data,
            "four_eyes": form.four_eyes.data,
            "valid_months": form.valid_months.data,
            "purge_days": form.purge_days.data,
            "gates": {
                "bonus.spend": {"level": form.spend_level.data, "free": form.spend_free.data or 0},
                "profile.public": {"level": form.public_level.data},
            },
        }
    )
    hosts.forget()
    flash(gettext("Saved. Everybody sees it within seconds."))
    return redirect(url_for("kyc_admin.settings"), code=303)


def _carry_out(act: str, submission_id: UUID, form: DecisionForm, note: str) -> str:
    if act == "approve":
        state = service.approve(submission_id, current_user.id, valid_until=form.valid_until.data, note=note)
        if state != "verified":
            return gettext("Approved; a second person has to look too.")
        return gettext("Verified. The member is told.")
    if act in {"reject", "resubmit"}:
        reasons = form.reasons.data or []
        service.reject(submission_id, current_user.id, reasons=reasons, note=note, again=act == "resubmit")
        return gettext("Refused. The member is told why.")
    if act != "review":
        abort(422)
    service.reopen(submission_id, current_user.id, note=note)
    return gettext("Under review again.")


def _known() -> dict[str, Any]:
    country = (g.tenant.settings.get("region") or g.tenant.currency)[:2]
    return {"legal_name": current_user.name, "country": country}


def _status(form: SubmissionForm, code: int = 200) -> Any:
    tries = queries.of_member(current_user.id)
    return render(
        "kyc/status.html",
        status=code,
        form=form,
        tries=tries,
        level=levels.level_of(current_user.id),
        open=any(row.state in service.OPEN for row in tries),
        rules=rules(),
        needed=service.NEEDED,
        pictures=PICTURES,
        labels=labels,
    )


def _submission(found: KycSubmission, form: DecisionForm | None = None, code: int = 200) -> Any:
    try:
        words = service.opened(found.id)
    except vault.Unreadable:
        words = {}
    member = get_or_404(User, found.member_id)
    return render(
        "kyc/submission.html",
        status=code,
        it=found,
        member=member,
        words=words,
        born_on=day(date.fromisoformat(words["born_on"])) if "born_on" in words else "",
        documents=[] if found.purged_at else queries.documents(found.id),
        others=service.same_document(found),
        names=queries.names({who for who in (found.first_approver_id, found.decided_by) if who}),
        form=form or DecisionForm(formdata=None),
        labels=labels,
        rules=rules(),
        may=current_user.may(P.KYC_APPROVE) and found.member_id != current_user.id,
    )
