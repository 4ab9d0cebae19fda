"""A list of people to invite, as CSV: read and judged line by line, so that nothing is sent before it was looked at."""

from dataclasses import dataclass
from typing import IO, Any
from uuid import UUID

from flask_babel import gettext
from sqlalchemy import select

from portal.extensions import db
from portal.identity import cards, contacts, labels, queries
from portal.identity.models import CustomRole
from portal.imports.columns import plain
from portal.imports.reading import FileUnreadable, lines_of, table, text_of, unpacked
from portal.invitations.service import Guest, Offer, address, judge
from portal.kernel.authz import BUSINESS_ROLES, TENANT_ROLES
from portal.kernel.errors import PortalError
from portal.partners.models import BusinessLocation
from portal.partners.queries import open_businesses
from portal.web.locale import language_names, offered

MOST = 500  # lines
LARGEST = 100_000  # characters
COLUMNS: dict[str, tuple[str, ...]] = {
    "contact": (
        "contact",
        "email",
        "e_mail",
        "mail",
        "phone",
        "phone_number",
        "почта",
        "эл_почта",
        "телефон",
        "контакт",
    ),
    "name": ("name", "full_name", "имя", "фио"),
    "language": ("language", "lang", "locale", "язык"),
    "role": ("role", "роль", "должность"),
    "business": ("business", "shop", "бизнес", "магазин"),
    "place": ("place", "location", "точка", "место"),
    "card": ("card", "card_number", "карта", "номер_карты"),
}
_known = {spelling: column for column, spellings in COLUMNS.items() for spelling in spellings}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the list: what it says, and either whom it invites or why it does not."""

    number: int
    name: str
    contact: str
    gives: str
    guest: Guest | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Here:
    """What is known of the tenant: its businesses, their places and its own roles, by their names."""

    shops: dict[str, Any]
    places: dict[tuple[UUID, str], UUID]
    own: dict[str, Any]
    only: UUID | None


def read(content: str, *, business_id: UUID | None = None) -> list[Line]:
    """Every line of the list with what is to become of it; `business_id` is the one business it may name.

    Raises `imports.reading.FileUnreadable` for what is no such list or too long.
    """
    rows = table(lines_of([content.encode()]))
    heading = next(rows, None)
    found: dict[str, list[int]] = {}
    for place, title in enumerate(heading.cells if heading else ()):
        if column := _known.get(plain(title)):
            found.setdefault(column, []).append(place)
    if "contact" not in found:
        raise FileUnreadable(
            gettext("The first line must name the columns. Not found: %(columns)s.", columns="email, phone")
        )
    people = [row for row in rows if row.broken or any(cell.strip() for cell in row.cells)]
    if len(people) > MOST:
        raise FileUnreadable(
            gettext("The list has %(num)s lines; at most %(most)s go at once.", num=len(people), most=MOST)
        )
    here, seen, lines = _here(business_id), set[Any](), list[Line]()
    for row in people:
        cells = {
            column: next((row.cells[n].strip() for n in places if n < len(row.cells) and row.cells[n].strip()), "")
            for column, places in found.items()
        }
        lines.append(_judged(row, cells, here, seen))
    return lines


def text_in(stream: IO[bytes]) -> str:
    """The text of a file in any of the encodings that imports take. Raises `FileUnreadable` when it is too long."""
    lines, size = list[str](), 0
    for line in lines_of(unpacked(stream)):
        lines.append(text_of(line).removeprefix("\ufeff"))
        size += len(lines[-1]) + 1
        if size > LARGEST:
            raise FileUnreadable(gettext("The file is too long: at most %(most)s people go at once.", most=MOST))
    return "\n".join(lines)


def _judged(row: Any, cells: dict[str, str], here: _Here, seen: set[Any]) -> Line:
    name, contact = cells.get("name", ""), cells.get("contact", "")
    if row.broken:
        return Line(row.number, "", row.text[:80], "", None, row.broken)
    gives = " · ".join(part for part in (cells.get("role"), cells.get("business"), cells.get("place")) if part)
    try:
        guest = _guest(cells, here)
        target, _ = address(guest.contact)
        judge(guest, target)
        if guest.name:
            contacts.clean_name(guest.name)
        if (target, guest.offer) in seen:
            raise PortalError(gettext("stands in the list twice"))
        seen.add((target, guest.offer))
    except PortalError as refused:
        return Line(row.number, name, contact, gives, None, refused.message)
    offer = guest.offer
    if offer is not None and offer.role is not None:
        gives = " · ".join(part for part in (labels.role(offer.role), *gives.split(" · ")[1:]) if part)
    return Line(row.number, name, target, gives, guest)


def _guest(cells: dict[str, str], here: _Here) -> Guest:
    member_id = None
    if typed := cells.get("card"):
        card = cards.valid_card(typed)
        found = queries.find_member(card) if card else None
        if found is None:
            raise PortalError(gettext("nobody has this card"))
        member_id = found.id
    if not cells.get("contact"):
        raise PortalError(gettext("no e-mail and no phone"))
    language = cells.get("language", "").casefold()
    language = next((code for code in offered() if language in {code.casefold(), *language_names(code)}), language)
    if language and language not in offered():
        raise PortalError(gettext("a language that is not spoken here"))
    return Guest(cells["contact"], cells.get("name", ""), language or None, _offer(cells, here), member_id)


def _offer(cells: dict[str, str], here: _Here) -> Offer | None:
    role, shop, place = (cells.get(name, "").casefold() for name in ("role", "business", "place"))
    if not role or role in {"member", labels.role("member").casefold()}:
        if here.only is not None:
            raise PortalError(gettext("no role: cashier, manager, owner or one of the circle’s own"))
        return None
    business_id = here.shops.get(shop) if shop else here.only
    if shop and (business_id is None or here.only not in {None, business_id}):
        raise PortalError(gettext("no such business"))
    location_id = here.places.get((business_id, place)) if business_id and place else None
    if place and location_id is None:
        raise PortalError(gettext("no such place"))
    names = {name: name for name in (*BUSINESS_ROLES, *TENANT_ROLES)}
    names |= {labels.role(name).casefold(): name for name in names}
    if role in names:
        return Offer(role=names[role], business_id=business_id, location_id=location_id)
    if role in here.own:
        return Offer(role_id=here.own[role], business_id=business_id, location_id=location_id)
    raise PortalError(gettext("no such role"))


def _here(business_id: UUID | None) -> _Here:
    shops = {name.casefold(): shop.id for shop in open_businesses() for name in (shop.slug, shop.name)}
    rows = db.session.execute(
        select(BusinessLocation.id, BusinessLocation.business_id, BusinessLocation.name).where(
            BusinessLocation.archived_at.is_(None)
        )
    )
    own = db.session.execute(select(CustomRole.id, CustomRole.name_i18n, CustomRole.reach))
    return _Here(
        shops,
        {(row.business_id, row.name.casefold()): row.id for row in rows},
        {
            name.casefold(): row.id
            for row in own
            if business_id is None or row.reach == "business"
            for name in row.name_i18n.values()
        },
        business_id,
    )
