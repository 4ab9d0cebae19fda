"""One object for every address parameter: an own one, and one of another tenant that must not exist (D52)."""

from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from tests.cast import ALICE, BOB, CAFE, CIRCLE, EVE, FOREIGN_CAFE, GLOBEX, MALLORY, OLGA, TRENT, Someone, uid


@dataclass(frozen=True)
class Thing:
    """`own` is in the acting tenant, `foreign` in another; None where an address names no row."""

    own: Any
    foreign: Any = None


def objects(seed) -> Mapping[str, Thing]:
    """Make one row of each kind in both tenants and name them by their address parameter.

    `endpoint parameter` names what only that address takes; `named` knows.
    """
    rows = {}
    for tenant, member, shop, staff, offset in (
        (CIRCLE, EVE, CAFE, BOB, 1000),
        (GLOBEX, TRENT, FOREIGN_CAFE, MALLORY, 2000),
    ):
        for name, maker in MAKERS.items():
            key = uid(offset + len(rows))
            rows.setdefault(name, []).append(maker(seed, tenant, member, shop, staff, key))
    found = {name: Thing(*pair) for name, pair in rows.items()}
    files = Thing(*(_link(seed, *whose) for whose in ((CIRCLE, EVE, CAFE), (GLOBEX, TRENT, FOREIGN_CAFE))))
    ways_out = Thing(*(_way_out(seed, *whose) for whose in ((CIRCLE, EVE), (GLOBEX, TRENT))))
    shown = Thing(*(_shown(seed, *whose) for whose in ((CIRCLE, ALICE), (GLOBEX, TRENT))))
    logo, icon, colours = _brand(seed)
    return {
        **found,
        "business": Thing(CAFE.slug),
        "member_id": Thing(ALICE.id, TRENT.id),
        "other_id": Thing(EVE.id, MALLORY.id),
        "business_id": Thing(CAFE.id, FOREIGN_CAFE.id),
        "tier_id": Thing(uid(311), uid(322)),
        "card": Thing(ALICE.card),
        "digest": Thing("0" * 16),
        "token": Thing("not-a-token"),
        "code": Thing("nothing"),
        "handle": Thing("nobody"),
        "filename": Thing("mark.svg"),
        "kind": Thing("json"),
        "hook_id": Thing(uid(9001), uid(9002)),
        "page": Thing("terms"),
        "problem": Thing("not_found"),
        "number": Thing(_versions(seed)),
        "leaving.take file_id": Thing(*(_packed(seed, *whose) for whose in ((CIRCLE, EVE), (GLOBEX, TRENT)))),
        "files.download token": files,
        "messages_public.unsubscribe token": ways_out,
        "messages_public.create_unsubscription token": ways_out,
        "profiles_public.person handle": shown,
        "profiles_public.person_picture handle": shown,
        "kyc_admin.document submission_id": Thing(*map(_submission_of, rows["document_id"])),
        "tenant_icons.picture file_id": Thing(logo[0]),
        "tenant_icons.picture digest": Thing(logo[1]),
        "tenant_icons.icon digest": Thing(icon),
        "tenant_icons.icon filename": Thing("icon-192.png"),
        "tenants.brand digest": Thing(colours),
        "telegram.hook hook_id": Thing(BOT, OTHER_BOT),
    }


def named(things: Mapping[str, Thing], endpoint: str, parameters: Iterable[str]) -> dict[str, Thing]:
    """What stands for each parameter in the address of this endpoint."""
    return {name: things.get(f"{endpoint} {name}", things[name]) for name in parameters}


def own_parts(things: Mapping[str, Thing], endpoint: str, parameters: Iterable[str]) -> dict[str, Any]:
    """The values of an address of one's own things."""
    return {name: one.own for name, one in named(things, endpoint, parameters).items()}


def _purchase(seed, tenant, member, shop, staff, key):
    from portal.purchases.models import Purchase

    seed(
        tenant,
        _made(
            Purchase,
            id=key,
            business_id=shop.id,
            member_id=member.id,
            receipt_number="r",
            external_id=str(key),
            request_hash="h",
            amount=1000,
            earn_base=1000,
            bonus_accrued=0,
            currency=tenant.currency,
            rate_num=3,
            rate_den=100,
            source="till",
            cashier_id=staff.id,
            occurred_at=_now(),
        ),
    )
    return key


def _notification(seed, tenant, member, shop, staff, key):
    from portal.messages.models import Notification

    seed(
        tenant,
        _made(
            Notification,
            id=key,
            member_id=member.id,
            kind="job.done",
            dedupe_key=str(key),
            data={"title": "Done"},
            created_at=_now(),
        ),
    )
    return key


def _session(seed, tenant, member, shop, staff, key):
    from portal.identity.models import DeviceSession

    seed(
        tenant,
        _made(
            DeviceSession,
            id=key,
            token_hash=str(key),
            user_id=member.id,
            auth_epoch=0,
            data={},
            created_at=_now(),
            last_seen_at=_now(),
            idle_until=_now() + timedelta(hours=1),
            expires_at=_now() + timedelta(hours=1),
        ),
    )
    return key


def _method(seed, tenant, member, shop, staff, key):
    from portal.identity.models import TwoFactorMethod

    seed(
        tenant,
        _made(
            TwoFactorMethod,
            id=key,
            user_id=member.id,
            kind="passkey",
            name="Phone",
            credential_id=key.bytes,
            public_key=b"",
            created_at=_now(),
            confirmed_at=_now(),
        ),
    )
    return key


def _job(seed, tenant, member, shop, staff, key):
    from portal.jobs.models import Job

    seed(
        tenant,
        _made(
            Job,
            id=key,
            kind="purchases.import",
            owner_id=member.id,
            business_id=shop.id,
            params={},
            result={},
            checkpoint={},
        ),
    )
    return key


def _file(seed, tenant, member, shop, staff, key):
    from portal.files.models import StoredFile

    seed(
        tenant,
        _made(
            StoredFile,
            id=key,
            owner_id=member.id,
            business_id=shop.id,
            purpose="import",
            name="a.csv",
            path=str(key),
            mime="text/csv",
            state="ready",
        ),
    )
    return key


def _packed(seed, tenant, member):
    """A member's own data, packed and not yet taken."""
    import zipfile

    from portal.leaving.export import PURPOSE

    made = BytesIO()
    zipfile.ZipFile(made, "w").close()
    later = _now() + timedelta(days=1)
    return _kept(
        seed, tenant, made.getvalue(), "own.zip", PURPOSE, owner_id=member.id, expires_at=later, mime="application/zip"
    )


def _kept(seed, tenant, body, name, purpose, **more):
    """A file that is really there."""
    from portal.files import service
    from portal.kernel.tenancy import tenant_scope

    with seed.app.app_context(), tenant_scope(tenant.id):
        return service.store(BytesIO(body), name, purpose, **more)


def _link(seed, tenant, member, shop):
    """What stands in the address of a list that a member sent in for a shop."""
    from portal.files import service
    from portal.kernel.tenancy import tenant_scope

    file_id = _kept(seed, tenant, b"card,amount\n", "a.csv", "import", business_id=shop.id, owner_id=member.id)
    with seed.app.test_request_context(), tenant_scope(tenant.id):
        return service.signed_url(file_id).rpartition("/")[2]


def _way_out(seed, tenant, member):
    """What stands in a mail's unsubscribe address."""
    from portal.kernel.tenancy import tenant_scope
    from portal.messages.preferences import unsubscribe_token

    with seed.app.app_context(), tenant_scope(tenant.id):
        return unsubscribe_token(member.id)


def _shown(seed, tenant, member):
    """A member's name in the address of the page that they show to everybody, with a picture."""
    from sqlalchemy import update

    from portal.identity.models import User
    from portal.profiles.models import Profile

    handle = f"shown-{tenant.slug}"
    picture = _kept(seed, tenant, _drawn("WEBP"), "portrait.webp", "avatar", owner_id=member.id)
    seed(tenant, _made(Profile, id=member.id, avatar_id=picture, public=True, shows=["avatar", "since"]))
    with _seeding(seed, tenant) as session:
        session.execute(update(User).where(User.id == member.id).values(username=handle))
    return handle


@contextmanager
def _seeding(seed, tenant):
    """Writes of a tenant where no service makes them."""
    from flask import g

    from portal.extensions import db
    from portal.kernel.tenancy import tenant_scope

    with seed.app.app_context(), tenant_scope(tenant.id):
        g.seeding = True
        yield db.session
        db.session.commit()
        g.seeding = False


def _drawn(kind):
    from PIL import Image

    made = BytesIO()
    Image.new("RGB", (8, 8), "teal").save(made, kind)
    return made.getvalue()


def _brand(seed):
    """The circle's logo as a file with its digest, and the digests of its icons and of its colours."""
    import hashlib

    from portal.tenants import brand, hosts, icons

    body = _drawn("PNG")
    logo = _kept(seed, CIRCLE, body, "logo.png", "brand"), hashlib.sha256(body).hexdigest()[:16]
    with seed.app.app_context():
        own = hosts.tenant_at(CIRCLE.host).brand
    return logo, icons.digest(own), brand.digest(own)


def _submission(seed, tenant, member, shop, staff, key):
    from portal.kyc.models import KycSubmission

    seed(
        tenant,
        _made(
            KycSubmission,
            id=key,
            member_id=member.id,
            version=1,
            level="basic",
            number_blind=str(key),
            document_kind="passport",
            country="NL",
            submitted_at=_now(),
        ),
    )
    return key


def _document(seed, tenant, member, shop, staff, key):
    from portal.kernel import vault
    from portal.kyc.models import KycDocument

    submission = _submission_of(key)
    _submission(seed, tenant, staff, shop, staff, submission)
    with _seeding(seed, tenant):
        sealed = vault.seal(_drawn("JPEG"), table="kyc_documents", column="body", row=key)
    file = _kept(seed, tenant, sealed, "front.jpg", "kyc", owner_id=member.id, mime="application/octet-stream")
    row = _made(KycDocument, id=key, submission_id=submission, file_id=file, kind="front", mime="image/jpeg")
    seed(tenant, row)
    return key


def _submission_of(document):
    return uid(document.int % 10_000 + 60_000)


def _message(seed, tenant, member, shop, staff, key):
    from portal.kernel.outbox import OutboxMessage

    seed(
        tenant,
        _made(
            OutboxMessage,
            id=key,
            type="member.registered",
            schema_version=1,
            aggregate_type="member",
            aggregate_id=member.id,
            occurred_at=_now(),
            data={"member_id": str(member.id), "joined_via": "test"},
        ),
    )
    return key


def _delivery(seed, tenant, member, shop, staff, key):
    from portal.kernel.outbox import OutboxDelivery

    message = _message(seed, tenant, member, shop, staff, uid(key.int % 10_000 + 50_000))
    seed(
        tenant,
        _made(
            OutboxDelivery,
            id=key,
            message_id=message,
            seq=1,
            subscriber="messages.welcome",
            aggregate_type="member",
            aggregate_id=member.id,
            status="dead",
        ),
    )
    return key


def _audit(seed, tenant, member, shop, staff, key):
    from portal.kernel.audit import AuditEntry

    seed(
        tenant,
        _made(
            AuditEntry,
            id=key,
            action="business.update",
            business_id=shop.id,
            actor_id=staff.id,
            actor_kind="member",
            changes=[],
            occurred_at=_now(),
        ),
    )
    return key


def _root(seed, tenant, member, shop, staff, key):
    from portal.audit.models import AuditRoot

    seed(
        tenant,
        _made(AuditRoot, id=key, n=1, entries=1, hash="00", public_key="00", signature="00", signed_at=_now()),
    )
    return key


def _grant(seed, tenant, member, shop, staff, key):
    from portal.identity.models import TenantRole

    seed(tenant, _made(TenantRole, id=key, user_id=_idle(seed, tenant), role="editor"))
    return key


def _role(seed, tenant, member, shop, staff, key):
    from portal.identity.models import CustomRole

    seed(tenant, _made(CustomRole, id=key, name_i18n={"en": str(key)}, reach="tenant", permissions=["tiers.read"]))
    return key


def _assignment(seed, tenant, member, shop, staff, key):
    from portal.identity.models import CustomRole, RoleAssignment

    role = uid(key.int % 10_000 + 60_000)
    seed(
        tenant,
        _made(CustomRole, id=role, name_i18n={"en": str(role)}, reach="business", permissions=["purchases.read"]),
    )
    seed(tenant, _made(RoleAssignment, id=key, role_id=role, user_id=_idle(seed, tenant), business_id=shop.id))
    return key


def _staff_row(seed, tenant, member, shop, staff, key):
    from portal.partners.models import BusinessStaff

    seed(tenant, _made(BusinessStaff, id=key, business_id=shop.id, user_id=_idle(seed, tenant), role="cashier"))
    return key


def _key(seed, tenant, member, shop, staff, key):
    from portal.partners.models import ApiKey

    seed(
        tenant,
        _made(ApiKey, id=key, business_id=shop.id, name="Till", prefix=str(key)[-8:], secret_hash="h", scopes=[]),
    )
    return key


def _location(seed, tenant, member, shop, staff, key):
    from portal.partners.models import BusinessLocation

    seed(tenant, _made(BusinessLocation, id=key, business_id=shop.id, name=str(key)))
    return key


def _account(seed, tenant, member, shop, staff, key):
    from portal.wallets.queries import balances

    return _posted(seed, tenant, member, shop, key, lambda: balances(member.id)[0].account_id)


def _entry(seed, tenant, member, shop, staff, key):
    from sqlalchemy import select

    from portal.extensions import db
    from portal.wallets.models import LedgerEntry

    return _posted(
        seed,
        tenant,
        member,
        shop,
        key,
        lambda: db.session.scalars(select(LedgerEntry.id).where(LedgerEntry.member_id == member.id)).first(),
    )


def _posted(seed, tenant, member, shop, key, read):
    from portal.kernel.tenancy import tenant_scope
    from portal.wallets import service

    with seed.app.app_context(), tenant_scope(tenant.id):
        service.adjust(member.id, 500, currency=tenant.currency, reason="test", key=str(key))
    with seed.app.app_context(), tenant_scope(tenant.id):
        return read()


def _idle(seed, tenant, **more):
    """Somebody whose rights no table of access looks at."""
    from portal.identity.models import User
    from portal.kernel.model import new_id

    key = new_id()
    made = _made(
        User,
        id=key,
        name="Ida Idle",
        search_text="ida idle",
        card_number=f"{key.int % 10**12:012d}",
        joined_at=_now(),
        joined_via="desk",
        **more,
    )
    return seed(tenant, made).id


def suspended(seed) -> Someone:
    """An admin of the circle who is suspended."""
    from portal.identity.models import TenantRole

    key = _idle(seed, CIRCLE, suspended_at=_now(), suspended_reason="a test")
    seed(CIRCLE, _made(TenantRole, user_id=key, role="admin"))
    return replace(OLGA, id=key)


def half_signed_in(seed):
    """An admin of the circle who has a second factor."""
    from portal.identity.models import TenantRole, TwoFactorMethod

    key, now = _idle(seed, CIRCLE), _now()
    app = {"kind": "totp", "name": "", "secret": b"-", "created_at": now, "confirmed_at": now}
    seed(CIRCLE, _made(TenantRole, user_id=key, role="admin"), _made(TwoFactorMethod, user_id=key, **app))
    return replace(OLGA, id=key)


@contextmanager
def bot(seed, _client):
    """The circle has a bot of its own, and another tenant has one."""
    bots(seed)
    yield


def bots(seed):
    import hashlib

    from portal.telegram.models import TelegramBot

    more = {"token": b"", "hook_hash": hashlib.sha256(HOOK.encode()).hexdigest(), "connected_at": _now()}
    seed(CIRCLE, _made(TelegramBot, id=BOT, bot_id=77, username="circle_bot", **more))
    seed(GLOBEX, _made(TelegramBot, id=OTHER_BOT, bot_id=78, username="globex_bot", **more))


@contextmanager
def live(seed, _client):
    """The circle is live, and there is a sandbox for its shops' tills."""
    from portal.tenants import hosts

    with seed.app.app_context():
        sandbox = hosts.tenant_at(GLOBEX.host)
    with _changed(seed, kind="live"):
        hosts._remember("sandbox.localhost", sandbox)
        yield


@contextmanager
def published(seed, _client):
    """The circle's terms stand on a page."""
    terms(seed)
    with _changed(seed, settings=TERMS):
        yield


def terms(seed):
    from portal.tenants.models import LegalText

    text = {"page": "terms", "locale": "en", "version": 1, "title": "Terms", "body": "Be kind."}
    seed(CIRCLE, _made(LegalText, **text, published_at=_now()))


@contextmanager
def verifying(seed, _client):
    """The circle's members may send documents."""
    with _changed(seed, settings=VERIFIES):
        yield


@contextmanager
def awaited(_seed, client):
    """This browser has asked for a code to sign in by."""
    from flask.testing import FlaskClient

    from portal.kernel.redis import redis

    redis().flushdb()  # tries from one address are counted
    asked = {"email": "nobody@known.example", "way": "code"}
    FlaskClient.open(client, "/login", method="POST", base_url=f"http://{client.host}:8000", data=asked).close()
    yield


@contextmanager
def kept_aside(_seed, client):
    """Whoever looks through another's eyes has a session of their own to come back to."""
    client.set_cookie("own", "kept", domain=client.host)
    yield
    client.delete_cookie("own", domain=client.host)


@contextmanager
def _changed(seed, *, settings=None, **more):
    """The circle as its pages see it is another for a while."""
    from portal.tenants import hosts

    with seed.app.app_context():
        own = hosts.tenant_at(CIRCLE.host)
    hosts._remember(CIRCLE.host, replace(own, settings={**own.settings, **(settings or {})}, **more))
    try:
        yield
    finally:
        hosts.forget()


TERMS, VERIFIES = {"legal": {"terms": {"version": 1}}}, {"kyc": {"enabled": True}}
BOT, OTHER_BOT, HOOK = uid(9001), uid(9002), "a secret between the bot and its address"
BESIDE = {  # what an address wants besides
    "telegram_mine.offer_link": bot,
    "telegram.hook": bot,
    "telegram.login": bot,
    "telegram.mini_app": bot,
    "telegram.start": bot,
    "partners_desk.create_test_key": live,
    "legal.show": published,
    "kyc.status": verifying,
    "identity.code": awaited,
    "identity.create_sending": awaited,
    "identity.stop_looking": kept_aside,
}
ASKED = {  # (endpoint, method) → what is asked with, where nothing at all is no question
    ("identity.codes_sent", "POST"): {"data": {"way": "email"}},
    ("purchases_till.create_purchase", "POST"): {"data": {"member_id": ALICE.id}},
    ("telegram.hook", "POST"): {"headers": {"X-Telegram-Bot-Api-Secret-Token": HOOK}},
    ("tenants_brand.preview_css", "GET"): {"query_string": {"lightness": 0.5, "chroma": 0.1, "hue": 200}},
}


def _made(model, **values):
    return model(**values)


def _now():
    return datetime.now(UTC)


def _note(seed, tenant, member, shop, staff, key):
    from portal.identity.models import MemberNote

    author = OLGA if tenant is CIRCLE else staff
    seed(tenant, _made(MemberNote, id=key, member_id=member.id, author_id=author.id, body="note", written_at=_now()))
    return key


def _claim(seed, tenant, member, shop, staff, key):
    from portal.tenants.models import DomainClaim

    seed(tenant, _made(DomainClaim, id=key, host=f"{key}.example", token="0" * 32, created_at=_now()))
    return key


def _invitation(seed, tenant, member, shop, staff, key):
    from portal.invitations.models import Invitation

    row = _made(
        Invitation,
        id=key,
        kind="staff",
        channel="email",
        target="guest@new.example",
        target_key=str(key),
        locale="en",
        role="cashier",
        business_id=shop.id,
        created_at=_now(),
        asked_at=_now(),
        expires_at=_now() + timedelta(days=7),
    )
    seed(tenant, row)
    return key


def _merge(seed, tenant, member, shop, staff, key):
    from portal.identity.models import MemberMerge

    row = {"from_id": staff.id, "into_id": member.id, "key": str(key), "reason": "one person"}
    seed(tenant, _made(MemberMerge, id=key, **row, moved={"balances": []}, merged_at=_now(), undo_until=_now()))
    return key


def _versions(seed):
    """Two changes of the settings, so that there is one to go back to."""
    from portal.tenants.models import TenantVersion

    texts = [None, {"welcome": {"en": "Hello"}}, {"welcome": {"en": "Good day"}}]
    for number in (1, 2):
        before, after = ({"settings.texts": one} for one in texts[number - 1 : number + 1])
        seed(CIRCLE, _made(TenantVersion, version=number, page="texts", before=before, after=after, at=_now()))
    return 1


MAKERS = {
    "invitation_id": _invitation,
    "note_id": _note,
    "merge_id": _merge,
    "claim_id": _claim,
    "purchase_id": _purchase,
    "notification_id": _notification,
    "session_id": _session,
    "job_id": _job,
    "file_id": _file,
    "message_id": _message,
    "delivery_id": _delivery,
    "entry_id": _entry,
    "account_id": _account,
    "audit_id": _audit,
    "staff_id": _staff_row,
    "method_id": _method,
    "key_id": _key,
    "location_id": _location,
    "root_id": _root,
    "submission_id": _submission,
    "document_id": _document,
    "grant_id": _grant,
    "role_id": _role,
    "assignment_id": _assignment,
}
