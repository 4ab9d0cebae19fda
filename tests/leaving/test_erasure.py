"""AUD-3, security.md 13: who leaves is gone from every store, and the books still agree."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from threading import Barrier

import psycopg
import pytest
from PIL import Image
from sqlalchemy import select, text

from portal.analytics.clickhouse import client as clickhouse
from portal.extensions import db
from portal.files import storage
from portal.files.models import StoredFile
from portal.identity import codes, queries, roles
from portal.identity import service as people
from portal.identity.models import Consent, ContactChange, DeviceSession, MemberNote, PasswordReset, User
from portal.imports.models import CustomerRef, ImportReject
from portal.jobs.models import Job
from portal.kernel import verify as kernel
from portal.kernel.audit import AuditEntry
from portal.kernel.errors import NotFound, PortalError
from portal.kernel.model import new_id
from portal.kernel.redis import redis
from portal.kernel.verify import found_by
from portal.kyc import service as kyc
from portal.leaving import erasure
from portal.messages.models import Notification
from portal.profiles import service as profiles
from portal.settings import settings
from portal.wallets import service as wallets
from portal.wallets.verify import CHECKS
from tests.cast import ALICE, BOB, CAFE, CIRCLE, EVE, IRINA, OLGA
from tests.purchases.shop import balance, books_agree, buy

CANARIES = {
    "name": "Canaryname Zebrowska",
    "email": "canary.mail@leaving.example",
    "phone": "+79990001234",
    "username": "canaryhandle",
    "about": "canary-about-words",
    "display": "canary-display",
    "exif": "CANARY-EXIF-GPS",
    "document": "CANARYDOC778899",
    "legal": "Canarylegal Zebrowska",
    "device": "CanaryBrowser/9.9",
    "ip": "203.0.113.77",
    "notice": "canary-notice-text",
    "ref": "canary-crm-number",
    "typed": "canary.typed@leaving.example",
    "reject": "canary-reject-line",
    "note": "canary-note-of-staff",
}


def picture():
    made, exif, out = Image.new("RGB", (600, 400), "#336699"), Image.Exif(), BytesIO()
    exif[0x010E] = CANARIES["exif"]
    made.save(out, "JPEG", exif=exif)
    return out.getvalue()


@pytest.fixture
def canary(acting, seed):
    """A member with a canary in every field that can hold one; returns their id and card."""

    def canary():
        with acting(CIRCLE, OLGA):
            kyc.set_rules({"enabled": True})
            member_id = people.register_member(
                name=CANARIES["name"],
                email=CANARIES["email"],
                phone=CANARIES["phone"],
                password="a long enough canary word",
                joined_via="desk",
            )
            card = db.session.scalar(select(User.card_number).where(User.id == member_id))
        with acting(CIRCLE, BOB):
            buy(1_000_000, member=ALICE)
            buy(1_000_000, member=type("Member", (), {"id": member_id}))
            wallets.adjust(member_id, 700, currency="RUB", reason="late", key="canary", kind="locked")
            kyc.submit(
                member_id,
                level="basic",
                legal_name=CANARIES["legal"],
                born_on=date(1990, 2, 28),
                country="RU",
                document_kind="passport",
                document_number=CANARIES["document"],
                documents={"front": BytesIO(picture())},
            )
            profiles.edit_profile(
                member_id,
                first_name="Canaryname",
                last_name="Zebrowska",
                display_name=CANARIES["display"],
                about=CANARIES["about"],
                born_on=date(1990, 2, 28),
                handle=CANARIES["username"],
                public=False,
                shows=["about"],
            )
            profiles.set_avatar(member_id, BytesIO(picture()))
            codes.issue("sign_in", "email", CANARIES["email"], member_id=member_id)
            codes.issue("sign_in", "sms", CANARIES["phone"])
        now = datetime.now(UTC)
        job = Job(id=new_id(), kind="purchases.import", owner_id=BOB.id, business_id=CAFE.id)
        seed(CIRCLE, job)
        seed(
            CIRCLE,
            DeviceSession(
                token_hash="canary",
                user_id=member_id,
                auth_epoch=0,
                data={"typed": CANARIES["typed"]},
                user_agent=CANARIES["device"],
                ip=CANARIES["ip"],
                created_at=now,
                last_seen_at=now,
                idle_until=now + timedelta(days=1),
                expires_at=now + timedelta(days=1),
            ),
            Notification(
                member_id=member_id,
                kind="job.done",
                dedupe_key="canary",
                data={"title": CANARIES["notice"], "path": "/me", "state": "done"},
                created_at=now,
            ),
            MemberNote(member_id=member_id, author_id=OLGA.id, body=CANARIES["note"], written_at=now),
            Consent(member_id=member_id, purpose="terms", version=1, locale="en", agreed_at=now),
            ContactChange(
                member_id=member_id, kind="email", old=CANARIES["typed"], new=CANARIES["email"], changed_at=now
            ),
            CustomerRef(business_id=CAFE.id, ref=CANARIES["ref"], member_id=member_id),
            PasswordReset(
                channel="email",
                target=CANARIES["email"],
                target_key="k",
                locale="en",
                created_at=now,
                expires_at=now + timedelta(hours=1),
            ),
            ImportReject(
                job_id=job.id, line=7, reason="phone", content=f"{CANARIES['reject']};8 (999) 000-12-34;100.00"
            ),
        )
        return member_id, card

    return canary


def everywhere():
    """Every row of every table, of ClickHouse and of Redis, and every kept file, as one text."""
    told = []
    with psycopg.connect(settings().DATABASE_URL) as owner:
        names = [row[0] for row in owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        assert len(names) > 40
        for name in names:
            with owner.cursor().copy(f'COPY "{name}" TO STDOUT') as rows:
                told += [bytes(row).decode("utf-8", "replace") for row in rows]
    found = clickhouse().query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    )
    told += [
        str(row) for (name,) in found.result_rows for row in clickhouse().query(f"SELECT * FROM {name}").result_rows
    ]
    store = redis()
    for key in store.scan_iter():
        told += [str(key), repr(store.dump(key))]
    for path in Path(settings().files_url.removeprefix("file://")).rglob("*"):
        if path.is_file():
            told.append(path.read_bytes().decode("latin-1"))
    return "\n".join(told)


def hits(words):
    there = everywhere().lower()
    return sorted(name for name, word in words.items() if word.lower() in there)


@pytest.mark.commits
def test_nothing_of_a_person_is_left_in_any_store(canary, acting, app, deliver):
    """Seventeen canaries; before, those that are not sealed, redrawn or hashed are found, so the search is not blind.

    Seen red with `customer_refs` left as they are."""
    member_id, card = canary()
    deliver()
    words = {**CANARIES, "card": card, "digits": CANARIES["phone"][1:]}
    sealed = {"exif", "document", "legal"}
    assert set(words) - set(hits(words)) == sealed
    with acting(CIRCLE, OLGA):
        assert balance(type("Member", (), {"id": member_id})) > 0
        erasure.erase(member_id, reason="asked for it in writing")
    assert hits(words) == []
    deliver()
    assert hits(words) == []
    with acting(CIRCLE):
        assert balance(type("Member", (), {"id": member_id})) == 0
        books_agree()
        assert [name for name, check in {**CHECKS, **kernel.CHECKS}.items() if found_by(check)] == []


@pytest.mark.commits
def test_books_and_audit_stay_under_the_id(canary, acting):
    member_id, _ = canary()
    with acting(CIRCLE, OLGA):
        erasure.erase(member_id, reason="asked")
    with acting(CIRCLE):
        row = db.session.scalars(select(User).where(User.id == member_id)).one()
        assert (row.name, row.email, row.phone, row.username, row.password_hash) == (
            "Former member",
            None,
            None,
            None,
            None,
        )
        assert row.archived_at is not None
        assert (
            db.session.execute(text("SELECT count(*) FROM purchases WHERE member_id = :m"), {"m": member_id}).scalar()
            == 1
        )
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "member.erase")).one()
        assert (entry.object_id, entry.actor_id, entry.reason) == (member_id, OLGA.id, "asked")
        assert (
            db.session.execute(text("SELECT count(*) FROM data_keys WHERE subject_id = :m"), {"m": member_id}).scalar()
            == 0
        )
        files = db.session.execute(
            select(StoredFile.state, StoredFile.path).where(StoredFile.owner_id == member_id)
        ).all()
        assert {state for state, _ in files} == {"deleted"}
        assert not any(storage.storage().exists(path) for _, path in files)


def test_who_left_and_joins_again_is_a_new_member(acting):
    with acting(CIRCLE, OLGA):
        erasure.erase(EVE.id, reason="asked")
        assert queries.find_member(EVE.email) is None
        assert queries.find_member(EVE.card) is None
        again = people.register_member(name=EVE.name, email=EVE.email, phone=EVE.phone, joined_via="join")
        assert again != EVE.id
        assert queries.find_member(EVE.email).id == again
        with pytest.raises(NotFound):
            erasure.erase(EVE.id, reason="twice")


def test_the_only_admin_cannot_leave(acting):
    with acting(CIRCLE, OLGA), pytest.raises(roles.LastAdmin):
        erasure.erase(OLGA.id, reason="tired")


def test_money_has_to_be_taken_out_first(acting):
    with acting(CIRCLE, OLGA):
        wallets.adjust(EVE.id, 500, currency="RUB", reason="deposit", key="m", kind="main")
        with pytest.raises(erasure.MoneyLeft):
            erasure.erase(EVE.id, reason="asked")


def test_a_post_ends_with_the_person(acting, sign_in):
    with acting(CIRCLE, OLGA):
        erasure.erase(BOB.id, reason="left the shop")
    page = sign_in(IRINA).get("/business/cafe/staff")
    assert BOB.name not in page.text


@pytest.mark.commits
def test_an_erasure_and_purchases_at_once_leave_no_bonus_behind(acting):
    """A purchase is recorded before the erasure, or refused after it. Seen red: drawing lots by the transaction's clock left
    the bonus of purchases that came in while the erasure waited for the member's lock."""
    gate = Barrier(9)

    def run(job):
        with acting(CIRCLE, OLGA):
            gate.wait(30)
            try:
                return job()
            except PortalError as refused:
                return refused

    jobs = [lambda n=n: buy(100_000, key=f"l-{n}", member=EVE) for n in range(8)]
    jobs.insert(4, lambda: erasure.erase(EVE.id, reason="asked"))
    with ThreadPoolExecutor(9) as pool:
        answers = list(pool.map(run, jobs))
    assert answers[4] is None
    assert all(isinstance(a, NotFound) for a in answers if isinstance(a, PortalError))
    with acting(CIRCLE):
        assert balance(EVE) == 0
        books_agree()
