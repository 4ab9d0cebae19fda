"""What staff of the demo's first community has on its desk: verifications, own roles, notes, birthdays, two accounts of one person.

Each part is left alone where it is there already, so that a killed start goes on.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from io import BytesIO
from uuid import UUID

from flask import g
from PIL import Image, ImageDraw, ImageFont
from sqlalchemy import func, select, update

from portal.demo.people import LATIN
from portal.extensions import db
from portal.identity import notes, roles
from portal.identity.models import CustomRole, MemberNote, User
from portal.identity.service import register_member
from portal.identity.sessions import acting_as
from portal.kernel import clock
from portal.kernel.authz import Permission as P
from portal.kernel.commands import command, journal
from portal.kyc import service as kyc
from portal.kyc.models import KycSubmission
from portal.partners.models import BusinessLocation
from portal.partners.service import add_location
from portal.profiles import service as profiles
from portal.profiles.models import Profile
from portal.purchases.models import Purchase
from portal.purchases.service import record_purchase
from portal.tenants import hosts

NOTES = (
    "Позвонила, попросила не звонить до полудня.",
    "Потерял карту, выдали новую у стойки. Старая больше не читается.",
    "Просит чек на компанию: ИНН в письме от 3 числа.",
    "Аллергия на орехи, предупреждать при заказе торта.",
    "Speaks English only; answer in English, please.",
)
ROLES = (
    (
        {"ru": "Старший смены", "en": "Shift lead"},
        (P.MEMBERS_FIND, P.MEMBERS_CREATE, P.PURCHASES_CREATE, P.PURCHASES_REFUND, P.PURCHASES_READ),
    ),
    ({"ru": "Помощник на кассе", "en": "Till helper"}, (P.MEMBERS_FIND, P.PURCHASES_CREATE)),
)
SECOND_PLACE = "Вокзальная, 3"
WIDTH, HEIGHT = 1000, 640  # pixels of a drawn document


@dataclass(frozen=True, slots=True)
class Try:
    """One submission: whose by number, `days` ago, what support said (waits, once, verified, rejected, resubmit)."""

    who: int
    days: float
    said: str
    kind: str = "passport"
    level: str = "basic"
    reasons: tuple[str, ...] = ()
    word: str = ""


TRIES = (
    Try(0, 40, "verified"),
    Try(1, 26, "verified", "id_card", "full"),
    Try(2, 12, "rejected", "driving_licence", reasons=("expired",), word="Права истекли в мае, пришлите паспорт."),
    Try(3, 6, "resubmit", reasons=("unreadable",), word="Снимите без вспышки: номер не читается."),
    Try(4, 2.2, "once", "id_card", "full"),
    Try(3, 1.1, "waits"),
    Try(5, 0.7, "waits", "residence_permit"),
    Try(6, 0.1, "waits", "passport", "full"),
)


def fill(shops: dict[str, UUID], staff: dict[str, UUID], shop: str) -> None:
    """All of it, for `shop` where it is about a business; `staff` by handle. Call it inside the tenant."""
    plain = select(User.id).where(User.joined_via == "demo", User.id.not_in(staff.values()), User.archived_at.is_(None))
    members = [staff["alice"], *db.session.scalars(plain.order_by(User.joined_at, User.id).limit(24))]
    _verifications(members, support=staff["sofia"], admin=staff["olga"])
    _own_roles(shops[shop], members[10:14], admin=staff["olga"])
    _notes(members, (staff["sofia"], staff["olga"]))
    _birthdays(members)
    _one_person(members[7], shops[shop])


def _verifications(members: Sequence[UUID], *, support: UUID, admin: UUID) -> None:
    if db.session.scalar(select(KycSubmission.id).limit(1)) is None:
        with acting_as(admin, "member"):
            kyc.set_rules({"enabled": True, "four_eyes": True, "gates": {"profile.public": {"level": "basic"}}})
    hosts.forget()
    g.tenant = hosts.tenant_by_id(g.tenant.id)
    for n in range(_count(KycSubmission), len(TRIES)):
        it = TRIES[n]
        member = db.session.scalars(select(User).where(User.id == members[it.who])).one()
        born = date(1970 + 5 * it.who, 1 + it.who, 9 + it.who)
        number = f"{45 + it.who} {10 + it.who} {100_000 + 7_919 * (it.who + 1)}"
        pages = ("front", "selfie", "address") if it.level == "full" else ("front",)
        with acting_as(member.id, "member"):
            made = kyc.submit(
                member.id,
                level=it.level,
                legal_name=member.name,
                born_on=born,
                country="RU",
                document_kind=it.kind,
                document_number=number,
                documents={page: _specimen(page, it.kind, member.name, born, number) for page in pages},
            )
        if it.said in {"verified", "once"}:
            with acting_as(support, "member"):
                kyc.approve(made, support)
        if it.said == "verified":
            with acting_as(admin, "member"):
                kyc.approve(made, admin)
        if it.reasons:
            with acting_as(support, "member"):
                again = it.said == "resubmit"
                kyc.reject(made, support, reasons=list(it.reasons), note=it.word, again=again)
        _earlier(made, timedelta(days=it.days))


@command("demo.earlier")
def _earlier(submission_id: UUID, ago: timedelta) -> None:
    """As if it had been sent and decided then; it is no act of anybody and leaves no entry."""
    journal().unchanged()
    row = KycSubmission
    sooner = min(ago, timedelta(hours=5))
    moved = {
        row.submitted_at: row.submitted_at - ago,
        row.first_approved_at: row.first_approved_at - ago + sooner,
        row.decided_at: row.decided_at - ago + sooner,
    }
    db.session.execute(update(row).where(row.id == submission_id).values(moved))


def _own_roles(shop: UUID, workers: Sequence[UUID], *, admin: UUID) -> None:
    if _count(CustomRole):
        return
    if db.session.scalar(select(BusinessLocation.id).where(BusinessLocation.name == SECOND_PLACE)) is None:
        add_location(shop, name=SECOND_PLACE, address=SECOND_PLACE)
    mine = select(BusinessLocation.id).where(BusinessLocation.business_id == shop).order_by(BusinessLocation.id)
    places = list(db.session.scalars(mine))
    with acting_as(admin, "member"):
        made = [roles.create_role(name, "business", allowed) for name, allowed in ROLES]
        for n, worker in enumerate(workers):
            roles.assign(made[n % 2], worker, shop, location_id=places[n // 2 % len(places)])


def _notes(members: Sequence[UUID], authors: Sequence[UUID]) -> None:
    for n in range(_count(MemberNote), len(NOTES)):
        author = authors[n % len(authors)]
        with acting_as(author, "member"):
            notes.write(members[n], author, NOTES[n])


def _birthdays(members: Sequence[UUID]) -> None:
    """A third of them within this week; every second one lets shops know."""
    if _count(Profile):
        return
    rng = random.Random(len(members))  # noqa: S311  a world to look at, not a secret
    today = clock.now().date()
    for n, member_id in enumerate(members[:18]):
        day = today + timedelta(days=n // 3 if n % 3 == 0 else rng.randrange(10, 350))
        name = db.session.scalar(select(User.name).where(User.id == member_id)) or ""
        first, _, last = name.partition(" ")
        with acting_as(member_id, "member"):
            profiles.edit_profile(
                member_id,
                first_name=first,
                last_name=last,
                display_name="",
                about="",
                born_on=date(rng.randrange(1962, 2004), day.month, min(day.day, 28)),
                birthday_shared=n % 2 == 0,
                handle=None,
                public=False,
                shows=["avatar"],
            )


def _one_person(member_id: UUID, shop: UUID) -> None:
    """Somebody who was enrolled at a till though they had an account: the same name and mailbox, a purchase of their own."""
    member = db.session.scalars(select(User).where(User.id == member_id)).one()
    mailbox, _, host = (member.email or "").partition("@")
    twin = f"{mailbox}+karta@{host}"
    found = db.session.scalar(select(User.id).where(User.email == twin))
    found = found or register_member(name=member.name, email=twin, locale=member.locale, joined_via="till")
    if db.session.scalar(select(Purchase.id).where(Purchase.member_id == found).limit(1)) is None:
        record_purchase(business_id=shop, member_id=found, amount=184_000, external_id="twin", source="demo", till="1")


def _specimen(page: str, kind: str, name: str, born: date, number: str) -> BytesIO:
    """A drawn document that nobody can take for a real one."""
    latin = "".join(LATIN.get(c, c) for c in name.casefold()).upper()
    picture = Image.new("RGB", (WIDTH, HEIGHT), "#dfe8e2" if page == "front" else "#e9e2d6")
    draw = ImageDraw.Draw(picture)
    draw.rounded_rectangle((24, 24, WIDTH - 24, HEIGHT - 24), 28, outline="#6d8a7a", width=6)
    draw.text((60, 56), "SPECIMEN", font=ImageFont.load_default(54), fill="#a33a2c")
    draw.text((60, 124), kind.replace("_", " ").upper(), font=ImageFont.load_default(30), fill="#4a5a52")
    draw.rounded_rectangle((60, 190, 300, 500), 14, fill="#b9c7bf")
    draw.ellipse((125, 235, 235, 345), fill="#8fa398")
    draw.pieslice((90, 370, 270, 590), 180, 360, fill="#8fa398")
    lines = (latin, f"{born:%d.%m.%Y}", number) if page != "address" else (latin, "Sadovaya 4, 12", "Moscow 101000")
    for n, line in enumerate(lines):
        draw.text((350, 210 + 90 * n), line, font=ImageFont.load_default(44), fill="#26312c")
    draw.text((60, 540), f"{page.upper()} <<<<<< DEMO <<<<<<", font=ImageFont.load_default(36), fill="#6d8a7a")
    made = BytesIO()
    picture.save(made, "JPEG", quality=85)
    made.seek(0)
    return made


def _count(model: type) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0
