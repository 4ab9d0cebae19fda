"""What matters is asked for again after five minutes, on whatever page it stands (decisions.md, step-up)."""

import pytest

from tests.cast import IRINA, OLGA, PASSWORD
from tests.identity.test_factors import stale

NOBODY = "00000000-0000-7000-8000-000000000000"
SENSITIVE = [
    (OLGA, "/admin/settings/domains"),
    (OLGA, f"/admin/settings/domains/{NOBODY}/service"),
    (OLGA, f"/admin/settings/domains/{NOBODY}/drop"),
    (OLGA, "/admin/settings/domains/first"),
    (OLGA, "/admin/settings/domains/retire"),
    (OLGA, "/admin/settings/legal"),
    (OLGA, "/admin/settings/texts"),
    (OLGA, "/admin/settings/telegram"),
    (OLGA, "/admin/settings/security"),
    (OLGA, "/admin/settings/versions/0/restoration"),
    (OLGA, f"/admin/kyc/{NOBODY}/decisions"),
    (OLGA, "/admin/kyc/settings"),
    (IRINA, "/desk/cafe/keys"),
    (IRINA, "/desk/cafe/staff"),
]


@pytest.mark.parametrize(("who", "url"), SENSITIVE, ids=[url for _, url in SENSITIVE])
def test_an_old_session_shows_a_factor_before_it_writes(sign_in, app, who, url):
    """Seen red without the decorator on the legal pages."""
    client = sign_in(who)
    stale(app, who)
    answer = client.post(url, data={"page": "terms", "title-en": "Terms", "body-en": "x" * 50_000})
    assert answer.status_code == 303
    assert answer.location.startswith("/me/confirm")


def test_a_long_legal_text_is_not_lost_on_the_way(sign_in, app):
    """The form waits while one shows who one is, and is offered again as it was typed."""
    olga = sign_in(OLGA)
    stale(app, OLGA)
    words = "Be kind. " * 4_000
    olga.post("/admin/settings/legal", data={"page": "terms", "title-en": "Terms", "body-en": words})
    done = olga.post("/me/confirm", data={"way": "password", "secret": PASSWORD, "next": "/admin/settings/legal"})
    assert done.location == "/me/confirm/resume"
    assert words.strip() in olga.get("/me/confirm/resume").text
