"""One line of an import as a sale, or the reason why it is none (B1, B11, B13)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from flask_babel import gettext

from portal.identity import cards, contacts
from portal.imports.reading import Line
from portal.kernel.errors import PortalError
from portal.kernel.money import BIGGEST, currency, parse_amount

PLAIN = re.compile(r"([0-9]{1,15})(?:[.,]([0-9]{1,2}))?", re.ASCII)
ISO = re.compile(
    r"(\d{4})[-/](\d\d?)[-/](\d\d?)(?:[T ](\d\d?):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?\s*(Z|[+-]\d\d:?\d\d)?", re.ASCII
)
DOTTED = re.compile(r"(\d\d?)\.(\d\d?)\.(\d{4})(?: (\d\d?):(\d\d)(?::(\d\d))?)?", re.ASCII)
OLDEST = 1970
LONGEST_REF, LONGEST_ID = 120, 200
PHONE_DIGITS = 10  # a shorter number in the column “member” is the partner's own
AHEAD = timedelta(minutes=5)


class LineRejected(Exception):
    """Why a line is not taken, in words."""


@dataclass(frozen=True, slots=True)
class Buyer:
    """How a line names its member: the partner's own number, card, phone, e-mail; at least one is there."""

    ref: str = ""
    card: str = ""
    phone: str = ""
    email: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Sale:
    """A line that can be recorded."""

    line: int
    text: str
    external_id: str
    buyer: Buyer
    amount: int
    occurred_at: datetime
    category: str | None
    location: str
    till: str
    receipt_number: str | None


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the lines of one file for one business."""

    columns: Mapping[str, int]
    currency: str
    zone: str
    now: datetime
    locale: str = "en"

    def sale(self, line: Line) -> Sale:
        """The sale of a line. Raises `LineRejected`."""
        if line.broken:
            raise LineRejected(line.broken)
        last = max(self.columns.values())
        if len(line.cells) <= last:
            raise LineRejected(
                gettext("the line has %(found)s columns of %(wanted)s", found=len(line.cells), wanted=last + 1)
            )
        if "\ufffd" in line.text:
            raise LineRejected(gettext("the line is written in an unknown encoding"))
        cell = {name: line.cells[place].strip() for name, place in self.columns.items()}
        external_id = cell["external_id"]
        if not external_id:
            raise LineRejected(gettext("the number of the purchase is empty"))
        if len(external_id) > LONGEST_ID:
            raise LineRejected(gettext("the number of the purchase is too long"))
        if cell.get("currency", self.currency).upper() != self.currency:
            raise LineRejected(
                gettext(
                    "the currency is %(found)s, the business sells in %(wanted)s",
                    found=cell["currency"][:10],
                    wanted=self.currency,
                )
            )
        return Sale(
            line=line.number,
            text=line.text,
            external_id=external_id,
            buyer=buyer(cell),
            amount=self._amount(cell["amount"]),
            occurred_at=self._moment(cell["purchased_at"]),
            category=cell.get("category", "")[:60] or None,
            location=cell.get("location", ""),
            till=cell.get("till", "")[:60],
            receipt_number=cell.get("receipt_number", "")[:100] or None,
        )

    def _amount(self, text: str) -> int:
        exponent = currency(self.currency).exponent
        if (found := PLAIN.fullmatch(text)) and len(found[2] or "") <= exponent:
            minor = int(found[1]) * 10**exponent + int((found[2] or "").ljust(exponent, "0") or 0)
            if minor <= BIGGEST:
                return minor
        if text[:1] in {"-", "\u2212", "("} and text[1:2].isdigit():
            raise LineRejected(gettext("the amount is negative: refunds are not imported"))
        try:
            return parse_amount(text, self.currency, self.locale)
        except PortalError:
            raise LineRejected(gettext("the amount “%(typed)s” cannot be read", typed=text[:40])) from None

    def _moment(self, text: str) -> datetime:
        try:
            moment = _parsed(text, self.zone)
        except (ValueError, OverflowError):
            raise LineRejected(
                gettext("the date “%(typed)s” cannot be read: write 1997-01-31 or 31.01.1997", typed=text[:40])
            ) from None
        if moment > self.now + AHEAD:
            raise LineRejected(gettext("the date lies in the future"))
        return moment


@lru_cache(maxsize=4096)
def _parsed(text: str, zone: str) -> datetime:
    """The moment; a date alone is the start of that day in the tenant's zone. Raises ValueError."""
    offset = None
    if found := ISO.fullmatch(text):
        year, month, day, hour, minute, second, offset = found.groups()
    elif found := DOTTED.fullmatch(text):
        day, month, year, hour, minute, second = found.groups()
    else:
        raise ValueError(text)
    if int(year) < OLDEST:
        raise ValueError(text)
    local = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))  # noqa: DTZ001
    if offset:
        return datetime.fromisoformat(local.isoformat() + offset.replace("Z", "+00:00")).astimezone(UTC)
    return local.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def buyer(cell: Mapping[str, str]) -> Buyer:
    """Who bought: columns of their own are taken at their word, “member” by its form. Raises `LineRejected`."""
    given = {name: cell.get(name, "") for name in ("customer_id", "card", "phone", "email", "name")}
    if mixed := cell.get("member", ""):
        given[_form(mixed)] = given[_form(mixed)] or mixed
    card = ""
    if given["card"]:
        card = cards.valid_card(given["card"]) or ""
        if not card:
            raise LineRejected(gettext("“%(typed)s” is no card number of this community", typed=given["card"][:40]))
    made = Buyer(
        ref=given["customer_id"],
        card=card,
        phone=_phone(given["phone"]) if given["phone"] else "",
        email=_email(given["email"]) if given["email"] else "",
        name=given["name"][:200],
    )
    if not (made.ref or made.card or made.phone or made.email):
        raise LineRejected(gettext("nothing names the member"))
    if len(made.ref) > LONGEST_REF:
        raise LineRejected(gettext("the customer's number is too long"))
    return made


@lru_cache(maxsize=65536)
def _form(text: str) -> str:
    if "@" in text:
        return "email"
    if cards.valid_card(text):
        return "card"
    digits = sum(c.isdigit() for c in text)
    if contacts.looks_like_phone(text) and (text.startswith("+") or digits >= PHONE_DIGITS):
        return "phone"
    return "customer_id"


def _phone(text: str) -> str:
    try:
        return contacts.clean_phone(text)
    except PortalError:
        raise LineRejected(
            gettext(
                "“%(typed)s” is neither a card nor a telephone number; your own numbers go into a column customer_id",
                typed=text[:40],
            )
        ) from None


def _email(text: str) -> str:
    try:
        return contacts.clean_email(text)
    except PortalError:
        raise LineRejected(gettext("“%(typed)s” is no e-mail address", typed=text[:60])) from None
