"""Static files, the macros, and what is compressed on its way."""

import gzip
import re
from pathlib import Path

import pytest
from flask import Flask, Response
from jinja2 import StrictUndefined

from portal.web import assets, compression

ROOT = Path(__file__).resolve().parents[2]
COMPONENTS = sorted((ROOT / "templates" / "components").glob("[!_]*.html"))
ICONS = set(re.findall(r'id="i-([a-z0-9-]+)"', (ROOT / "static" / "icons.svg").read_text()))


@pytest.fixture
def small():
    """An application with nothing but the assets."""
    app = Flask("small", template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static"))
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.globals.update(
        _=lambda text, **values: text % values if values else text,
        ngettext=lambda one, many, n, **values: (one if n == 1 else many) % {"num": n, **values},
        csrf_token=lambda: "token",
        url_with=lambda **changes: "/list?" + "&".join(f"{k}={v}" for k, v in changes.items()),
        currency_sign=lambda code: "₽",
    )
    assets.init_app(app)
    app.add_url_rule("/page", view_func=lambda: "<p>" + "text " * 1000, endpoint="page")
    app.add_url_rule("/small", view_func=lambda: "<p>short", endpoint="short")
    app.add_url_rule("/stream", view_func=lambda: Response(iter(["a" * 5000]), mimetype="text/html"), endpoint="stream")
    app.testing = True
    return app


def test_an_address_changes_with_the_content_and_is_kept_for_a_year(small):
    with small.test_request_context():
        address = assets.asset("css/portal.css")
    answer = small.test_client().get(address, buffered=True)

    assert re.fullmatch(r"/static/css/portal\.css\?v=[0-9a-f]{12}", address)
    assert answer.headers["Cache-Control"] == assets.YEAR
    unnamed = small.test_client().get("/static/css/portal.css", buffered=True)
    assert "immutable" not in unnamed.headers.get("Cache-Control", "")


def test_fonts_are_preloaded_under_the_name_that_the_stylesheet_uses(small):
    css = (ROOT / "static" / "css" / "portal.css").read_text()
    with small.test_request_context():
        address = assets.asset("fonts/onest-latin.woff2")

    assert address == "/static/fonts/onest-latin.woff2"
    assert "../fonts/onest-latin.woff2" in css
    assert small.test_client().get(address, buffered=True).headers["Cache-Control"] == assets.YEAR


def test_text_is_sent_packed_to_whoever_can_read_it(small):
    client = small.test_client()
    packed = client.get("/page", headers={"Accept-Encoding": "gzip, br"})
    plain = client.get("/page")

    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert "Content-Encoding" not in plain.headers
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert int(packed.headers["Content-Length"]) == len(packed.data)


@pytest.mark.parametrize("path", ["/small", "/stream", "/static/fonts/onest-latin.woff2"])
def test_short_answers_streams_and_packed_files_go_as_they_are(small, path):
    answer = small.test_client().get(path, headers={"Accept-Encoding": "gzip"}, buffered=True)

    assert "Content-Encoding" not in answer.headers


def test_the_size_of_a_packed_page_does_not_repeat(small):
    client = small.test_client()
    sizes = {len(client.get("/page", headers={"Accept-Encoding": "gzip"}).data) for _ in range(40)}

    assert len(sizes) > 10


def test_a_static_file_is_packed_once(small):
    client = small.test_client()
    compression._kept.cache_clear()
    for _ in range(3):
        answer = client.get("/static/icons.svg", headers={"Accept-Encoding": "gzip"}, buffered=True)
        assert answer.headers["Content-Encoding"] == "gzip"
    assert compression._kept.cache_info().misses == 1
    etag = answer.headers["ETag"]
    again = client.get("/static/icons.svg", headers={"If-None-Match": etag, "Accept-Encoding": "gzip"}, buffered=True)
    assert again.status_code == 304


def test_every_macro_is_there_under_one_name(small):
    ui = small.jinja_env.globals["ui"]
    named = {name for path in COMPONENTS for name in re.findall(r"{% macro (\w+)\(", path.read_text())}

    with small.test_request_context():
        for name in named:
            assert callable(getattr(ui, name)), name
        with pytest.raises(AttributeError, match=r"templates/README\.md"):
            ui.nothing_like_this


def test_the_guide_names_every_macro():
    guide = (ROOT / "templates" / "README.md").read_text()
    inner = {"below", "radios", "legend", "ends", "numbers"}
    named = {name for path in COMPONENTS for name in re.findall(r"{% macro (\w+)\(", path.read_text())}

    assert {name for name in named - inner if not re.search(rf"\b{name}\b", guide)} == set()


def test_macros_do_without_what_is_left_out(small):
    """StrictUndefined is on: an optional key of an item must not be touched unasked."""
    ui = small.jinja_env.globals["ui"]
    with small.test_request_context("/list"):
        assert "₽5" in ui.kpis([{"label": "Sales", "value": "₽5"}])
        assert "Paid" in ui.trace([{"label": "Paid", "value": "5"}])
        assert "Joined" in ui.timeline([{"title": "Joined", "when": "today"}])
        assert "6 Nov" in ui.bars([{"label": "6 Nov", "value": 0, "text": "0"}], "Purchases")
        assert "6 Nov" in ui.line([{"label": "6 Nov", "value": 1, "text": "1"}] * 3, "Purchases")
        assert ui.line([], "Purchases")
        assert "Total" in ui.sums([{"label": "Total", "value": "5"}])
        assert "46" in ui.heat(
            "Cohorts", "Joined", ["1"], [{"label": "Apr", "cells": [{"value": "46", "step": 7}, None]}]
        )


def test_what_a_person_typed_is_escaped(small):
    ui = small.jinja_env.globals["ui"]
    bad = '<script>"x"</script>'
    with small.test_request_context("/list"):
        shown = [
            ui.row(bad, bad, bad, why_href="/w"),
            ui.toast(bad),
            ui.tag(bad),
            ui.why("/w", bad),
            ui.post_button("/x", bad, ask=bad),
            ui.page_head(bad, bad),
            ui.empty(bad, bad),
            ui.figure(bad, bad, "/w"),
        ]
    assert not [html for html in shown if "<script>" in html or '"x"' in html]


def test_every_icon_named_in_a_template_is_in_the_sprite():
    wanted = {}
    for path in (ROOT / "templates").rglob("*.html"):
        for name in re.findall(r"""\bicon\(["']([a-z0-9-]+)["']|icon_name=["']([a-z0-9-]+)["']""", path.read_text()):
            wanted.setdefault(next(filter(None, name)), path.name)

    assert {name: where for name, where in wanted.items() if name not in ICONS} == {}


def test_the_stylesheet_and_the_first_visit_stay_small():
    def sent(path):
        return len(gzip.compress((ROOT / "static" / path).read_bytes(), 9))

    css, scripts = sent("css/portal.css"), sent("vendor/htmx/htmx.min.js") + sent("js/portal.js")
    fonts = sum(path.stat().st_size for path in (ROOT / "static" / "fonts").glob("*.woff2"))

    assert css < 22_000
    assert css + scripts + fonts + sent("icons.svg") < 86_000
