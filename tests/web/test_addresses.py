"""What stands behind the `?` of an address is somebody's text: no list makes an address of another kind from it (B8).

Seen red with the arguments handed to url_for: `_method=POST` was a 500; `_scheme` and `_external` are arguments of url_for too.
"""

import re
from html import unescape
from urllib.parse import urlsplit

import pytest

from tests.cast import CAROL, OLGA

PAGES = [(OLGA, "/admin/members"), (OLGA, "/admin/businesses"), (OLGA, "/admin/audit"), (CAROL, "/desk/cafe/purchases"), (CAROL, "/desk/cafe/imports")]  # fmt: skip
TYPED = [
    {"_method": "POST"},
    {"_scheme": "javascript", "_external": "1"},
    {"_external": "1", "_host": "evil.example"},
    {"_anchor": '"><b>'},
    {"endpoint": "identity.sign_out", "self": "x", "values": "x"},
    {"business": "books", "member_id": "1"},
    {"sort": "nothing", "after": "not a place", "f.x": "y", "f.status": "\ufffd", "q": "%"},
]


@pytest.mark.parametrize(("person", "page"), PAGES, ids=[page for _, page in PAGES])
def test_arguments_make_no_other_address(sign_in, person, page):
    client = sign_in(person)
    for typed in TYPED:
        answer = client.get(page, query_string=typed)
        assert answer.status_code in {200, 400, 404}, (typed, answer.status_code)
        for link in map(unescape, re.findall(r'(?:href|action|hx-get|hx-post|src)="([^"]*)"', answer.text)):
            parts = urlsplit(link)
            assert parts.scheme in {"", "mailto", "tel", "data"}, (typed, link)
            assert parts.netloc == "", (typed, link)
