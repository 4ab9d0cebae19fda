"""The operator's room on `ops.<base>`: tenants from outside, health, and what operators looked at."""

from typing import Any
from uuid import UUID

from flask import abort, flash, g, make_response, redirect, request, url_for
from flask_babel import gettext
from flask_login import current_user

from portal.identity import onward, stepup
from portal.identity import sessions as cookies
from portal.identity.access import WrongCredentials
from portal.identity.factors import PASSWORD
from portal.identity.failures import TooManyTries
from portal.identity.forms import AppForm, ProofForm
from portal.identity.limits import TRIES_AN_ADDRESS, limited
from portal.identity.views.door import remember_language, remember_theme
from portal.kernel.authz import HALF, PUBLIC, Permission, PortalBlueprint
from portal.kernel.errors import PortalError
from portal.platform import audit as journal
from portal.platform import factors, queries, service, sessions
from portal.platform import tenants as acts
from portal.platform.forms import OperatorForm, ReasonForm, TenantForm, TermsForm
from portal.tenants.limits import LIMITS
from portal.tenants.service import SlugRefused, SlugTaken
from portal.tenants.starters import STARTERS
from portal.web import health as probes
from portal.web.fragments import render
from portal.web.paging import query_text
from portal.web.security import reading

platform = PortalBlueprint("platform", __name__, room="ops")


@platform.route("/login", methods=["GET", "POST"], permission=PUBLIC)
@limited(TRIES_AN_ADDRESS)
def sign_in() -> Any:
    form = OperatorForm()
    ahead = onward.safe_path(form.next.data or request.args.get("next"))
    form.next.data = ahead or ""
    if reading():
        return render("platform/sign_in.html", form=form)
    if not form.validate():
        return render("platform/sign_in.html", form=form, status=422)
    try:
        token = service.sign_in(form.email.data or "", form.password.data or "")
    except TooManyTries as error:
        answer = render("platform/sign_in.html", form=form, refusal=error.message, status=429)
        answer.headers["Retry-After"] = str(error.extra["retry_after"])
        return answer
    except WrongCredentials as error:
        return render("platform/sign_in.html", form=form, refusal=error.message, status=422)
    cookies.hand_cookie(token)
    return redirect(ahead or "/tenants", code=303)


@platform.route("/logout", methods=["POST"], permission=PUBLIC)
def sign_out() -> Any:
    if g.get("operator_session") is not None:
        service.sign_out(g.operator_session.id, request.cookies.get(cookies.cookie_name(), ""))
    cookies.drop_cookie()
    return make_response(redirect("/login", code=303))


@platform.route("/second", methods=["GET", "POST"], permission=HALF)
@limited(TRIES_AN_ADDRESS)
def second_factor() -> Any:
    """The second step of signing in: a code of the app, or a recovery code; whoever has none makes one (S4)."""
    ahead = onward.safe_path(request.values.get("next"))
    half = g.get("half")
    if half is None:
        return redirect(ahead or "/tenants", code=303)
    offered = factors.ways(half.id)
    if not offered:
        return render("platform/enrol.html", ahead=ahead)
    form = ProofForm(way=request.args.get("way"), offered=offered)
    if reading():
        return _proof(form, offered, ahead)
    if not form.validate():
        return _proof(form, offered, ahead, status=422)
    try:
        service.prove(half.id, form.way.data or "", form.typed)
    except PortalError as error:
        return _proof(form, offered, ahead, refusal=error.message, status=error.status)
    cookies.hand_cookie(sessions.finish(half))
    journal.note("operator.second_factor", half.id, way=form.way.data)
    return redirect(ahead or "/tenants", code=303)


@platform.route("/second/start", methods=["POST"], permission=HALF)
def start_app() -> Any:
    """Begin to set up an app."""
    if g.get("half") is None and not stepup.is_fresh():
        return stepup.ask()
    factors.start(_who())
    return redirect(url_for("platform.app", next=onward.safe_path(request.form.get("next"))), code=303)


@platform.route("/second/app", methods=["GET", "POST"], permission=HALF)
@limited(TRIES_AN_ADDRESS)
def app() -> Any:
    """The picture for the app, then the code that it shows; with it the half session is whole."""
    half, form = g.get("half"), AppForm()
    ahead = onward.safe_path(request.values.get("next"))
    if half is None and not stepup.is_fresh():
        return stepup.ask()
    if reading() or not form.validate():
        return _picture(form, ahead, 200 if reading() else 422)
    try:
        codes = factors.confirm(_who(), form.code.data or "")
    except PortalError as error:
        form.code.errors = [error.message]
        return _picture(form, ahead, error.status)
    answer = render("identity/recovery_codes.html", codes=codes, ahead=ahead or "/account")
    if half is not None:
        cookies.hand_cookie(sessions.finish(half))
    return answer


@platform.route("/confirm", methods=["GET", "POST"], permission=Permission.OPERATORS_READ)
@limited(TRIES_AN_ADDRESS)
def confirm() -> Any:
    """Show a factor once more, then go back (`stepup.fresh`)."""
    ahead = onward.safe_path(request.values.get("next")) or "/tenants"
    offered = factors.ways(current_user.id)[:1] or [PASSWORD]
    form = ProofForm(way=None, offered=offered)
    if reading():
        return _ask_again(form, offered, ahead)
    if not form.validate():
        return _ask_again(form, offered, ahead, status=422)
    try:
        service.prove(current_user.id, form.way.data or "", form.typed)
    except PortalError as error:
        return _ask_again(form, offered, ahead, refusal=error.message, status=error.status)
    sessions.proved(g.operator_session)
    return redirect(ahead, code=303)


@platform.route("/account", permission=Permission.OPERATORS_READ)
def account() -> Any:
    """One's own second factor."""
    has = bool(factors.ways(current_user.id))
    left = factors.left(current_user.id) if has else 0
    return render("platform/account.html", has=has, left=left, required=factors.required())


@platform.route("/account/codes", methods=["POST"], permission=Permission.OPERATORS_READ)
@stepup.fresh
def renew_codes() -> Any:
    """Ten new recovery codes."""
    if not factors.ways(current_user.id):
        abort(404)
    return render("identity/recovery_codes.html", codes=factors.renew(current_user.id), ahead="/account")


@platform.route("/account/removal", methods=["POST"], permission=Permission.OPERATORS_READ)
@stepup.fresh
def drop_app() -> Any:
    """Take the app away."""
    try:
        factors.remove(current_user.id)
    except factors.StillRequired as error:
        flash(error.message, "error")
    return redirect(url_for("platform.account"), code=303)


def _who() -> UUID:
    half = g.get("half")
    return half.id if half is not None else current_user.id


def _picture(form: AppForm, ahead: str | None, status: int) -> Any:
    found = factors.setup(_who(), g.operator_session.email)
    if found is None:
        return redirect(url_for("platform.second_factor" if g.get("half") else "platform.account"), code=303)
    back = url_for("platform.second_factor" if g.get("half") else "platform.account")
    own = url_for("platform.app")
    return render(
        "identity/app.html", form=form, setup=found, ahead=ahead, confirm_url=own, back_url=back, status=status
    )


def _proof(form: ProofForm, offered: list[str], ahead: str | None, *, refusal: str = "", status: int = 200) -> Any:
    return render("platform/second.html", form=form, offered=offered, ahead=ahead, refusal=refusal, status=status)


def _ask_again(form: ProofForm, offered: list[str], ahead: str, *, refusal: str = "", status: int = 200) -> Any:
    return render("platform/confirm.html", form=form, offered=offered, ahead=ahead, refusal=refusal, status=status)


@platform.route("/", permission=PUBLIC)
def front() -> Any:
    return redirect("/tenants", code=303)


@platform.route("/tenants", permission=Permission.OPERATORS_READ)
def tenants() -> Any:
    q = query_text()
    journal.note("tenants.read", current_user.id, **({"q": q} if q else {}))
    rows, silent = queries.tenants(q)
    oldest = max((int(row.waiting.total_seconds()) for row in rows if row.waiting), default=0)
    return render(
        "platform/tenants.html",
        fragment="tenants_list",
        rows=rows,
        silent=silent,
        several=len({row.primary_name for row in rows}) > 1,
        q=q,
        health_of=queries.health_of,
        oldest=oldest,
    )


@platform.route("/tenants/new", methods=["GET", "POST"], permission=Permission.TENANTS_MANAGE)
@stepup.fresh_to_write
def create_tenant() -> Any:
    """A tenant that is usable a moment later; its first admin is invited by mail."""
    form = TenantForm()
    if reading():
        return render("platform/new_tenant.html", form=form, starters=STARTERS)
    if form.validate():
        try:
            tenant_id = acts.open_one(current_user.id, key=form.key, **form.values())
        except SlugRefused as error:
            form.slug.errors = [error.message]
        except SlugTaken:
            form.slug.errors = [gettext("This address is taken.")]
        else:
            flash(gettext("The tenant is open, and its first admin has mail."))
            return redirect(url_for("platform.tenant", tenant_id=tenant_id), code=303)
    return render("platform/new_tenant.html", form=form, starters=STARTERS, status=422)


@platform.route("/tenants/<uuid:tenant_id>", permission=Permission.OPERATORS_READ)
def tenant(tenant_id: UUID) -> Any:
    row = _tenant(tenant_id)
    journal.note("tenant.read", current_user.id, tenant=row.slug)
    return _shown(row)


@platform.route("/tenants/<uuid:tenant_id>/terms", methods=["POST"], permission=Permission.TENANTS_MANAGE)
@stepup.fresh_to_write
def update_terms(tenant_id: UUID) -> Any:
    row, form = _tenant(tenant_id), TermsForm()
    if not form.validate():
        return _shown(row, terms=form, status=422)
    acts.set_terms(current_user.id, row, modules=form.modules.data or [], limits=form.limits())
    flash(gettext("Saved."))
    return redirect(url_for("platform.tenant", tenant_id=tenant_id), code=303)


@platform.route("/tenants/<uuid:tenant_id>/suspension", methods=["POST"], permission=Permission.TENANTS_MANAGE)
@stepup.fresh_to_write
def suspend_tenant(tenant_id: UUID) -> Any:
    row, form = _tenant(tenant_id), ReasonForm()
    if not form.validate():
        return _shown(row, reason=form, status=422)
    acts.suspend(current_user.id, row, form.reason.data or "")
    flash(gettext("%(name)s is suspended.", name=row.name))
    return redirect(url_for("platform.tenant", tenant_id=tenant_id), code=303)


@platform.route("/tenants/<uuid:tenant_id>/resumption", methods=["POST"], permission=Permission.TENANTS_MANAGE)
@stepup.fresh_to_write
def resume_tenant(tenant_id: UUID) -> Any:
    row = _tenant(tenant_id)
    acts.resume(current_user.id, row)
    flash(gettext("%(name)s goes on.", name=row.name))
    return redirect(url_for("platform.tenant", tenant_id=tenant_id), code=303)


def _tenant(tenant_id: UUID) -> Any:
    row = queries.tenant(tenant_id)
    if row is None:
        abort(404)
    return row


def _shown(row: Any, *, terms: TermsForm | None = None, reason: ReasonForm | None = None, status: int = 200) -> Any:
    stored = {"modules": row.allowed_modules, **row.limits}
    return render(
        "platform/tenant.html",
        row=row._asdict(),
        domains=queries.domains(row.id),
        terms=terms or TermsForm(formdata=None, data=stored),
        reason=reason or ReasonForm(formdata=None),
        limits=LIMITS,
        status=status,
    )


@platform.route("/health", permission=Permission.OPERATORS_READ)
def health() -> Any:
    journal.note("health.read", current_user.id)
    return render(
        "platform/health.html",
        stores=probes.readyz().get_json(),
        deliveries=queries.deliveries(),
        queues=queries.queues(),
        versions=queries.versions(),
    )


@platform.route("/audit", permission=Permission.OPERATORS_READ)
def audit() -> Any:
    before = request.args.get("before", type=int)
    asked = {name: request.args.get(name, "").replace("\x00", "")[:100] for name in ("action", "tenant")}
    journal.note("audit.read", current_user.id, **({"before": before} if before else {}))
    rows = journal.entries(before, **asked)
    older = rows[journal.SHOWN - 1].seq if len(rows) > journal.SHOWN else None
    return render(
        "platform/audit.html", rows=rows[: journal.SHOWN], older=older, asked=asked, actions=journal.actions()
    )


@platform.route("/language", methods=["POST"], permission=PUBLIC)
def language() -> Any:
    return remember_language()


@platform.route("/theme", methods=["POST"], permission=PUBLIC)
def theme() -> Any:
    return remember_theme()
