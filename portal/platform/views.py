"""The operator's room on `ops.<base>`: tenants from outside, health, and what operators looked at."""

from typing import Any

from flask import make_response, redirect, request
from flask_login import current_user

from portal.identity import onward
from portal.identity import sessions as cookies
from portal.identity.access import WrongCredentials
from portal.identity.failures import TooManyTries
from portal.identity.limits import TRIES_AN_ADDRESS, limited
from portal.identity.views.door import remember_language, remember_theme
from portal.kernel.authz import PUBLIC, Permission, PortalBlueprint
from portal.platform import audit as journal
from portal.platform import queries, service
from portal.platform.forms import OperatorForm
from portal.web import health as probes
from portal.web.fragments import render
from portal.web.paging import query_text

platform = PortalBlueprint("platform", __name__, room="ops")


@platform.route("/login", methods=["GET", "POST"], permission=PUBLIC)
@limited(TRIES_AN_ADDRESS)
def sign_in() -> Any:
    form = OperatorForm()
    ahead = onward.safe_path(form.next.data or request.args.get("next"))
    form.next.data = ahead or ""
    if request.method == "GET":
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
    if current_user.is_authenticated:
        service.sign_out(current_user.id, request.cookies.get(cookies.cookie_name(), ""))
    cookies.drop_cookie()
    return make_response(redirect("/login", code=303))


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
    journal.note("audit.read", current_user.id, **({"before": before} if before else {}))
    rows = journal.entries(before)
    older = rows[journal.SHOWN - 1].seq if len(rows) > journal.SHOWN else None
    return render("platform/audit.html", rows=rows[: journal.SHOWN], older=older)


@platform.route("/language", methods=["POST"], permission=PUBLIC)
def language() -> Any:
    return remember_language()


@platform.route("/theme", methods=["POST"], permission=PUBLIC)
def theme() -> Any:
    return remember_theme()
