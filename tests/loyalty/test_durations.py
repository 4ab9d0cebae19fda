"""LOY-4: how long a bonus lasts."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.loyalty.durations import DurationError, parse

MOSCOW, BERLIN = "Europe/Moscow", "Europe/Berlin"


def at(text, zone=MOSCOW):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("text", "begun", "ends"),
    [
        ("90s", "2026-01-22 15:00", "2026-01-22 15:01:30"),
        ("5D", "2026-01-22 15:00", "2026-01-27 15:00"),
        ("1D_D", "2026-01-22 15:00", "2026-01-23 00:00"),
        ("0D_U", "2026-01-22 15:00", "2026-01-23 00:00"),
        ("0W_U", "2026-01-22 15:00", "2026-01-26 00:00"),  # a Thursday: gone on Monday
        ("0M_U", "2026-01-22 15:00", "2026-02-01 00:00"),  # usable through 31 January
        ("1M", "2026-01-31 10:00", "2026-02-28 10:00"),  # clamped
        ("1M", "2028-01-31 10:00", "2028-02-29 10:00"),
        ("1M_U", "2026-01-31 10:00", "2026-03-01 00:00"),
        ("1Y", "2028-02-29 10:00", "2029-02-28 10:00"),
        ("1Y_U", "2026-06-01 10:00", "2028-01-01 00:00"),
    ],
)
def test_where_it_ends_in_the_tenants_zone(text, begun, ends):
    assert parse(text).after(at(begun), MOSCOW) == at(ends)
    assert parse(text).after(at(begun), MOSCOW).tzinfo is UTC


def test_a_day_is_a_day_of_the_wall_clock_and_an_hour_an_hour():
    before_the_change = at("2026-03-28 12:00", BERLIN)
    assert parse("1D").after(before_the_change, BERLIN) - before_the_change.astimezone(UTC) == timedelta(hours=23)
    assert parse("24h").after(before_the_change, BERLIN) - before_the_change.astimezone(UTC) == timedelta(hours=24)


def test_words():
    moment = at("2026-01-22 15:00")
    assert parse("unlimited").after(moment, MOSCOW) is None
    assert parse("on_action").after(moment, MOSCOW) is None
    assert parse("immediate").after(moment, MOSCOW) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "D",
        "5d",
        "-5D",
        "5D_",
        "5D_X",
        "5W_D",
        "5M_D",
        "5h_U",
        "30s_D",
        "0D",
        "0D_D",
        "0h",
        "101Y",
        "٣D",
        "5D\n",
        " 5D",
        "1.5D",
        "never",
        "99999999999D",
    ],
)
def test_what_is_no_duration(text):
    """Broken once: FORM without re.ASCII took Arabic digits, match() took a trailing newline."""
    with pytest.raises(DurationError):
        parse(text)


units = st.sampled_from(["D", "D_D", "D_U", "W", "W_U", "M", "M_U", "Y", "Y_U", "s", "m", "h"])


@given(
    st.integers(1, 90),
    units,
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
    st.sampled_from([MOSCOW, BERLIN, "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia", "UTC"]),
)
def test_it_always_ends_later_and_rounding_up_never_ends_sooner(count, unit, moment, zone):
    begun = moment.replace(tzinfo=UTC)
    text = f"{count}{unit}"
    ends = parse(text).after(begun, zone)
    assert ends > begun
    assert str(parse(text)) == text
    if unit.endswith("_U"):
        assert ends > parse(text.removesuffix("_U")).after(begun, zone)
        local = ends.astimezone(ZoneInfo(zone))
        assert local.minute == 0 and local.hour in {0, 1}  # 01:00 where midnight is skipped by the clocks
