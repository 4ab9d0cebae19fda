"""Every block of every page can be rendered alone, with what its own view passes (style.md, trap 1).

Each GET address is opened as a page by somebody who may; the template and the context that the view used are kept, and each
named block of that template is rendered by itself, as htmx would get it. Seen red: a macro imported at the top of a template.
"""

import pytest
from flask import template_rendered

from tests import cast
from tests.architecture.test_access import address, routes
from tests.objects import objects, own_parts

LAYOUT = {"head", "body", "room", "lang", "theme"}  # the frame: never asked for alone


def test_every_block_of_every_page_renders_alone(app, seed, sign_in):
    things, seen, wrong = objects(seed), {}, []

    def alone(_sender, template, context, **_):
        if template.name in seen or not template.name or template.name.startswith(("errors/", "layouts/")):
            return
        seen[template.name] = set(template.blocks) - LAYOUT
        for name in seen[template.name]:
            try:
                "".join(template.blocks[name](template.new_context(dict(context))))
            except Exception as error:
                wrong.append(f"{template.name}: {name}: {error!r}")

    clients = [sign_in(who) for who in (cast.OLGA, cast.IRINA, cast.EVE, cast.BOB)]
    with template_rendered.connected_to(alone, app):
        for endpoint, method, rule in routes(app):
            if method != "GET":
                continue
            url = address(app, rule, own_parts(things, endpoint, rule.arguments))
            for client in clients:
                response = client.get(url)
                response.get_data()
                response.close()
    assert wrong == []
    assert len(seen) > 25


@pytest.mark.parametrize("path", ["/me", "/me/wallet", "/me/notifications"])
def test_htmx_gets_a_part_and_a_browser_the_page(sign_in, path):
    client = sign_in(cast.EVE)
    assert "<title>" in client.get(path).text
    assert "<title>" not in client.get(path, headers={"HX-Request": "true"}).text
