"""What a purchase earns: one base, one exact rate, one rounding, and the formula that says so (LOY-7). Pure."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from portal.kernel import money


@dataclass(frozen=True, slots=True)
class Earning:
    """Bonus in minor units and how it came about."""

    base: int
    rate: Fraction
    bonus: int
    amount: int
    paid_with_bonus: int
    no_earn: int

    def trace(self, currency: str, *, tier: str, tier_name: dict[str, str], expires_at: str | None) -> dict[str, Any]:
        """The figures for "Why?": every step with its amount, as stored beside the purchase."""
        return {
            "currency": currency,
            "amount": self.amount,
            "paid_with_bonus": self.paid_with_bonus,
            "no_earn": self.no_earn,
            "base": self.base,
            "rate": [self.rate.numerator, self.rate.denominator],
            "bonus": self.bonus,
            "tier": tier,
            "tier_name": tier_name,
            "expires_at": expires_at,
            "formula": f"floor(({self.amount} - {self.paid_with_bonus} - {self.no_earn}) * {self.rate})",
        }


def earning(amount: int, rate: Fraction, *, paid_with_bonus: int = 0, no_earn: int = 0) -> Earning:
    """The earning of a whole purchase, never of a line: what was paid in money for goods that earn, times the rate.

    Rounded down. `no_earn` is the sum of the lines that bring nothing.
    """
    base = max(0, amount - paid_with_bonus - no_earn)
    return Earning(base, rate, money.earned(base, rate), amount, paid_with_bonus, no_earn)


def due_back(earned: int, refunded: int, eligible: int, already: int, *, whole: bool) -> int:
    """How much of `earned` this refund reverses (LOY-6): in any number of steps a whole refund reverses all of it.

    `refunded` counts all refunds so far, this one included, out of `eligible`; `already` is what earlier ones reversed.
    """
    if whole or eligible <= 0:
        return earned - already if whole else 0
    return max(0, earned * min(refunded, eligible) // eligible - already)
