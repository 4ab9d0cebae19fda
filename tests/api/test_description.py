"""The description is valid, complete, and the page made from it shows commands that run."""

import re

from openapi_spec_validator import validate

from tests.cast import CIRCLE

CYRILLIC = re.compile("[а-яё]", re.IGNORECASE)


def test_the_description_is_valid_openapi_31(visitor):
    answer = visitor(CIRCLE).get("/api/v1/openapi.json")
    spec = answer.json
    assert answer.status_code == 200
    assert spec["openapi"].startswith("3.1")
    validate(spec)
    assert spec["servers"] == [{"url": "http://circle.localhost:8000"}]
    for path, operations in spec["paths"].items():
        for operation in operations.values():
            assert operation["security"] == [{"key": []}], path
            for status, told in operation["responses"].items():
                if int(status) >= 400 and status != "414":  # the server's own
                    assert list(told["content"]) == ["application/problem+json"], (path, status)


def test_every_address_of_the_api_is_described(app, visitor):
    spec = visitor(CIRCLE).get("/api/v1/openapi.json").json
    rules = [r.rule for r in app.url_map.iter_rules() if r.endpoint.startswith("api.")]
    assert len(rules) == sum(len(operations) for operations in spec["paths"].values())


def test_the_page_shows_every_call_with_a_command(visitor):
    page = visitor(CIRCLE).get("/api/v1/docs")
    text = page.get_data(as_text=True)
    assert page.status_code == 200
    for part in (
        "/api/v1/purchases",
        "<code>member_id</code>",
        "Idempotency-Key: till-1-000451",
        "bonus_to_spend",
        "lines[].quantity",
        "409",
    ):
        assert part in text, part


def test_the_page_speaks_the_reader_s_language_and_the_document_stays_english(app, visitor):
    """Every text that the page takes from the description, so that a new one cannot be forgotten in the catalogue."""
    from flask_babel import force_locale

    from portal.api.describe import groups

    with app.test_request_context(base_url="http://circle.localhost:8000"), force_locale("ru"):
        shown = groups()
    calls = [call for group in shown.values() for call in group]
    texts = [*shown, *(call["summary"] for call in calls), *(text for call in calls for text in call["paragraphs"])]
    texts += [given["description"] for call in calls for given in call["parameters"]]
    texts += [field["text"] for call in calls for field in call["fields"]]
    texts += [text for call in calls for _, text in call["answers"]]
    assert [text for text in texts if text and not CYRILLIC.search(text)] == []
    russian = {"Cookie": "lang=ru", "Accept-Language": "ru"}
    page = visitor(CIRCLE).get("/api/v1/docs", headers=russian).get_data(as_text=True)
    assert "Записать покупку" in page
    assert "Record a purchase" not in page
    assert not CYRILLIC.search(visitor(CIRCLE).get("/api/v1/openapi.json", headers=russian).get_data(as_text=True))


def test_a_route_without_a_permission_and_a_plain_route_do_not_import():
    import pytest

    from portal.api.blueprint import ApiBlueprint

    blueprint = ApiBlueprint("x", __name__)
    with pytest.raises(TypeError):
        blueprint.get("/x")(lambda: None)
    with pytest.raises(TypeError):
        blueprint.route("/x")


def test_every_code_that_a_call_may_be_refused_with_is_explained(app, visitor):
    """WAL-10, RFC 9457: the table, and the `type` of a problem leads to its line."""
    from portal.api.codes import codes
    from portal.kernel.errors import PortalError
    from portal.settings import ROOT

    with app.test_request_context(base_url="http://circle.localhost:8000"):
        known = {code.code: code.status for code in codes()}
    nouns = ("portal.api.", "portal.purchases.", "portal.wallets.", "portal.kernel.errors", "portal.kernel.money")
    raised = {kind.code: kind.status for kind in everything_below(PortalError) if kind.__module__.startswith(nouns)}
    del raised["session.looking_only"]  # a person's, never a key's
    assert raised.items() <= known.items()
    written = {
        code
        for file in (ROOT / "portal/api").glob("*.py")
        for code in re.findall(r'"((?:auth|request)\.\w+)"', file.read_text())
    }
    assert written - set(known) == set()
    answer = visitor(CIRCLE).get("/api/v1/ping")
    line = visitor(CIRCLE).get(answer.json["type"])
    assert line.status_code == 302
    page, anchor = line.location.split("#")
    assert f'id="{anchor}"' in visitor(CIRCLE).get(page).get_data(as_text=True)
    assert visitor(CIRCLE).get("/problems/nonsense").status_code == 404


def everything_below(kind):
    for below in kind.__subclasses__():
        yield below
        yield from everything_below(below)
