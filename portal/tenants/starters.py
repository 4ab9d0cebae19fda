"""What a new tenant begins with: tiers, earning, a first business, roles, texts. Chosen by name, in the room and on the command line."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flask_babel import LazyString, lazy_gettext

from portal.kernel.authz import CASHIER, EDITOR, P
from portal.web.locale import spoken_in

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
    name: LazyString
    from_: int
    rate: Fraction


@dataclass(frozen=True, slots=True)
class Role:
    """A role of the tenant's own, over the tenant or at a business; nobody has it before an admin gives it."""

    name: LazyString
    reach: str
    permissions: frozenset[P]


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
    welcome: LazyString | None
    roles: tuple[Role, ...] = ()
    modules: tuple[str, ...] = MODULES


def _tier(code: str, name: LazyString, from_: int, per_cent: int) -> Tier:
    return Tier(code, name, from_, Fraction(per_cent, 100))


_BOOKS = EDITOR | {P.MEMBERS_READ, P.WALLETS_READ, P.AUDIT_READ}
LADDER = (
    _tier("bronze", lazy_gettext("Bronze"), 0, 3),
    _tier("silver", lazy_gettext("Silver"), 10_000, 5),
    _tier("gold", lazy_gettext("Gold"), 40_000, 7),
    _tier("platinum", lazy_gettext("Platinum"), 100_000, 10),
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
                _tier("guest", lazy_gettext("Guest"), 0, 3),
                _tier("regular", lazy_gettext("Regular"), 200, 5),
                _tier("friend", lazy_gettext("Friend of the house"), 1_000, 8),
            ),
            "12M",
            "YEAR",
            "cafe",
            lazy_gettext("Show your card when you pay: part of every bill comes back to you as bonus."),
            (
                Role(lazy_gettext("Senior cashier"), "business", CASHIER | {P.DESK_READ, P.PURCHASES_READ}),
                Role(lazy_gettext("Bookkeeper"), "tenant", _BOOKS),
            ),
        ),
        Starter(
            "club",
            lazy_gettext("Club"),
            lazy_gettext("Two tiers by the year, generous from the first day, bonus never burns."),
            (
                _tier("member", lazy_gettext("Member"), 0, 5),
                _tier("patron", lazy_gettext("Patron"), 2_000, 10),
            ),
            "unlimited",
            "YEAR",
            "club",
            lazy_gettext("Welcome to the club. Your card opens the benefits of all its partners."),
            (
                Role(lazy_gettext("Host"), "business", frozenset({P.MEMBERS_FIND, P.MEMBERS_CREATE, P.DESK_READ})),
                Role(lazy_gettext("Club manager"), "tenant", EDITOR | {P.MEMBERS_READ, P.MEMBERS_CREATE, P.KYC_READ}),
            ),
        ),
        Starter(
            "school",
            lazy_gettext("School"),
            lazy_gettext(
                "One tier for everybody, a small bonus for each payment, bonus lives through the school year."
            ),
            (_tier("student", lazy_gettext("Student"), 0, 2),),
            "12M",
            "YEAR",
            "education",
            lazy_gettext("Welcome. Each paid course brings bonus for the next one."),
            (
                Role(lazy_gettext("Secretary"), "business", CASHIER | {P.DESK_READ, P.PURCHASES_READ}),
                Role(lazy_gettext("Bookkeeper"), "tenant", _BOOKS),
            ),
        ),
        Starter(
            "blank",
            lazy_gettext("Blank"),
            lazy_gettext("Four usual tiers and nothing else: no business, no texts."),
            LADDER,
            "unlimited",
            "YEAR",
            None,
            None,
        ),
    )
}


def named(code: str) -> Starter:
    """The starter of this code. Raises KeyError."""
    return STARTERS[code]


def settings_of(starter: Starter, locales: tuple[str, ...]) -> dict[str, Any]:
    """What `tenants.settings` begins with, in the languages of the tenant."""
    if starter.welcome is None:
        return {}
    return {"texts": {"welcome": spoken_in(starter.welcome, locales)}, "drafts": "open"}
