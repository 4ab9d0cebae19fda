"""S17: what people and programs keep secret is written nowhere: twelve secrets go through the portal, then everything it
wrote is searched for each: logs at their most talkative, error pages, every row, every job, exports, the audit log.

Seen red with `log.info` of a form's fields, and with a password in the audit entry of its change.
"""

import base64
import io
import logging
import re

import pytest
from sqlalchemy import text

from portal.extensions import db
from portal.kernel.redis import redis
from portal.kyc import service as verification
from portal.telegram import service as bots
from portal.tenants import hosts
from tests.cast import ALICE, BOB, CIRCLE, EVE, IRINA, OLGA, PASSWORD
from tests.conftest import SECRET
from tests.identity.test_factors import app_of, by_password, now_code
from tests.identity.test_reset import link_in
from tests.kyc.test_verification import NUMBER, send
from tests.post import code_in
from tests.telegram.test_sign_in import TOKEN

WRONG, NEW, KEPT = "wrong canary of a password", "nine patient canaries", "canary between two patient harbours"


@pytest.fixture
def spoken():
    """Everything said to the log from here on, as the portal writes it and as it was given."""
    out = io.StringIO()
    root, talk = logging.getLogger(), logging.StreamHandler(out)
    talk.setFormatter(next(h.formatter for h in root.handlers if h.formatter))
    level = root.level
    root.addHandler(talk)
    root.setLevel(logging.DEBUG)
    yield out
    root.removeHandler(talk)
    root.setLevel(level)


def every_row(session):
    """The tables' contents as one text a table."""
    for table in db.metadatas[None].sorted_tables:
        try:
            with session.begin_nested():
                yield table.name, "\n".join(session.scalars(text(f'SELECT to_jsonb(t)::text FROM "{table.name}" t')))
        except Exception:
            continue


def in_redis():
    kinds = {b"string": "get", b"hash": "hgetall", b"set": "smembers"}
    for key in redis().scan_iter():
        kind = redis().type(key)
        read = kinds.get(kind if isinstance(kind, bytes) else kind.encode())
        yield f"{key} {getattr(redis(), read)(key) if read else redis().dump(key)}"


def test_twelve_secrets_are_written_nowhere(
    visitor, sign_in, acting, seen_by, deliver, spoken, sink, texts, telegram, monkeypatch
):
    pages = []

    # passwords: typed right, typed wrong, typed where the e-mail belongs, changed
    door = visitor(csrf=True)
    pages.append(door.post("/login", data={"email": ALICE.email, "password": WRONG}))
    pages.append(door.post("/login", data={"email": f"{WRONG}@x", "password": ""}))
    assert door.post("/login", data={"email": ALICE.email, "password": PASSWORD}).status_code == 303
    alice = sign_in(ALICE)
    pages.append(alice.post("/me/security/password", data={"current": PASSWORD, "new": NEW}))
    session_key = alice.get_cookie("sid", domain=CIRCLE.host).value

    # a code by SMS, a link by mail
    other = visitor()
    other.submit("/login", form="sign-in", email=BOB.phone, way="code")
    visitor().submit("/reset", form="reset", contact=BOB.email)
    deliver()
    code, link = code_in(texts.to(BOB.phone)[0]), link_in(sink.to(BOB)[-1])
    pages.append(other.submit("/login/code", form="type-code", code="000000"))
    pages.append(visitor().get(f"/reset/{link}"))
    pages.append(visitor().submit(f"/reset/{link}", form="new-password", password=KEPT))

    # the app's secret and a recovery code
    secret, recovery = app_of(acting, IRINA)
    half = by_password(visitor, IRINA)
    pages.append(half.post("/login/second", data={"way": "app", "code": recovery[0][:-1] + "x"}))
    half.post("/login/second", data={"way": "app", "code": now_code(acting, secret)})

    # an API key, also where it does not belong; a document; a bot
    made = sign_in(IRINA).submit("/desk/cafe/keys", form="key-form", name="Till", scopes="members.find", days="0")
    key = re.search(r"krug_\w+", made.text)[0]
    header = {"Authorization": f"Bearer {key}"}
    pages.append(visitor().get(f"/api/v1/members/{ALICE.card}", headers=header))
    pages.append(visitor().get(f"/api/v1/ping?key={key}"))
    with monkeypatch.context() as broken:
        from portal.api import people

        broken.setattr(people, "named", lambda _: 1 / 0)
        crash = visitor().get(f"/api/v1/members/{ALICE.card}", headers=header)
        assert crash.status_code == 500
        pages.append(crash)
    with acting(CIRCLE, OLGA):
        verification.set_rules({"enabled": True})
        bots.connect(TOKEN)
    hosts.forget()
    sent = send(sign_in(EVE))
    assert sent.status_code == 303, (sent.text[-900:], spoken.getvalue()[-1500:])
    sign_in(EVE).post("/me/data/exports", data={})
    deliver()
    pages += [sign_in(OLGA).get(path) for path in ("/admin/audit", "/admin/outbox", "/admin/members/download.csv")]

    secrets = {
        "the right password": PASSWORD, "a wrong one": WRONG, "a new one": NEW, "one set by a link": KEPT, "the session": session_key,
        "a link by mail": link, "an app's secret": secret, "a recovery code": recovery[0], "an API key": key,
        "a bot's token": TOKEN.partition(":")[2], "a document's number": NUMBER, "the portal's key": SECRET,
    }  # fmt: skip
    written = {"the log": spoken.getvalue(), "Redis": "\n".join(in_redis())}
    written |= {f"answer {n} {p.request.path}": p.get_data(as_text=True) for n, p in enumerate(pages)}
    with seen_by(CIRCLE) as session:
        written |= {f"table {name}": rows for name, rows in every_row(session)}
    assert len(written["the log"]) > 1_000
    assert len(written) > 60
    found = []
    for what, one in secrets.items():
        shapes = {one, one.replace("-", ""), base64.b64encode(one.encode()).decode().rstrip("="), one.encode().hex()}
        for where, words in written.items():
            mine = where.endswith(f"/reset/{link}") and one == link  # the form behind the link sends to itself
            found += [f"{what} in {where}" for shape in shapes if shape in words and not mine][:1]
    found += [
        f"the code {code} in {where}" for where, words in written.items() if re.search(rf"(?<!\d){code}(?!\d)", words)
    ]
    assert found == []
