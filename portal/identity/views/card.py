"""The member's card: on their phone, at the address in its QR code, and kept for when there is no network."""

from typing import Any

from flask import Response, current_app, g, jsonify, redirect, send_from_directory, url_for
from flask_babel import gettext
from flask_login import current_user

from portal.identity import cards, onward, queries
from portal.identity.views.blueprints import identity
from portal.kernel import clock
from portal.kernel.authz import LOGIN, PUBLIC, Permission, reachable
from portal.tenants import brand as brands
from portal.tenants.icons import href
from portal.web.fragments import render
from portal.web.locale import current


@identity.route("/me/card", permission=LOGIN)
def card() -> Any:
    from portal.loyalty.queries import tier_of
    from portal.wallets.queries import spendable

    member = queries.member(current_user.id)
    assert member is not None  # noqa: S101  the session says so
    answer = render(
        "identity/card.html",
        member=member,
        address=cards.card_url(g.tenant, member.card_number),
        number=cards.shown(member.card_number),
        tier=tier_of(member.id),
        spendable=spendable(member.id, g.tenant.currency),
        short=cards.short_code(member.card_number),
        home=onward.home(),
        at=clock.now(),
    )
    if g.get("looking"):
        answer.headers["X-Looking"] = "1"  # sw.js keeps no member's card in support's browser
    return answer


@identity.route("/c/<card>", permission=PUBLIC)
def invitation(card: str) -> Any:
    """Behind the QR code: a cashier comes to the till with the member chosen, anybody else learns what this is.

    The page is the same whether the card exists or not.
    """
    number = cards.valid_card(card)
    posts = [post for post in current_user.staff if Permission.PURCHASES_CREATE in post.permissions]
    if number and posts and reachable("purchases_till.find"):
        return redirect(url_for("purchases_till.find", business=posts[0].slug, q=number), code=303)
    if current_user.is_authenticated:
        return redirect(url_for("identity.card"), code=303)
    return render("identity/invitation.html")


@identity.route("/sw.js", permission=PUBLIC)
def service_worker() -> Response:
    """The worker has to lie at the root to see the card's page."""
    answer = send_from_directory(str(current_app.static_folder), "js/sw.js", mimetype="text/javascript", max_age=0)
    answer.headers["Service-Worker-Allowed"] = "/"
    return answer


@identity.route("/manifest.webmanifest", permission=PUBLIC)
def manifest() -> Response:
    """What a phone needs to put the community on its home screen."""
    ground = brands.grounds(brands.of(g.tenant.brand))["light"]
    answer = jsonify(
        id="/",
        name=g.tenant.name,
        short_name=g.tenant.name[:12],
        lang=current(),
        start_url="/me?from=home-screen",
        scope="/",
        display="standalone",
        theme_color=ground,
        background_color=ground,
        icons=[
            {"src": href(g.tenant.brand, name), "sizes": f"{size}x{size}", "type": "image/png", "purpose": purpose}
            for name, size, purpose in (
                ("icon-192.png", 192, "any"),
                ("icon-512.png", 512, "any"),
                ("maskable-512.png", 512, "maskable"),
            )
        ],
        shortcuts=[
            {"name": gettext("My card"), "url": "/me/card"},
            {"name": gettext("Wallet"), "url": "/me/wallet"},
        ],
    )
    answer.mimetype = "application/manifest+json"
    return answer
