"""A HEAD is the GET without its body: the same status and the same way on, and nothing is written but who looked (AUD-2).

Found by it: views that told GET from everything else: a HEAD of their forms was a 422, and one of a confirmation wrote.
"""

from contextlib import closing

import pytest

from portal.kernel.audit import AuditEntry
from tests.architecture.test_access import ROLES, address, routes
from tests.architecture.test_source import PORTAL, found
from tests.cast import CIRCLE
from tests.objects import objects, own_parts
from tests.web.test_csrf import state


def asked(client, method, url):
    with closing(client.open(url, method=method)) as answer:
        return answer.status_code, answer.location, answer.mimetype, len(answer.get_data())


@pytest.mark.parametrize("role", ["anon", "member", "cashier", "owner", "admin"])
def test_a_head_is_a_get_without_its_body(app, seed, visitor, sign_in, seen_by, role):
    things, wrong = objects(seed), []
    client = sign_in(ROLES[role], at=CIRCLE) if ROLES[role] else visitor()
    urls = [
        address(app, rule, own_parts(things, endpoint, rule.arguments))
        for endpoint, method, rule in routes(app)
        if method == "GET"
    ]
    got = {url: asked(client, "GET", url) for url in urls}
    with seen_by(CIRCLE):
        before = state()
    for url in urls:
        head = asked(client, "HEAD", url)
        if head != (*got[url][:3], 0):
            wrong.append(f"{url}: GET {got[url]}, HEAD {head}")
    with seen_by(CIRCLE):
        after = state()
    assert not wrong, "\n".join(wrong)
    assert [name for name in before if before[name] != after[name]] in ([], [AuditEntry.__tablename__])
    assert len(urls) > 100


def test_no_view_tells_get_from_the_rest():
    """Views ask `reading()`."""
    ours = [path for path in PORTAL if "embedded" not in path.parts]  # the stand-ins of other people's servers
    assert found(r"""method\s*[!=]=\s*["']GET""", ours) == []
