"""Every address names its permission, and the public ones are listed by name (style.md 7, 8)."""

import re

import pytest

from portal.kernel.authz import Access, Permission

UNGUARDED = {"static"}


def views(app):
    return {
        rule.endpoint: app.view_functions[rule.endpoint]
        for rule in app.url_map.iter_rules()
        if rule.endpoint not in UNGUARDED
    }


def test_every_route_names_its_permission(app):
    silent = [
        name
        for name, view in views(app).items()
        if not isinstance(getattr(view, "permission", None), Permission | Access)
    ]
    assert silent == []


def test_a_route_without_a_permission_does_not_import():
    from portal.kernel.authz import PortalBlueprint

    with pytest.raises(TypeError):

        @PortalBlueprint("x", __name__, room="admin").route("/x")
        def view(): ...


PUBLIC = {
    "healthz",
    "readyz",
    "metrics",
    "home.front",
    "home.components",
    "api_docs.docs",
    "api_docs.openapi",
    "api_docs.problem_type",
    "profiles_public.person",
    "profiles_public.person_picture",
    "messages_public.create_unsubscription",
    "identity.first",
    "telegram.start",
    "telegram.login",
    "telegram.mini_app",
    "telegram.join",
    "telegram.hook",
    "tenants.brand",
    "tenant_icons.icon",
    "tenant_icons.picture",
    "legal.show",
    "messages_public.unsubscribe",
    "identity.sign_in",
    "identity.sign_in_by_passkey",
    "identity.passkey_options",
    "identity.sign_out",
    "identity.join",
    "identity.code",
    "identity.create_sending",
    "identity.reset",
    "identity.new_password",
    "identity.language",
    "identity.theme",
    "identity.invitation",
    "invited.accept",
    "identity.service_worker",
    "identity.manifest",
    "platform.sign_in",
    "platform.sign_in_by_passkey",
    "platform.passkey_options",
    "platform.sign_out",
    "platform.front",
    "platform.language",
    "platform.theme",
}


def test_the_public_addresses_are_these(app):
    """The list to look at when something becomes public."""
    public = {
        name
        for name, view in views(app).items()
        if view.permission is Access.PUBLIC and getattr(view, "room", "") != "api"
    }
    assert public - PUBLIC == set(), "listed nowhere as public"
    assert PUBLIC - public == set(), "not public any more"


def test_nothing_is_written_by_get(app):
    """A GET rule whose endpoint also takes POST is a form; deletion and creation never answer to GET."""
    verbs = re.compile(r"(create|update|delete|remove|revoke|refund|undo|replay|archive|suspend)")
    wrong = [
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if verbs.search(rule.endpoint.rpartition(".")[2])
        and rule.methods
        and "POST" not in rule.methods
        and "GET" in rule.methods
    ]
    assert wrong == []


def test_url_parameters_are_named_after_their_noun(app):
    """D52: `<uuid:purchase_id>`, so that the access matrix knows which object to put there."""
    allowed = {
        "business",
        "filename",
        "kind",
        "token",
        "card",
        "digest",
        "handle",
        "code",
        "slug",
        "page",
        "problem",
        "name",
        "number",
        "sheet",
        "card_or_phone",
        "path",
    }
    odd = {
        f"{rule.endpoint}: {a}"
        for rule in app.url_map.iter_rules()
        for a in rule.arguments
        if not a.endswith("_id") and a not in allowed
    }
    assert odd == set()
