"""What a member most wants to know: what is missing to the next tier, and what this pace leads to (LOY-12)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from portal.kernel import clock
from portal.loyalty.ladder import Tier
from portal.loyalty.queries import Position, position

PACE_FROM = 12  # a pace is read over at least a twelfth of the window, so that 2 January promises nothing wild


@dataclass(frozen=True, slots=True)
class Progress:
    """Amounts are minor units of `currency`. `share` of the way to the next tier is 0 to 1, 1 at the top."""

    tier: Tier
    next_tier: Tier | None
    qualifying: int
    to_next: int
    currency: str
    window_start: datetime
    window_end: datetime
    tier_expires_at: datetime | None
    locked_until: datetime | None
    projected: int
    projected_tier: Tier
    projected_share: float
    to_keep: int
    keep_by: datetime | None
    share: float

    @property
    def trace(self) -> list[dict[str, Any]]:
        """The steps for "Why?", in reading order; amounts in minor units."""
        steps: list[dict[str, Any]] = [
            {"what": "qualifying", "amount": self.qualifying, "since": self.window_start, "until": self.window_end},
            {"what": "tier", "tier": self.tier, "threshold": self.tier.threshold, "until": self.tier_expires_at},
        ]
        if self.next_tier:
            steps.append(
                {"what": "next", "tier": self.next_tier, "threshold": self.next_tier.threshold, "amount": self.to_next}
            )
        if self.to_keep:
            steps.append({"what": "keep", "tier": self.tier, "amount": self.to_keep, "until": self.keep_by})
        steps.append({"what": "pace", "amount": self.projected, "tier": self.projected_tier, "until": self.window_end})
        return steps


def progress(member_id: UUID) -> Progress | None:
    """A member's way to the next tier; None where the tenant has no program."""
    place = position(member_id)
    return reckon(place, clock.now()) if place else None


def reckon(place: Position, now: datetime) -> Progress:
    """The figures of `Progress` from a place and a moment. Pure."""
    rules = place.program.rules
    standing = place.at(now)
    start, end = rules.calendar.start(now), rules.calendar.end(now)
    qualifying = place.windows.get(start, 0)
    above = next((tier for tier in rules.tiers if tier.rank == standing.tier.rank + 1), None)
    length = int((end - start).total_seconds())
    elapsed = max(int((now - start).total_seconds()), length // PACE_FROM)
    projected = qualifying * length // elapsed
    keeps = standing.until is not None and rules.valid_until(start) <= standing.until
    missing = max(0, standing.tier.threshold - qualifying)
    return Progress(
        tier=standing.tier,
        next_tier=above,
        qualifying=qualifying,
        to_next=max(0, above.threshold - qualifying) if above else 0,
        currency=place.program.currency,
        window_start=start,
        window_end=end,
        tier_expires_at=standing.until,
        locked_until=standing.locked_until if standing.locked(now) else None,
        projected=projected,
        projected_tier=rules.reached(projected),
        projected_share=_share(projected, above),
        to_keep=0 if keeps or standing.until is None else missing,
        keep_by=end if missing and standing.until and not keeps else None,
        share=_share(qualifying, above),
    )


def _share(qualifying: int, above: Tier | None) -> float:
    return min(1.0, qualifying / above.threshold) if above else 1.0
