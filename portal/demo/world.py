"""The demo world: three communities with eighteen months behind them, the same at every start from the same day.

Every row is made by the services that the pages use. Building is resumable: what a killed start has left is found again by
its own keys, and only the last step, writing var/demo.json, says that the world is whole.
"""

import json
import random
import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy import select

from portal import create_app
from portal.api import sandbox
from portal.demo import paperwork, rhythm
from portal.demo import people as names
from portal.demo.plan import BUSINESS_ROLES, COMMUNITIES, OPERATOR, Community
from portal.embedded.telegram import PEOPLE, TelegramServer
from portal.extensions import db
from portal.identity.models import User
from portal.identity.roles import grant_role
from portal.identity.service import register_member
from portal.identity.sessions import acting_as
from portal.invitations import service as invitations
from portal.invitations.models import Invitation
from portal.kernel import clock, money
from portal.kernel.model import I18n, new_id
from portal.kernel.side import side_transaction
from portal.kernel.tenancy import tenant_scope
from portal.loyalty.models import TierProgram
from portal.loyalty.service import create_default_program
from portal.partners.keys import create_key
from portal.partners.models import Business
from portal.partners.service import add_location, add_staff, create_business
from portal.purchases.batch import record_history
from portal.purchases.service import record_purchase
from portal.purchases.wanted import Sale
from portal.settings import settings
from portal.telegram import service as telegram
from portal.telegram.signed import Told
from portal.tenants import hosts
from portal.tenants.hosts import tenant_named
from portal.tenants.owner import name_owner
from portal.tenants.service import SlugTaken, create_tenant

SEED = 20_260
BATCH = 500
LIVE = timedelta(hours=30)  # what is younger is rung up one by one, so that members hear of it
EXPIRES = "12M_U"
BOT = "7000000001:demo-bot-of-the-first-community"


def build_once(*, mail_url: str, say: Callable[[str], None]) -> None:
    """Build the world unless it is there; always write var/demo.json anew, since ports move."""
    path = settings().VAR_DIR / "demo.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    app = create_app()
    began = time.perf_counter()
    with app.app_context():
        tenants = [_community(c, known=_known(kept, c.slug), say=say) for c in COMMUNITIES]
        _bot()
        operator = _operator()
        tested = kept.get("sandbox") or _sandbox()
    port = settings().authority_port
    base = f"{settings().SCHEME}://localhost{port}"
    world = {"base_url": base, "mail_url": mail_url, "operator": operator, "tenants": tenants, "sandbox": tested}
    from portal.cli.up import write_private

    write_private(path, world)
    if not kept:
        say(f"the demo world is ready after {time.perf_counter() - began:.0f} s")


def _known(kept: dict[str, Any], slug: str) -> dict[str, Any]:
    return next((t for t in kept.get("tenants", []) if t["slug"] == slug), {})


def _password(handle: str) -> str:
    return f"{handle}-walks-in-a-circle"


def _bot() -> None:
    """The first community's Telegram bot, at the demo's own Telegram, where Nina is Alice; anew at each start, since ports move."""
    if type(settings()).model_fields["TELEGRAM_API_URL"].default == settings().TELEGRAM_API_URL:
        return  # nobody plays Telegram here
    tenant_id = tenant_named(COMMUNITIES[0].slug)
    assert tenant_id is not None  # noqa: S101  it was just built
    with tenant_scope(tenant_id), acting_as(None, "system"):
        g.tenant = hosts.tenant_by_id(tenant_id)
        row, secret = new_id(), secrets.token_urlsafe(32)
        number = int(BOT.partition(":")[0])
        telegram.keep_bot(row, number, f"krug_{number}_bot", BOT, secret)
        TelegramServer(settings().VAR_DIR / "telegram").adopt(BOT, f"{g.tenant.base_url}/hooks/telegram/{row}", secret)
        guest = db.session.scalar(select(User.id).where(User.email == f"alice@{COMMUNITIES[0].slug}.example"))
        if guest is not None and telegram.account_of(guest) is None:
            with suppress(telegram.LinkedElsewhere):  # somebody who tried the demo out has her
                telegram.link(guest, Told(*PEOPLE[0], language="en", at=0, digest=""))


def _sandbox() -> dict[str, str]:
    """The tenant in which the examples of the API run, and its key."""
    from portal.tenants.start import open_tenant

    try:
        url = open_tenant(
            sandbox.SLUG, name="Sandbox", currency="RUB", timezone="Europe/Moscow", locales=("ru", "en"), kind="sandbox"
        )
    except SlugTaken:  # it was built, but var/demo.json is gone, and the key with it
        return {}
    tenant_id = tenant_named(sandbox.SLUG)
    assert tenant_id is not None  # noqa: S101
    with tenant_scope(tenant_id), acting_as(None, "system"):
        g.tenant = hosts.tenant_by_id(tenant_id)
        return {"url": url, "api_key": sandbox.furnish()}


def _operator() -> dict[str, str]:
    from portal.platform.service import create_operator

    email, name = OPERATOR
    password = _password("operator")
    create_operator(email, name, password)
    return {"url": hosts.ops_url(), "email": email, "password": password}


def _community(plan: Community, *, known: dict[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
    if not known:
        say(f"building {plan.name}: {plan.members} members, {len(plan.shops)} businesses, {rhythm.MONTHS} months")
    tenant_id = _tenant(plan)
    with tenant_scope(tenant_id), acting_as(None, "system"):
        g.tenant = hosts.tenant_by_id(tenant_id)
        shops = _shops(plan)
        staff = _staff(plan, shops)
        if not known:
            _history(plan, shops, staff["alice" if plan.slug == "krug" else plan.people[0].handle])
        if not known:
            _invitations(plan, shops, staff)
        if not known and plan is COMMUNITIES[0]:
            paperwork.fill(shops, staff, plan.people[1].shop)
        keys = {b["slug"]: b["api_key"] for b in known.get("businesses", [])}
        url = g.tenant.base_url + "/"
        cards = {row.id: row for row in db.session.execute(select(User.id, User.card_number, User.email))}
        return {
            "slug": plan.slug,
            "url": url,
            "name": plan.name,
            "people": [
                {
                    "role": p.role,
                    "name": p.name,
                    "email": cards[staff[p.handle]].email,
                    "password": _password(p.handle),
                    "card": cards[staff[p.handle]].card_number,
                }
                for p in plan.people
            ],
            "businesses": [
                {
                    "slug": shop.slug,
                    "name": shop.name,
                    "api_key": keys.get(shop.slug) or create_key(shops[shop.slug], "Demo till")[1],
                }
                for shop in plan.shops
            ],
        }


def _tenant(plan: Community) -> UUID:
    default = plan.slug == settings().DEFAULT_TENANT
    try:
        return create_tenant(
            plan.slug,
            name=plan.name,
            currency=plan.currency,
            timezone=plan.timezone,
            locales=plan.locales,
            brand=plan.brand,
            domains=("localhost", "127.0.0.1") if default else (),
        )
    except SlugTaken:
        tenant_id = tenant_named(plan.slug)
        assert tenant_id is not None  # noqa: S101  it was there a moment ago
        return tenant_id


def _shops(plan: Community) -> dict[str, UUID]:
    if db.session.scalar(select(TierProgram.id)) is None:
        create_default_program(plan.currency, list(plan.thresholds), bonus_expiry=EXPIRES)
    there = dict(db.session.execute(select(Business.slug, Business.id)).all())
    for shop in plan.shops:
        if shop.slug in there:
            continue
        made = create_business(
            slug=shop.slug,
            name=shop.name,
            category=shop.category,
            currency=plan.currency,
            address=shop.address,
            description_i18n=I18n(en=shop.about_en, ru=shop.about_ru),
            spend_confirmation=shop.confirmation,
        )
        add_location(made, name=shop.address, address=shop.address)
        there[shop.slug] = made
    return there


def _staff(plan: Community, shops: dict[str, UUID]) -> dict[str, UUID]:
    """The people to sign in as; their history begins with the community's."""
    began = clock.now() - timedelta(days=30 * rhythm.MONTHS)
    found = {row.email: row.id for row in db.session.execute(select(User.id, User.email))}
    made: dict[str, UUID] = {}
    for n, person in enumerate(plan.people):
        email = f"{person.handle}@{plan.slug}.example"
        if email in found:
            made[person.handle] = found[email]
            continue
        member_id = register_member(
            name=person.name,
            email=email,
            phone=f"{plan.phone_prefix}{9_000_000 + n:0{12 - len(plan.phone_prefix)}d}"[:16],
            locale=person.locale,
            password=_password(person.handle),
            joined_via="demo",
            joined_at=began + timedelta(days=n),
            historical=True,
        )
        if person.role in BUSINESS_ROLES:
            add_staff(shops[person.shop], member_id, person.role)
        elif person.role != "member":
            grant_role(member_id, person.role)
            if person.role == "admin":
                name_owner(member_id)
        made[person.handle] = member_id
    return made


def _invitations(plan: Community, shops: dict[str, UUID], staff: dict[str, UUID]) -> None:
    """Links on their way in every state: waiting, withdrawn, accepted and run out, of members and of staff."""
    admin = next((staff[person.handle] for person in plan.people if person.role == "admin"), None)
    shop = shops[plan.shops[0].slug]
    if admin is None or db.session.scalar(select(Invitation.id).limit(1)) is not None:
        return
    wanted = (
        ("anton", None),
        ("vera", None),
        ("lev", "cashier"),
        ("mila", "manager"),
        ("zoya", None),
        ("oleg", "cashier"),
    )
    with acting_as(admin, "member"):
        made = {
            handle: invitations.invite(
                invitations.Guest(
                    f"{handle}@new.example",
                    handle.title(),
                    plan.locales[0],
                    invitations.Offer(role, business_id=shop) if role else None,
                )
            )
            for handle, role in wanted
        }
        invitations.withdraw(made["zoya"])
    for handle in ("vera", "mila"):
        letter = invitations.mint(made[handle])
        if letter is not None:
            invitations.mark_sent(letter.id)
            with acting_as(None, "system"):  # whoever comes in acts from then on
                invitations.accept(letter.token, name=handle.title(), user_agent="", ip="")
    side_transaction(
        "UPDATE invitations SET created_at = created_at - :days, asked_at = asked_at - :days, sent_at = asked_at - :days,"
        " expires_at = expires_at - :days WHERE tenant_id = :tenant AND id = :id",
        {"days": timedelta(days=10), "tenant": g.tenant.id, "id": made["oleg"]},
    )


def _history(plan: Community, shops: dict[str, UUID], guest: UUID) -> None:
    """Members and their purchases: history in bulk, the last day one by one."""
    rng = random.Random(f"{SEED}:{plan.slug}")  # noqa: S311  a world to look at, not a secret
    now = clock.now().replace(microsecond=0)
    until = now - timedelta(minutes=5)
    trades = tuple(shop.trade(plan.scale, plan.step) for shop in plan.shops)
    joined, sales = rhythm.sales(rng, trades=trades, members=plan.members, until=until, zone=plan.timezone)
    members = _members(plan, rng, joined)
    members[_regular(sales, until)] = guest  # the member to sign in as has a history too
    unit = 10 ** money.currency(plan.currency).exponent
    by_shop: dict[str, list[Sale]] = defaultdict(list)
    live: list[Sale] = []
    for n, sale in enumerate(sales):
        row = Sale(
            business_id=shops[sale.shop],
            member_id=members[sale.who],
            amount=sale.amount * unit,
            external_id=f"{sale.shop}-{n:06d}",
            currency=plan.currency,
            occurred_at=sale.at,
            category=None,
            location_id=None,
            till="1",
            receipt_number=None,
            lines=(),
            bonus_to_spend=0,
            source="demo",
            historical=False,
        )
        if sale.at > now - LIVE:
            live.append(row)
        else:
            by_shop[sale.shop].append(row)
    for slug, rows in by_shop.items():
        for start in range(0, len(rows), BATCH):
            record_history(shops[slug], rows[start : start + BATCH])
    live.append(_just_now(shops[plan.shops[-2].slug if len(plan.shops) > 2 else plan.shops[0].slug], guest, plan, now))  # noqa: PLR2004
    free = {shops[shop.slug]: shop.confirmation == "none" for shop in plan.shops}
    for row in live:
        _ring_up(row, rng, now, may_spend=free[row.business_id])


def _regular(sales: list[rhythm.Sale], until: datetime) -> int:
    """The number of the member who went to most shops most often in the last four months."""
    seen: dict[int, list[str]] = defaultdict(list)
    for sale in sales:
        if sale.at > until - timedelta(days=120):
            seen[sale.who].append(sale.shop)
    return max(seen, key=lambda who: (len(set(seen[who])), len(seen[who]), -who), default=0)


def _just_now(shop: UUID, member: UUID, plan: Community, now: datetime) -> Sale:
    """A purchase of a quarter of an hour ago, so that the inbox has something to say."""
    amount = round(640 * plan.scale) or 6
    return Sale(
        business_id=shop,
        member_id=member,
        amount=amount * 10 ** money.currency(plan.currency).exponent,
        external_id="just-now",
        currency=plan.currency,
        occurred_at=now - timedelta(minutes=15),
        category=None,
        location_id=None,
        till="1",
        receipt_number=None,
        lines=(),
        bonus_to_spend=0,
        source="demo",
        historical=False,
    )


def _ring_up(row: Sale, rng: random.Random, now: datetime, *, may_spend: bool) -> None:
    from portal.wallets.queries import spendable

    spend = 0
    if may_spend and rng.random() < 0.2:  # noqa: PLR2004  a fifth pays in part with bonus
        spend = min(spendable(row.member_id, row.currency or ""), row.amount // 2)
    record_purchase(
        business_id=row.business_id,
        member_id=row.member_id,
        amount=row.amount,
        external_id=row.external_id,
        currency=row.currency,
        occurred_at=min(row.occurred_at or now, now),
        bonus_to_spend=spend,
        source="demo",
        till="1",
    )


def _members(plan: Community, rng: random.Random, joined: list[datetime]) -> list[UUID]:
    found = {
        row.email: row.id for row in db.session.execute(select(User.id, User.email).where(User.joined_via == "demo"))
    }
    made = []
    for n, at in enumerate(joined):
        who = names.neighbour(
            n, rng, domain=f"{plan.slug}.example", phone_prefix=plan.phone_prefix, russian=plan.russian
        )
        made.append(
            found.get(who.email)
            or register_member(
                name=who.name,
                email=who.email,
                phone=who.phone,
                locale=who.locale,
                joined_via="demo",
                joined_at=at,
                historical=True,
            )
        )
    return made
