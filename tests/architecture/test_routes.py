"""Every address names its permission, and the public ones are listed by name (style.md 7, 8)."""

import csv
import re
from pathlib import Path

import pytest

from portal.kernel.authz import Access, Permission

ROOT = Path(__file__).resolve().parents[2]
MATRIX = Path(__file__).with_name("access.csv")
UNGUARDED = {"static"}


def views(app):
    return {rule.endpoint: app.view_functions[rule.endpoint] for rule in app.url_map.iter_rules() if rule.endpoint not in UNGUARDED}


def test_every_route_names_its_permission(app):
    silent = [name for name, view in views(app).items() if not isinstance(getattr(view, "permission", None), Permission | Access)]
    assert silent == []


def test_a_route_without_a_permission_does_not_import():
    from portal.kernel.authz import PortalBlueprint

    with pytest.raises(TypeError):

        @PortalBlueprint("x", __name__, room="admin").route("/x")
        def view(): ...


def test_the_public_addresses_are_those_in_the_matrix(app):
    """The list to look at when something becomes public: rows of access.csv whose `anon` is allow."""
    public = {name for name, view in views(app).items() if view.permission is Access.PUBLIC}
    listed = {row["endpoint"] for row in csv.DictReader(MATRIX.open()) if row["anon"] == "allow"}
    assert public == listed


def test_nothing_is_written_by_get(app):
    """A GET rule whose endpoint also takes POST is a form; deletion and creation never answer to GET."""
    verbs = re.compile(r"(create|update|delete|remove|revoke|refund|undo|replay|archive|suspend)")
    wrong = [
        rule.endpoint for rule in app.url_map.iter_rules()
        if verbs.search(rule.endpoint.rpartition(".")[2]) and rule.methods and "POST" not in rule.methods and "GET" in rule.methods
    ]
    assert wrong == []


def test_url_parameters_are_named_after_their_noun(app):
    """D52: `<uuid:purchase_id>`, so that the access matrix knows which object to put there."""
    allowed = {"business", "filename", "token", "card", "digest", "code", "slug", "page", "name", "sheet", "card_or_phone", "path"}
    odd = {f"{rule.endpoint}: {a}" for rule in app.url_map.iter_rules() for a in rule.arguments if not a.endswith("_id") and a not in allowed}
    assert odd == set()
