"""S17: what people and programs keep secret is written nowhere: fifteen secrets (twelve wanted) go through the portal and its workers, then
all that it wrote is searched for each: the log at its most talkative, pages and error pages, every row, Redis, the jobs' arguments,
metrics, stored files and the ZIP of somebody's data, mails, texts and Telegram messages other than the one that hands it over.

Seen red with the forms and cookies of requests in the log (five secrets). Found by it: at LOG_LEVEL=DEBUG the Telegram library
wrote the bot's token with each call.
"""

import base64
import io
import logging
import re
import zipfile
from pathlib import Path

import psycopg
import pytest
from rq import SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from portal.api import people
from portal.kernel.redis import redis
from portal.kyc import service as verification
from portal.settings import settings
from portal.telegram import service as bots
from portal.tenants import hosts
from tests.cast import ALICE, BOB, CIRCLE, EVE, FRANK, IRINA, OLGA, PASSWORD, SAM
from tests.conftest import SECRET
from tests.identity.test_factors import app_of, by_password, now_code
from tests.identity.test_reset import link_in
from tests.kyc.test_verification import NUMBER, send
from tests.post import code_in
from tests.telegram.test_sign_in import TOKEN
from workers import jobs
from workers.outbox import relay_once
from workers.tasks import Queue, rq_queue

WRONG, NEW, KEPT = "wrong canary of a password", "nine patient canaries", "canary between two patient harbours"


@pytest.fixture
def spoken():
    """Everything said to the log from here on, as the portal writes it."""
    out = io.StringIO()
    root, talk = logging.getLogger(), logging.StreamHandler(out)
    talk.setFormatter(next(h.formatter for h in root.handlers if h.formatter))
    level = root.level
    root.addHandler(talk)
    root.setLevel(logging.DEBUG)
    yield out
    root.removeHandler(talk)
    root.setLevel(level)


@pytest.fixture
def worked(app, monkeypatch):
    """Relay and workers do all there is; returns what they were told, job by job."""
    monkeypatch.setattr(jobs, "app", lambda: app)
    jobs.load_tasks()
    told = []

    def worked():
        with psycopg.connect(settings().database_url("portal_relay"), autocommit=True) as relay:
            while relay_once(relay):
                for queue in Queue:
                    for number in rq_queue(queue).get_job_ids():
                        job = Job.fetch(number, connection=redis(), serializer=JSONSerializer)
                        told.append(f"{number} {job.args} {job.kwargs} {job.meta}")
                SimpleWorker([rq_queue(q) for q in Queue], connection=redis(), serializer=JSONSerializer).work(
                    burst=True, logging_level="DEBUG"
                )
        return told

    return worked


def every_row():
    """The contents of every table of the database, past the row-level security."""
    with psycopg.connect(settings().DATABASE_URL) as admin:
        tables = admin.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            rows = admin.execute(f"SELECT to_jsonb(t)::text FROM {table} t").fetchall()
            yield table, "\n".join(row for (row,) in rows)


def in_redis():
    read = {b"string": "get", b"hash": "hgetall", b"set": "smembers"}
    for key in redis().scan_iter():
        kind = redis().type(key)
        how = read.get(kind if isinstance(kind, bytes) else kind.encode(), "dump")
        yield f"{key} {getattr(redis(), how)(key)}"


def in_files():
    for path in Path(settings().VAR_DIR).rglob("*"):
        if path.is_file() and "sms" not in path.parts:
            yield path.name, path.read_bytes()


def shapes(secret):
    """A secret as it is, without its hyphens, in base64 at each offset, in hex, percent-encoded."""
    data = secret.encode()
    yield secret
    yield secret.replace("-", "")
    yield data.hex()
    yield "".join(f"%{b:02X}" for b in data)
    for shift in range(3):
        yield base64.b64encode(b"\0" * shift + data).decode()[4 if shift else 0 : -4].rstrip("=")


@pytest.mark.commits
def test_the_secrets_are_written_nowhere(
    app, visitor, sign_in, acting, worked, spoken, sink, texts, telegram, monkeypatch
):
    pages = []

    # passwords: typed right, typed wrong, typed where the e-mail belongs, changed, and when the portal itself breaks
    door = visitor(csrf=True)
    pages.append(door.post("/login", data={"email": ALICE.email, "password": WRONG}))
    mistaken = door.post("/login", data={"email": f"{WRONG}@x", "password": ""})
    assert (
        "private" in mistaken.headers["Cache-Control"]
    )  # it is shown once more to whoever typed it, and to nobody else
    assert door.post("/login", data={"email": ALICE.email, "password": PASSWORD}).status_code == 303
    alice = sign_in(ALICE)
    changed = alice.post("/me/security/password", data={"current": PASSWORD, "new": NEW})
    assert changed.status_code == 303, changed.text
    session_key = alice.get_cookie("sid", domain=CIRCLE.host).value
    with monkeypatch.context() as broken:
        broken.setattr("portal.identity.passwords.matches", lambda *_: 1 / 0)
        pages.append(visitor(csrf=True).post("/login", data={"email": ALICE.email, "password": WRONG}))
        assert pages[-1].status_code == 500

    # a code by SMS, a link by mail
    other = visitor()
    other.submit("/login", form="sign-in", email=BOB.phone, way="code")
    visitor().submit("/reset", form="reset", contact=FRANK.email)
    worked()
    code, link = code_in(texts.to(BOB.phone)[0]), link_in(sink.to(FRANK)[-1])
    wrong_code = "000000" if code != "000000" else "111111"
    pages.append(other.submit("/login/code", form="type-code", code=wrong_code))
    behind = visitor().get(f"/reset/{link}")  # its form sends to the link itself
    assert behind.status_code == 200
    assert visitor().submit(f"/reset/{link}", form="new-password", password=KEPT).status_code == 303
    pages.append(visitor().get(f"/reset/{link}"))

    # the app's secret and a recovery code
    secret, recovery = app_of(acting, IRINA)
    half = by_password(visitor, IRINA)
    pages.append(
        half.post("/login/second", data={"way": "app", "code": recovery[0][:-1] + "xy"[recovery[0][-1] == "x"]})
    )
    assert half.post("/login/second", data={"way": "app", "code": now_code(acting, secret)}).status_code == 303

    # an API key, also where it does not belong; a document; a bot
    made = sign_in(IRINA).submit("/desk/cafe/keys", form="key-form", name="Till", scopes="members.find", days="0")
    key = re.search(r"krug_\w+", made.text)[0]
    header = {"Authorization": f"Bearer {key}"}
    pages.append(visitor().get(f"/api/v1/members/{ALICE.card}", headers=header))
    pages.append(visitor().get("/api/v1/ping", query_string={"key": key}))
    with monkeypatch.context() as broken:
        broken.setattr(people, "named", lambda _: 1 / 0)
        pages.append(visitor().get(f"/api/v1/members/{ALICE.card}", headers=header))
        assert pages[-1].status_code == 500
    with acting(CIRCLE, OLGA):
        verification.set_rules({"enabled": True})
        bots.connect(TOKEN)
    hosts.forget()
    assert send(sign_in(EVE), legal_name=EVE.name).status_code == 303
    assert sign_in(EVE).post("/me/data/exports", data={}).status_code == 303
    told = worked()
    assert len(told) > 8

    looked = {
        OLGA: ("/admin/audit", "/admin/audit/entries.json", "/admin/audit/entries.csv", "/admin/outbox", "/admin/members/download.csv", f"/admin/members/{EVE.id}",
               "/admin/settings/telegram", "/admin/settings/versions"),
        SAM: ("/admin/kyc",),
        IRINA: ("/desk/cafe/keys", "/desk/cafe/audit"),
        EVE: ("/me/security", "/me/verification", "/me/data"),
    }  # fmt: skip
    for who, paths in looked.items():
        client = sign_in(who)
        for path in paths:
            pages.append(client.get(path))
            pages[-1].get_data()  # a streamed answer is read to its end
            pages[-1].close()
            assert pages[-1].status_code == 200, (who.name, path, pages[-1].status_code)
    with app.test_client() as probe:
        metrics = probe.get("/metrics", environ_base={"REMOTE_ADDR": "127.0.0.1"})
    assert metrics.status_code == 200

    secrets = {
        "the right password": PASSWORD, "a wrong one": WRONG, "a new one": NEW, "one set by a link": KEPT, "the session": session_key,
        "a link by mail": link, "an app's secret": secret, "a recovery code": recovery[0], "an API key": key,
        "a bot's token": TOKEN.partition(":")[2], "a document's number": NUMBER, "the portal's key": SECRET,
        "the password of a database role": settings().role_password("portal_app"), "the SMS provider's token": "krug:secret",
    }  # fmt: skip
    written = {
        "the log": spoken.getvalue(),
        "Redis": "\n".join(in_redis()),
        "jobs": "\n".join(told),
        "metrics": metrics.text,
    }
    written |= {f"answer {n} {p.request.path}": p.get_data(as_text=True) for n, p in enumerate(pages)}
    written |= {f"table {name}": rows for name, rows in every_row()}
    for name, data in in_files():
        written[f"file {name}"] = data.decode("latin-1")
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as pack:
                written |= {f"file {name}/{one}": pack.read(one).decode("latin-1") for one in pack.namelist()}
    written |= {
        f"mail {n}": mail.as_string() + str(mail.get_body(("plain", "html")).get_content())
        for n, mail in enumerate(sink.mails)
    }
    written["texts"] = "\n".join(body for body in texts.to(BOB.phone)[1:])
    found = []
    for what, one in secrets.items():
        holding = {where for where, words in written.items() if any(shape in words for shape in shapes(one))}
        if one == link:  # the one mail that brings it, and the page at that address
            assert len([where for where in holding if where.startswith("mail")]) == 1
            holding = {w for w in holding if not w.startswith("mail") and not w.endswith(f"/reset/{link}")}
        found += [f"{what} in {where}" for where in holding]
    alone = re.compile(rf"(?<![\d.]){code}(?![\d])")
    found += [f"the code in {where}" for where, words in written.items() if alone.search(words)]
    assert found == []
    assert len([name for name in written if name.startswith("table")]) > 60
    assert any(name.startswith("file") and "/" in name for name in written), "no ZIP of anybody's data was looked into"
    assert ALICE.email in "".join(rows for name, rows in written.items() if name.startswith("table")), (
        "rows went unseen"
    )
    assert len(written["the log"]) > 1_000 and len(sink.mails) >= 1
