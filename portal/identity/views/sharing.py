"""A member brings others: their link, its QR code, how many came."""

from typing import Any

from flask import g, redirect, url_for
from flask_login import current_user

from portal.identity import onward, referrals, service
from portal.identity.views.blueprints import identity
from portal.kernel.authz import LOGIN
from portal.web.fragments import render


@identity.route("/me/referral", methods=["GET"], permission=LOGIN)
def referral() -> Any:
    """The link, or the button that makes it."""
    code = referrals.code_of(current_user.id)
    link = f"{g.tenant.base_url}{url_for('identity.join', ref=code)}" if code else ""
    return render("identity/referral.html", code=code, link=link, brought=referrals.brought(current_user.id))


@identity.route("/me/referral", methods=["POST"], permission=LOGIN)
def create_referral() -> Any:
    """Make the link."""
    referrals.create_code(current_user.id)
    return redirect(url_for("identity.referral"), code=303)


@identity.route("/me/welcome/end", methods=["POST"], permission=LOGIN)
def end_welcome() -> Any:
    """Put the first steps away."""
    service.put_welcome_away(current_user.id)
    return redirect(onward.home(), code=303)
