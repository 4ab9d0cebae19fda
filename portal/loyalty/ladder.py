"""How a member climbs and comes down (LOY-10, LOY-11). Pure: figures in, standing out; nothing is read or written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from uuid import UUID

from portal.kernel.model import I18n
from portal.loyalty.windows import Calendar

Progress = Mapping[datetime, int]  # window start → what counts in that window, minor units


@dataclass(frozen=True, slots=True)
class Tier:
    """A step of the ladder: reached at `threshold`, `[threshold, next threshold)`."""

    id: UUID
    code: str
    name_i18n: I18n
    rank: int
    threshold: int
    rate: Fraction


@dataclass(frozen=True, slots=True)
class Rules:
    """The program as the ladder needs it; `tiers` go up."""

    tiers: Sequence[Tier]
    calendar: Calendar
    end_rule: str
    downgrade: str

    def reached(self, qualifying: int) -> Tier:
        """The highest tier whose threshold is met."""
        return next(tier for tier in reversed(self.tiers) if tier.threshold <= qualifying or tier.rank == 0)

    def valid_until(self, window_start: datetime) -> datetime:
        return self.calendar.valid_until(window_start, self.end_rule)

    def supported(self, progress: Progress, at: datetime) -> tuple[Tier, datetime | None]:
        """The best tier that the windows still in force at `at` give, and until when; the lowest has no end."""
        best, until = self.tiers[0], None
        for start, qualifying in progress.items():
            end = self.valid_until(start)
            if start > at or end <= at:
                continue
            tier = self.reached(qualifying)
            if tier.rank and (tier.rank, end) > (best.rank, until or at):
                best, until = tier, end
        return best, until


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a member stands: `until` None means for good, `locked_until` that nothing moves before then."""

    tier: Tier
    since: datetime | None = None
    until: datetime | None = None
    locked_until: datetime | None = None

    def locked(self, at: datetime) -> bool:
        return self.locked_until is not None and self.locked_until > at


def settled(rules: Rules, standing: Standing, progress: Progress, now: datetime) -> Standing:
    """The standing after every window end that has passed: what the daily job writes, and what a reader sees before it.

    So the tier is the same whether the job ran never, once or often.
    """
    while standing.until is not None and standing.until <= now and not standing.locked(now):
        standing = _at_end(rules, standing, progress, standing.until)
    return standing


def _at_end(rules: Rules, standing: Standing, progress: Progress, at: datetime) -> Standing:
    earned, until = rules.supported(progress, at)
    if earned.rank >= standing.tier.rank:
        moved = earned.rank != standing.tier.rank
        return Standing(earned, at if moved else standing.since, until)
    if rules.downgrade == "one_down" and earned.rank < standing.tier.rank - 1:
        below = rules.tiers[standing.tier.rank - 1]
        return Standing(below, at, rules.calendar.end(at))
    return Standing(earned, at, until)


def raised(rules: Rules, standing: Standing, window_start: datetime, qualifying: int, now: datetime) -> Standing:
    """The standing after something counted in a window: up as many steps as it reaches, or kept for longer."""
    until, tier = rules.valid_until(window_start), rules.reached(qualifying)
    if standing.locked(now) or until <= now or tier.rank == 0:
        return standing
    if tier.rank > standing.tier.rank:
        return Standing(tier, now, until)
    if tier.rank == standing.tier.rank and (standing.until is not None and until > standing.until):
        return replace(standing, until=until)
    return standing


def taken_back(
    rules: Rules, standing: Standing, progress: Progress, now: datetime, *, was: Progress, held_before: Tier
) -> Standing:
    """The standing after a refund: only a rise that the money paid for is undone.

    `was` is the progress before the refund, `held_before` the tier held before this window's first rise. A tier that no
    window gave, such as a step of grace after `one_down`, is left alone.
    """
    if standing.locked(now) or standing.tier.rank == 0:
        return standing
    before, _ = rules.supported(was, now)
    earned, until = rules.supported(progress, now)
    if before.rank < standing.tier.rank or earned.rank >= standing.tier.rank:
        return replace(standing, until=until) if earned.rank == standing.tier.rank else standing
    if held_before.rank > earned.rank and held_before.rank < standing.tier.rank:
        return Standing(held_before, now, rules.calendar.end(now))
    return Standing(earned, now, until)


def placed(rules: Rules, tier: Tier, now: datetime, locked_until: datetime | None) -> Standing:
    """The standing that a person decided on; it is looked at again at the first window end after the lock."""
    if tier.rank == 0:
        return Standing(tier, now, None if locked_until is None else _after_lock(rules, locked_until), locked_until)
    until = _after_lock(rules, locked_until) if locked_until else rules.valid_until(rules.calendar.start(now))
    return Standing(tier, now, until, locked_until)


def _after_lock(rules: Rules, locked_until: datetime) -> datetime:
    return rules.calendar.end(locked_until - timedelta(microseconds=1))
