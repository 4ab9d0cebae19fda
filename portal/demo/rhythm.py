"""When people buy, where, and for how much: rhythms that a shop owner would believe."""

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MONTHS = 18
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Trade:
    """A business's habits: visits a month of a regular, typical bill in whole units, week and hours (weights)."""

    slug: str
    visits: float
    bill: float
    spread: float
    week: tuple[float, ...]
    hours: Mapping[int, float]
    season: tuple[float, ...] = (1.0,) * 12
    step: int = 10


@dataclass(frozen=True, slots=True)
class Sale:
    """A purchase to be; `who` is the member's number, `amount` whole units."""

    at: datetime
    shop: str
    who: int
    amount: int


def sales(
    rng: random.Random, *, trades: tuple[Trade, ...], members: int, until: datetime, zone: str
) -> tuple[list[datetime], list[Sale]]:
    """When each member joined, and all sales of the last 18 months up to `until`, in order of time."""
    tz = ZoneInfo(zone)
    last = until.astimezone(tz).date()
    first = last - timedelta(days=30 * MONTHS)
    joined: list[datetime] = []
    made: list[Sale] = []
    for who in range(members):
        start = first + DAY * int((rng.random() ** 1.4) * (30 * MONTHS - 2))
        start_at = datetime.combine(start, time(10 + who % 9, (who * 7) % 60), tz)
        joined.append(start_at)
        stays = 30 * MONTHS if rng.random() > 0.25 else int(rng.expovariate(1 / 140)) + 7  # noqa: PLR2004  a quarter drifts away
        appetite = rng.lognormvariate(-0.35, 0.75)
        favourites = rng.sample(trades, k=min(len(trades), 1 + int(rng.random() * 4)))
        for rank, trade in enumerate(favourites):
            rate = trade.visits * appetite / (1 + rank)
            made += _visits(rng, trade, who, rate, start, min(last, start + DAY * stays), tz)
    made = [sale for sale in made if joined[sale.who] < sale.at < until]
    made.sort(key=lambda sale: (sale.at, sale.who, sale.shop))
    return joined, made


def _visits(
    rng: random.Random, trade: Trade, who: int, rate: float, start: date, end: date, tz: ZoneInfo
) -> Iterator[Sale]:
    hours, weights = zip(*trade.hours.items(), strict=True)
    weekly = sum(trade.week) / 7
    day = start
    while day <= end:
        chance = rate / 30 * trade.week[day.weekday()] / weekly * trade.season[day.month - 1]
        if rng.random() < min(chance, 0.9):
            hour = rng.choices(hours, weights)[0]
            at = datetime.combine(day, time(hour, rng.randrange(60), rng.randrange(60)), tz)
            bill = trade.bill * math.exp(rng.gauss(0, trade.spread))
            yield Sale(at, trade.slug, who, max(trade.step, round(bill / trade.step) * trade.step))
        day += DAY
