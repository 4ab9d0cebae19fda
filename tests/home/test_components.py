"""The page of components shows every macro that pages use, and only to those who make pages."""

import re

from portal.settings import ROOT

INSIDE_OTHERS = {"legend", "ends", "numbers", "below", "radios", "hidden", "language_switch", "theme_switch", "pip"}
ELSEWHERE = {
    "search",
    "finder",
    "scan_button",
    "panel",
    "slip",
    "why",
    "mark",
    "waves",
    "brandmark",
    "qr",
    "spark",
    "icon",
    "meter",
    "banner",
    "legal_links",
    "logo",
    "settings_tabs",
    "told_meanwhile",
    "changed_lines",
}


def test_every_component_stands_on_the_page(visitor):
    page = (ROOT / "templates/home/components.html").read_text()
    assert visitor().get("/_components").status_code == 200
    macros = {
        name
        for file in (ROOT / "templates/components").glob("*.html")
        for name in re.findall(r"{% macro (\w+)\(", file.read_text())
    }
    assert macros - set(re.findall(r"ui\.(\w+)\(", page)) - INSIDE_OTHERS - ELSEWHERE == set()


def test_nobody_sees_it_where_development_is_off(app, visitor):
    before = app.extensions["settings"]
    app.extensions["settings"] = before.model_copy(update={"DEVELOPMENT": False})
    try:
        assert visitor().get("/_components").status_code == 404
    finally:
        app.extensions["settings"] = before
