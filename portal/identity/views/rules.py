"""The tenant's rule: whose account needs a second factor."""

from typing import Any

from flask import flash, g, redirect, url_for
from flask_babel import gettext, ngettext

from portal.identity import rules
from portal.identity.forms import FactorRulesForm
from portal.identity.stepup import fresh
from portal.kernel.authz import Permission, PortalBlueprint
from portal.tenants import hosts
from portal.web.fragments import render

settings = PortalBlueprint("identity_settings", __name__, room="admin")


@settings.route("/admin/settings/security", methods=["GET", "POST"], permission=Permission.SETTINGS_UPDATE)
@fresh
def security() -> Any:
    form = FactorRulesForm(data={"roles": rules.wanted(g.tenant.settings)})
    if not form.is_submitted():
        return render("identity/rules.html", form=form)
    if not form.validate():
        return render("identity/rules.html", form=form, status=422)
    led = rules.require_factor(form.roles.data or [])
    hosts.forget()
    flash(
        ngettext(
            "Saved. %(num)s signed-in device is led to add a second factor.",
            "Saved. %(num)s signed-in devices are led to add a second factor.",
            led,
        )
        if led
        else gettext("Saved.")
    )
    return redirect(url_for("identity_settings.security"), code=303)
