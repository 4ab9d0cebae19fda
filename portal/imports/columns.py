"""The headings that an import understands, in English and Russian, however they are spelled."""

import re
from collections.abc import Sequence

from flask_babel import gettext

from portal.imports.reading import FileUnreadable

NAMES: dict[str, tuple[str, ...]] = {
    "external_id": ("external_id", "id", "order_id", "purchase_id", "receipt_id", "transaction_id", "номер_покупки", "номер_чека", "чек", "ид"),
    "member": ("member", "member_ref", "customer", "client", "buyer", "покупатель", "клиент", "участник"),
    "customer_id": ("customer_id", "client_id", "member_id", "код_клиента", "номер_клиента"),
    "card": ("card", "card_number", "loyalty_card", "карта", "номер_карты"),
    "phone": ("phone", "phone_number", "mobile", "телефон"),
    "email": ("email", "e_mail", "mail", "почта", "эл_почта"),
    "name": ("name", "member_name", "customer_name", "full_name", "имя", "фио"),
    "purchased_at": ("purchased_at", "occurred_at", "date", "datetime", "purchase_date", "sold_at", "created_at", "дата", "дата_покупки", "время"),
    "amount": ("amount", "total", "sum", "amount_paid", "сумма", "итого"),
    "currency": ("currency", "валюта"),
    "category": ("category", "категория"),
    "location": ("location", "shop", "store", "branch", "точка", "магазин", "адрес"),
    "till": ("till", "register", "pos", "касса"),
    "receipt_number": ("receipt_number", "receipt", "receipt_no", "номер_документа"),
}  # fmt: skip
PEOPLE = ("customer_id", "card", "phone", "email", "member")
REQUIRED = ("external_id", "purchased_at", "amount")
_known = {spelling: column for column, spellings in NAMES.items() for spelling in spellings}


def columns_of(heading: Sequence[str]) -> dict[str, int]:
    """Where each known column stands; unknown ones are left alone. Raises `FileUnreadable` with what is missing."""
    found: dict[str, int] = {}
    for place, title in enumerate(heading):
        column = _known.get(plain(title))
        if column and column not in found:
            found[column] = place
    missing = [name for name in REQUIRED if name not in found]
    if not any(name in found for name in PEOPLE):
        missing.append("member")
    if missing:
        raise FileUnreadable(
            gettext("The first line must name the columns. Not found: %(columns)s.", columns=", ".join(missing)),
            missing=missing,
        )
    return found


def plain(title: str) -> str:
    """A heading as the table above writes it."""
    return re.sub(r"\W+", "_", title.strip().casefold().replace("ё", "е")).strip("_")
