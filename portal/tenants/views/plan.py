"""What a tenant uses and what it may: modules, limits, currencies."""

from typing import Any

from flask import flash, g, redirect, url_for
from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response
from wtforms import SelectField, SelectMultipleField
from wtforms.fields.choices import SelectChoice

from portal.kernel.authz import Permission, PortalBlueprint
from portal.tenants import change, hosts, usage
from portal.tenants.forms import SeenForm
from portal.tenants.limits import LIMITS
from portal.tenants.starters import MODULE_WORDS, MODULES
from portal.web.fragments import render
from portal.web.security import reading

plan = PortalBlueprint("tenants_plan", __name__, room="admin", url_prefix="/admin/settings")
P = Permission.SETTINGS_UPDATE


class ModulesForm(SeenForm):
    """The modules that are on, among those that the operator allows."""

    modules = SelectMultipleField(_l("Modules"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        allowed = [name for name in MODULES if name in g.tenant.allowed_modules]
        self.modules.choices = [SelectChoice(name, MODULE_WORDS[name][0]) for name in allowed]


class CurrenciesForm(SeenForm):
    """Which of the other currencies stands first in a wallet."""

    first = SelectField(_l("Shown first"))

    def __init__(self, *args: Any, codes: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.first.choices = [SelectChoice("", gettext("by the alphabet")), *(SelectChoice(c, c) for c in codes)]


@plan.route("/modules", methods=["GET", "POST"], permission=P)
def modules() -> Response:
    """Switch modules on and off; one that is off leaves the navigation, and its addresses answer 404."""
    if reading():
        return _modules(ModulesForm(data={"modules": g.tenant.modules, "seen": str(change.latest())}))
    form = ModulesForm()
    if not form.validate():
        return _modules(form, status=422)
    wanted = [name for name in MODULES if name in (form.modules.data or [])]
    try:
        change.update_tenant("modules", {"modules": wanted}, seen=form.version)
    except change.ChangedMeanwhile as error:
        return _modules(form, told=error.message, status=409)
    return _saved("tenants_plan.modules")


@plan.route("/currencies", methods=["GET", "POST"], permission=P)
def currencies() -> Response:
    """What balances are kept in, how each rounds, and which stands first (WAL-1, WAL-8)."""
    rows = usage.currencies()
    codes = [row.code for row in rows if row.code != g.tenant.currency]
    if reading():
        kept = (g.tenant.settings.get("currencies") or {}).get("first", "")
        form = CurrenciesForm(data={"first": kept if kept in codes else "", "seen": str(change.latest())}, codes=codes)
        return _currencies(form, rows)
    form = CurrenciesForm(codes=codes)
    if not form.validate():
        return _currencies(form, rows, status=422)
    value = {"first": form.first.data} if form.first.data else None
    try:
        change.update_tenant("currencies", {"settings.currencies": value}, seen=form.version)
    except change.ChangedMeanwhile as error:
        return _currencies(form, rows, told=error.message, status=409)
    return _saved("tenants_plan.currencies")


@plan.route("/limits", permission=P)
def limits() -> Response:
    """How much of what the operator allows is used."""
    used = usage.counts()
    rows = [(label, used[name], g.tenant.limits.get(name)) for name, label in LIMITS.items()]
    return render("tenants/limits.html", rows=rows)


def _modules(form: ModulesForm, *, told: str = "", status: int = 200) -> Response:
    missing = [MODULE_WORDS[name][0] for name in MODULES if name not in g.tenant.allowed_modules]
    return render(
        "tenants/modules.html", form=form, helps={n: w[1] for n, w in MODULE_WORDS.items()}, missing=missing, told=told,
        status=status,
    )  # fmt: skip


def _currencies(form: CurrenciesForm, rows: list[Any], *, told: str = "", status: int = 200) -> Response:
    return render("tenants/currencies.html", form=form, rows=rows, told=told, status=status)


def _saved(endpoint: str) -> Response:
    hosts.forget()
    flash(gettext("Saved. Everybody sees it within seconds."))
    return redirect(url_for(endpoint), code=303)
