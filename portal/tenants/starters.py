"""What a new tenant begins with: tiers, earning, a first business, texts. Chosen by name, in the room and on the command line."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flask_babel import LazyString, lazy_gettext

Words = Mapping[str, str]
MODULES = ("loyalty", "till", "imports", "messages")
MODULE_WORDS = {  # what each is called, and what it means to switch it off
    "loyalty": (
        lazy_gettext("Status tiers"),
        lazy_gettext("Off: the ladder cannot be seen or changed; it goes on counting."),
    ),
    "till": (lazy_gettext("Till"), lazy_gettext("Off: nobody sells in the browser; purchases come by the API alone.")),
    "imports": (lazy_gettext("Imports"), lazy_gettext("Off: shops cannot bring files with past sales.")),
    "messages": (lazy_gettext("Inbox"), lazy_gettext("Off: no inbox and no bell; mails go on as members chose.")),
}


@dataclass(frozen=True, slots=True)
class Tier:
    """A rung: `from_` in whole units of the currency, `rate` is what a purchase earns."""

    code: str
    name: Words
    from_: int
    rate: Fraction


@dataclass(frozen=True, slots=True)
class Starter:
    """A set to begin with; `business` is the category of the first business (None: none is opened)."""

    code: str
    label: LazyString
    about: LazyString
    tiers: tuple[Tier, ...]
    bonus_expiry: str
    period: str
    business: str | None
    welcome: Words
    modules: tuple[str, ...] = MODULES


def _tier(code: str, en: str, ru: str, from_: int, per_cent: int) -> Tier:
    return Tier(code, {"en": en, "ru": ru}, from_, Fraction(per_cent, 100))


LADDER = (
    _tier("bronze", "Bronze", "Бронза", 0, 3),
    _tier("silver", "Silver", "Серебро", 10_000, 5),
    _tier("gold", "Gold", "Золото", 40_000, 7),
    _tier("platinum", "Platinum", "Платина", 100_000, 10),
)
STARTERS = {
    one.code: one
    for one in (
        Starter(
            "shops",
            lazy_gettext("Café and shops"),
            lazy_gettext(
                "Bonus for every purchase, three tiers by what is spent in a year, bonus lives twelve months."
            ),
            (
                _tier("guest", "Guest", "Гость", 0, 3),
                _tier("regular", "Regular", "Постоянный гость", 200, 5),
                _tier("friend", "Friend of the house", "Друг дома", 1_000, 8),
            ),
            "12M",
            "YEAR",
            "cafe",
            {
                "en": "Show your card when you pay: part of every bill comes back to you as bonus.",
                "ru": "Показывайте карту при оплате: часть каждого счёта возвращается вам бонусами.",
            },
        ),
        Starter(
            "club",
            lazy_gettext("Club"),
            lazy_gettext("Two tiers by the year, generous from the first day, bonus never burns."),
            (
                _tier("member", "Member", "Участник", 0, 5),
                _tier("patron", "Patron", "Меценат", 2_000, 10),
            ),
            "unlimited",
            "YEAR",
            "club",
            {
                "en": "Welcome to the club. Your card opens the benefits of all its partners.",
                "ru": "Добро пожаловать в клуб. Ваша карта открывает привилегии у всех партнёров.",
            },
        ),
        Starter(
            "school",
            lazy_gettext("School"),
            lazy_gettext(
                "One tier for everybody, a small bonus for each payment, bonus lives through the school year."
            ),
            (_tier("student", "Student", "Ученик", 0, 2),),
            "12M",
            "YEAR",
            "education",
            {
                "en": "Welcome. Each paid course brings bonus for the next one.",
                "ru": "Добро пожаловать. Каждый оплаченный курс приносит бонусы на следующий.",
            },
        ),
        Starter(
            "blank",
            lazy_gettext("Blank"),
            lazy_gettext("Four usual tiers and nothing else: no business, no texts."),
            LADDER,
            "unlimited",
            "YEAR",
            None,
            {},
        ),
    )
}


def named(code: str) -> Starter:
    """The starter of this code. Raises KeyError."""
    return STARTERS[code]


def settings_of(starter: Starter, locales: tuple[str, ...]) -> dict[str, Any]:
    """What `tenants.settings` begins with, in the languages of the tenant."""
    welcome = {locale: starter.welcome[locale] for locale in locales if locale in starter.welcome}
    return {"texts": {"welcome": welcome}} if welcome else {}
