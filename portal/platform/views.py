"""The operator's room on `ops.<base>`: tenants from outside, health, and what operators looked at."""

from typing import Any
from uuid import UUID

from flask import Response, abort, flash, g, make_response, redirect, request, url_for
from flask_babel import gettext, ngettext
from flask_login import current_user
from werkzeug.datastructures import MultiDict

from portal.identity import devices, onward, signing, stepup
from portal.identity import sessions as cookies
from portal.identity.access import WrongCredentials
from portal.identity.factors import PASSKEY, PASSWORD, RECOVERY
from portal.identity.failures import TooManyTries
from portal.identity.forms import AppForm, PasskeyForm, ProofForm
from portal.identity.limits import TRIES_AN_ADDRESS, limited
from portal.identity.views.door import remember_language, remember_theme
from portal.kernel.authz import HALF, PUBLIC, Permission, PortalBlueprint
from portal.kernel.errors import PortalError
from portal.platform import audit as journal
from portal.platform import factors, labels, passkeys, queries, service, sessions
from portal.platform import tenants as acts
from portal.platform.forms import OperatorForm, OwnerForm, ReasonForm, TenantForm, TermsForm
from portal.tenants import domains as addresses
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
    """The second step of signing in: a passkey, a code of the app, a recovery code; whoever has none makes one (S4)."""
    ahead = onward.safe_path(request.values.get("next"))
    half = g.get("half")
    if half is None:
        return redirect(ahead or "/tenants", code=303)
    offered = factors.ways(half.id)
    if not offered:
        return redirect(url_for("platform.enrol", next=ahead), code=303)
    form = ProofForm(way=request.args.get("way"), offered=offered)
    if reading():
        return _proof(form, offered, ahead)
    if not form.validate():
        return _proof(form, offered, ahead, status=422)
    try:
        service.prove(half.id, form.way.data or "", _shown_by(form), purpose=signing.SECOND)
    except PortalError as error:
        return _proof(form, offered, ahead, refusal=error.message, status=error.status)
    cookies.hand_cookie(sessions.finish(half))
    journal.note("operator.second_factor", half.id, way=form.way.data)
    return redirect(ahead or "/tenants", code=303)


@platform.route("/login/passkey", methods=["POST"], permission=PUBLIC)
@limited(TRIES_AN_ADDRESS)
def sign_in_by_passkey() -> Any:
    """Sign in by a passkey alone."""
    ahead = onward.safe_path(request.form.get("next"))
    try:
        token = passkeys.sign_in(request.form.get("credential", ""))
    except PortalError as error:
        form = OperatorForm(MultiDict())
        form.next.data = ahead or ""
        return render("platform/sign_in.html", form=form, refusal=error.message, status=error.status)
    cookies.hand_cookie(token)
    return redirect(ahead or "/tenants", code=303)


@platform.route("/passkeys/options", methods=["POST"], permission=PUBLIC)
@limited(TRIES_AN_ADDRESS)
def passkey_options() -> Response:
    """What a browser is asked to sign."""
    half = g.get("half")

    def register() -> str | None:
        return passkeys.to_register(g.operator_session) if _enrolling() else None

    return signing.question(passkeys, half.id if half else None, register)


@platform.route("/second/new", permission=HALF)
def enrol() -> Any:
    """Choose a second factor: a passkey or an app."""
    return _choose(PasskeyForm(), 200) if _enrolling() else _not_yet()


@platform.route("/second/passkeys", methods=["POST"], permission=HALF)
@limited(TRIES_AN_ADDRESS)
def add_passkey() -> Any:
    """Keep a new passkey; with it a half session is whole."""
    if not _enrolling():
        return _not_yet()
    form = PasskeyForm()
    if not form.validate():
        return _choose(form, 422)
    try:
        codes = factors.add_passkey(_who(), form.credential.data or "", form.name.data or "")
    except PortalError as error:
        return _choose(form, error.status, refusal=error.message)
    flash(gettext("The passkey is kept."))
    return _made(codes)


@platform.route("/second/start", methods=["POST"], permission=HALF)
def start_app() -> Any:
    """Begin to set up an app."""
    if not _enrolling():
        return _not_yet()
    factors.start(_who())
    return redirect(url_for("platform.app", next=onward.safe_path(request.form.get("next"))), code=303)


@platform.route("/second/app", methods=["GET", "POST"], permission=HALF)
@limited(TRIES_AN_ADDRESS)
def app() -> Any:
    """The picture for the app, then the code that it shows; with it the half session is whole."""
    if not _enrolling():
        return _not_yet()
    form, ahead = AppForm(), onward.safe_path(request.values.get("next"))
    if reading() or not form.validate():
        return _picture(form, ahead, 200 if reading() else 422)
    try:
        codes = factors.confirm(_who(), form.code.data or "")
    except PortalError as error:
        form.code.errors = [error.message]
        return _picture(form, ahead, error.status)
    flash(gettext("The app is set up. It is asked for when you sign in."))
    return _made(codes)


@platform.route("/confirm", methods=["GET", "POST"], permission=Permission.OPERATORS_READ)
@limited(TRIES_AN_ADDRESS)
def confirm() -> Any:
    """Show a factor once more, then go back (`stepup.fresh`)."""
    ahead = onward.safe_path(request.values.get("next")) or "/tenants"
    offered = [way for way in factors.ways(current_user.id) if way != RECOVERY] or [PASSWORD]
    form = ProofForm(way=request.args.get("way"), offered=offered)
    if reading():
        return _ask_again(form, offered, ahead)
    if not form.validate():
        return _ask_again(form, offered, ahead, status=422)
    try:
        service.prove(current_user.id, form.way.data or "", _shown_by(form), purpose=signing.CONFIRM)
    except PortalError as error:
        return _ask_again(form, offered, ahead, refusal=error.message, status=error.status)
    sessions.proved(g.operator_session)
    return redirect(ahead, code=303)


@platform.route("/account", permission=Permission.OPERATORS_READ)
def account() -> Any:
    """One's own second factors, and where one is signed in."""
    has = bool(factors.ways(current_user.id))
    return render(
        "platform/account.html",
        has=has,
        keys=passkeys.kept(current_user.id),
        app=factors.has_app(current_user.id),
        left=factors.left(current_user.id) if has else 0,
        required=factors.required(),
        sessions=sessions.open_ones(current_user.id),
        here=g.operator_session.session_id,
        devices=devices,
    )


@platform.route("/account/sessions/<uuid:session_id>/end", methods=["POST"], permission=Permission.OPERATORS_READ)
def end_session(session_id: UUID) -> Any:
    """Sign one browser out."""
    sessions.end(current_user.id, session_id)
    flash(gettext("That device is signed out."))
    return redirect(url_for("platform.account"), code=303)


@platform.route("/account/sessions/end", methods=["POST"], permission=Permission.OPERATORS_READ)
def end_other_sessions() -> Any:
    """Sign every other browser out."""
    count = sessions.end_others(current_user.id, g.operator_session.session_id)
    flash(ngettext("%(num)s device is signed out.", "%(num)s devices are signed out.", count))
    return redirect(url_for("platform.account"), code=303)


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
    return _removed(None)


@platform.route("/account/passkeys/<uuid:passkey_id>/removal", methods=["POST"], permission=Permission.OPERATORS_READ)
@stepup.fresh
def drop_passkey(passkey_id: UUID) -> Any:
    """Take a passkey away."""
    return _removed(passkey_id)


def _removed(passkey_id: UUID | None) -> Any:
    try:
        factors.remove(current_user.id, passkey_id)
    except factors.StillRequired as error:
        flash(error.message, "error")
    else:
        flash(gettext("Removed. Nobody signs in with it any more."))
    return redirect(url_for("platform.account"), code=303)


def _enrolling() -> bool:
    """Whether this request may make a factor: of a full and fresh session, or of a half one that has none to show."""
    half = g.get("half")
    return not factors.ways(half.id) if half is not None else stepup.is_fresh()


def _not_yet() -> Any:
    """To the factor that has to be shown first."""
    ahead = onward.safe_path(request.values.get("next"))
    return redirect(url_for("platform.second_factor", next=ahead), code=303) if g.get("half") else stepup.ask()


def _choose(form: PasskeyForm, status: int, *, refusal: str = "") -> Any:
    ahead = onward.safe_path(request.values.get("next"))
    app = factors.has_app(_who())
    return render("platform/enrol.html", passkey=form, app=app, ahead=ahead, refusal=refusal, status=status)


def _made(codes: list[str]) -> Any:
    """After a factor was made: a half session becomes a whole one; new recovery codes are shown, once."""
    half, ahead = g.get("half"), onward.safe_path(request.values.get("next")) or url_for("platform.account")
    token = sessions.finish(half) if half is not None else None
    answer = render("identity/recovery_codes.html", codes=codes, ahead=ahead) if codes else redirect(ahead, code=303)
    if token is not None:
        cookies.hand_cookie(token)
    return answer


def _shown_by(form: ProofForm) -> str:
    """What was typed, or what the passkey signed."""
    return (form.credential.data or "") if form.way.data == PASSKEY else form.typed


def _who() -> UUID:
    half = g.get("half")
    return half.id if half is not None else current_user.id


def _picture(form: AppForm, ahead: str | None, status: int) -> Any:
    found = factors.setup(_who(), g.operator_session.email)
    if found is None:
        return redirect(url_for("platform.enrol", next=ahead), code=303)
    back = url_for("platform.enrol", next=ahead)
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


@platform.route("/tenants/<uuid:tenant_id>/owner", methods=["POST"], permission=Permission.TENANTS_MANAGE)
@stepup.fresh_to_write
def change_owner(tenant_id: UUID) -> Any:
    row, form = _tenant(tenant_id), OwnerForm()
    if row.status == "opening":
        abort(404)
    if not form.validate():
        return _shown(row, owner=form, status=422)
    try:
        acts.change_owner(current_user.id, row, form.email.data or "", keep=bool(form.keep.data))
    except PortalError as error:
        form.email.errors = [error.message]
        return _shown(row, owner=form, status=422)
    flash(gettext("The owner is named. Whom it concerns is told."))
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


def _shown(
    row: Any,
    *,
    terms: TermsForm | None = None,
    reason: ReasonForm | None = None,
    owner: OwnerForm | None = None,
    status: int = 200,
) -> Any:
    stored = {"modules": row.allowed_modules, **row.limits}
    return render(
        "platform/tenant.html",
        row=row._asdict(),
        domains=queries.domains(row.id),
        terms=terms or TermsForm(formdata=None, data=stored),
        reason=reason or ReasonForm(formdata=None),
        owner=owner or OwnerForm(formdata=None),
        limits=LIMITS,
        status=status,
    )


@platform.route("/domains", permission=Permission.OPERATORS_READ)
def domains() -> Any:
    """The addresses of all tenants, those that answer and those that are claimed, with the last look at their proof."""
    asked = _asked()
    journal.note("domains.read", current_user.id, **{name: value for name, value in asked.items() if value})
    rows, silent = queries.all_domains(**asked)
    return render(
        "platform/domains.html",
        rows=rows[: queries.DOMAINS],
        more=len(rows) > queries.DOMAINS,
        silent=silent,
        asked=asked,
        may_act=current_user.may(Permission.TENANTS_MANAGE),
        shown=addresses.shown,
        said=addresses.said,
    )


@platform.route(
    "/domains/<uuid:tenant_id>/<uuid:claim_id>/check", methods=["POST"], permission=Permission.TENANTS_MANAGE
)
def check_domain(tenant_id: UUID, claim_id: UUID) -> Any:
    """Ask the DNS now whether the tenant's proof stands there."""
    failure = acts.check_domain(current_user.id, _tenant(tenant_id), claim_id)
    flash(
        addresses.said(failure) if failure else gettext("The proof stands in the DNS."),
        "error" if failure else "message",
    )
    return redirect(url_for("platform.domains", **_asked()), code=303)


@platform.route("/domains/<uuid:tenant_id>/retirement", methods=["POST"], permission=Permission.TENANTS_MANAGE)
@stepup.fresh_to_write
def retire_domain(tenant_id: UUID) -> Any:
    """Let an address of a tenant only lead to its first one."""
    try:
        acts.retire_domain(current_user.id, _tenant(tenant_id), request.form.get("retired", "").replace("\x00", ""))
    except addresses.DomainRefused as error:
        flash(error.message, "error")
    else:
        flash(gettext("The address only leads to the first one now."))
    return redirect(url_for("platform.domains", **_asked()), code=303)


def _asked() -> dict[str, Any]:
    """Which addresses the list is to show."""
    return {name: request.args.get(name, "").replace("\x00", "")[:253] for name in ("tenant", "host")}


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
        "platform/audit.html",
        rows=rows[: journal.SHOWN],
        older=older,
        asked=asked,
        actions=journal.actions(),
        action=labels.action,
    )


@platform.route("/language", methods=["POST"], permission=PUBLIC)
def language() -> Any:
    return remember_language()


@platform.route("/theme", methods=["POST"], permission=PUBLIC)
def theme() -> Any:
    return remember_theme()
