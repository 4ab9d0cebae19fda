"""LOY-10, LOY-11: up at once, down at the window's end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.kernel.model import I18n
from portal.loyalty.ladder import Rules, Standing, Tier, placed, raised, settled, taken_back
from portal.loyalty.windows import Calendar

ZONE = "Europe/Moscow"
TIERS = tuple(
    Tier(UUID(int=n), code, I18n(en=code), n, threshold, Fraction(1, 20))
    for n, (code, threshold) in enumerate([("bronze", 0), ("silver", 1000), ("gold", 4000), ("platinum", 10000)])
)
BRONZE, SILVER, GOLD, PLATINUM = TIERS


def rules(**changes):
    return replace(Rules(TIERS, Calendar("YEAR", ZONE), "END_OF_NEXT_PERIOD", "one_down"), **changes)


def day(text):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(ZONE)).astimezone(UTC)


Y25, Y26, Y27, Y28, Y29 = (day(f"{y}-01-01") for y in range(2025, 2030))


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        ("MONTH", "2026-11-01", "2026-12-01"),
        ("QUARTER", "2026-10-01", "2027-01-01"),
        ("HALF_YEAR", "2026-07-01", "2027-01-01"),
        ("YEAR", "2026-01-01", "2027-01-01"),
    ],
)
def test_windows_are_the_tenants_calendar(period, start, end):
    calendar = Calendar(period, ZONE)
    for moment in (day(start), day("2026-11-21"), day(end) - timedelta(microseconds=1)):
        if calendar.start(moment) == day(start):
            assert calendar.end(moment) == day(end)
    assert calendar.start(day("2026-11-21")) == day(start)
    assert calendar.start(day(end)) == day(end)  # half-open


def test_the_threshold_itself_counts():
    assert [rules().reached(n).code for n in (0, 999, 1000, 3999, 4000, 10**9)] == [
        "bronze", "bronze", "silver", "silver", "gold", "platinum",
    ]  # fmt: skip


def test_one_purchase_may_skip_several_tiers():
    up = raised(rules(), Standing(BRONZE), Y26, 12_000, day("2026-11-21"))
    assert (up.tier, up.until) == (PLATINUM, Y28)


def test_end_of_period_is_one_window_shorter():
    up = raised(rules(end_rule="END_OF_PERIOD"), Standing(BRONZE), Y26, 1000, day("2026-11-21"))
    assert up.until == Y27


def test_reaching_the_tier_again_keeps_it_for_longer():
    silver = Standing(SILVER, day("2025-05-05"), Y27)
    kept = raised(rules(), silver, Y26, 1000, day("2026-11-21"))
    assert (kept.tier, kept.since, kept.until) == (SILVER, day("2025-05-05"), Y28)


def test_nothing_falls_before_the_windows_end():
    gold = Standing(GOLD, day("2025-05-05"), Y27)
    assert settled(rules(), gold, {Y26: 0}, Y27 - timedelta(seconds=1)) == gold


def test_one_down_steps_once_a_window_and_balance_based_recomputes():
    """Broken once: without the min of one step, one_down fell from platinum to bronze in one night."""
    platinum = Standing(PLATINUM, day("2025-05-05"), Y27)
    assert settled(rules(), platinum, {}, Y27).tier == GOLD
    assert settled(rules(), platinum, {}, Y28).tier == SILVER
    assert settled(rules(), platinum, {}, Y29) == Standing(BRONZE, Y29, None)
    assert settled(rules(downgrade="balance_based"), platinum, {}, Y27).tier == BRONZE
    assert settled(rules(downgrade="balance_based"), platinum, {Y26: 1500}, Y27) == Standing(SILVER, Y27, Y28)


def test_what_the_last_window_earned_is_kept():
    gold = Standing(GOLD, day("2025-05-05"), Y27)
    assert settled(rules(), gold, {Y26: 4000}, Y27) == replace(gold, until=Y28)


def test_a_locked_tier_moves_neither_way_and_is_looked_at_when_the_lock_is_over():
    now = day("2026-03-03")
    given_gold = placed(rules(), GOLD, now, day("2027-06-01"))
    assert given_gold.until == Y28
    assert raised(rules(), given_gold, Y26, 20_000, now) == given_gold
    assert settled(rules(), given_gold, {Y26: 0}, day("2027-05-31")) == given_gold
    assert settled(rules(), given_gold, {}, Y28).tier == SILVER
    pinned_low = placed(rules(), BRONZE, now, day("2027-06-01"))
    assert settled(rules(), pinned_low, {Y27: 5000}, Y28) == Standing(GOLD, Y28, Y29)


def test_a_refund_takes_back_only_what_it_paid_for():
    now = day("2026-11-21")
    silver = Standing(SILVER, now, Y28)
    back = taken_back(rules(), silver, {Y26: 500}, now, was={Y26: 1200}, held_before=BRONZE)
    assert back == Standing(BRONZE, now, None)
    still = taken_back(rules(), silver, {Y25: 1000, Y26: 500}, now, was={Y25: 1000, Y26: 1200}, held_before=BRONZE)
    assert (still.tier, still.until) == (SILVER, Y27)
    grace = Standing(SILVER, Y26, Y27)
    assert taken_back(rules(), grace, {Y26: 0}, now, was={Y26: 500}, held_before=BRONZE) == grace
    gold = Standing(GOLD, now, Y28)
    assert taken_back(rules(), gold, {Y26: 0}, now, was={Y26: 4000}, held_before=SILVER).tier == SILVER


@given(
    st.lists(st.tuples(st.integers(0, 1500), st.integers(1, 2500)), max_size=15),
    st.sets(st.integers(0, 1600)),
    st.sampled_from(["END_OF_PERIOD", "END_OF_NEXT_PERIOD"]),
    st.sampled_from(["one_down", "balance_based"]),
    st.sampled_from(["MONTH", "QUARTER", "YEAR"]),
)
def test_the_job_run_never_once_or_often_leaves_the_same_tier(buys, runs, end_rule, downgrade, period):
    """Property 6. Broken once: a purchase that did not settle first kept a tier that had ended the night before."""
    ladder = rules(calendar=Calendar(period, ZONE), end_rule=end_rule, downgrade=downgrade)

    def live(job_days):
        standing, progress = Standing(BRONZE), {}
        for n in range(1601):
            now = Y25 + timedelta(days=n, hours=12)
            if n in job_days:
                standing = settled(ladder, standing, progress, now)
            for bought, amount in buys:
                if bought == n:
                    standing = settled(ladder, standing, progress, now)
                    start = ladder.calendar.start(now)
                    progress[start] = progress.get(start, 0) + amount
                    standing = raised(ladder, standing, start, progress[start], now)
        return settled(ladder, standing, progress, now)

    never, sometimes = live(set()), live(runs)
    assert never == sometimes
