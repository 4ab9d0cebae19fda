"""What is decided about a purchase before a row is written: whether it may be, what it earns, where it lifts the member."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from uuid import UUID

from flask_babel import gettext

from portal.kernel.errors import NotFound, PortalError
from portal.kernel.model import new_id
from portal.loyalty import durations, moves
from portal.loyalty.earn import Earning, earning
from portal.loyalty.ladder import Tier
from portal.purchases.rows import Found
from portal.purchases.wanted import Sale
from portal.wallets.errors import CurrencyMismatch

BACKDATE = timedelta(hours=72)
AHEAD = timedelta(minutes=5)


class MemberSuspended(PortalError):
    """The member's account is stopped; the message says why."""

    code, status = "member.suspended", 409


class TimeInvalid(PortalError):
    """The purchase lies too far back or ahead (G11)."""

    code = "purchase.time_out_of_range"


class BonusShareExceeded(PortalError):
    """More bonus than this shop takes of a bill; `most` is the limit in minor units."""

    code = "purchase.bonus_share_exceeded"


@dataclass(frozen=True, slots=True)
class Decision:
    """A purchase that may be: its id, its moment, its earning by `tier`, and the member's step."""

    purchase_id: UUID
    occurred_at: datetime
    earned: Earning
    tier: Tier | None
    expires_at: datetime | None
    move: moves.Move | None


def decide(sale: Sale, found: Found, now: datetime) -> Decision:
    """Decide, purely from what was read. Raises `MemberSuspended`, `NotFound`, `CurrencyMismatch`, `TimeInvalid`,
    `BonusShareExceeded`.
    """
    moment = (sale.occurred_at or now).astimezone(UTC)
    _check(sale, found, moment, now)
    place, spend = found.position, sale.bonus_to_spend
    if place is None:
        nothing = earning(sale.amount, Fraction(0), paid_with_bonus=spend, no_earn=sale.no_earn)
        return Decision(new_id(), moment, nothing, None, None, None)
    program = place.program
    counts = sale.amount - spend if program.currency == found.currency else 0
    move = moves.counting(place, sale.member_id, counts, moment, now)
    tier = move.earning_tier
    earned = earning(sale.amount, tier.rate, paid_with_bonus=spend, no_earn=sale.no_earn)
    expires_at = _lasts_until(program.bonus_expiry, moment, program.rules.calendar.zone)
    return Decision(new_id(), moment, earned, tier, expires_at, move)


def bonus_limit(amount: int, max_bonus_share: int) -> int:
    """The most bonus that a shop takes of a bill, in minor units; rounded down."""
    return amount * max_bonus_share // 100


@lru_cache(maxsize=4096)
def _lasts_until(duration: str, moment: datetime, zone: str) -> datetime | None:
    """An import has the same days again and again."""
    return durations.parse(duration).after(moment, zone)


def _check(sale: Sale, found: Found, moment: datetime, now: datetime) -> None:
    if found.suspended:
        why = found.suspended_reason
        raise MemberSuspended(gettext("This account is stopped: %(reason)s", reason=why or "—"), reason=why)
    if found.archived_at is not None:
        raise NotFound(gettext("This shop is closed."))
    if sale.currency not in {None, found.currency}:
        raise CurrencyMismatch(
            gettext("This shop sells in %(currency)s.", currency=found.currency), currency=found.currency
        )
    if sale.location_id is not None and not found.location_is_own:
        raise NotFound(gettext("This shop has no such place."))
    if moment > now + AHEAD:
        raise TimeInvalid(gettext("The purchase lies in the future."), field="occurred_at")
    if moment < now - BACKDATE and not sale.historical:
        raise TimeInvalid(gettext("The purchase is more than 72 hours old."), field="occurred_at")
    most, share = bonus_limit(sale.amount, found.max_bonus_share), found.max_bonus_share
    if sale.bonus_to_spend > most:
        raise BonusShareExceeded(
            gettext("At most %(share)s%% of the bill can be paid with bonus here.", share=share), most=most
        )
