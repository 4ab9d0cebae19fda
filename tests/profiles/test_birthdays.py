"""Birthdays of the week, by the community's calendar."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from portal.kernel import clock
from portal.profiles import birthdays
from portal.profiles.models import Profile
from tests.cast import ALICE, BOB, CIRCLE, EVE, GLOBEX, OLGA, TRENT


def test_the_admin_sees_whose_birthday_it_is_this_week(sign_in, acting, seed):
    with acting(CIRCLE):
        today = clock.now().astimezone(ZoneInfo("Europe/Moscow")).date()
    born = [(ALICE, CIRCLE, 6), (EVE, CIRCLE, 0), (BOB, CIRCLE, 8), (TRENT, GLOBEX, 0)]
    for who, tenant, ahead in born:
        day = today + timedelta(days=ahead)
        seed(tenant, Profile(id=who.id, born_on=date(1988, day.month, day.day), shows=[]))
    with acting(CIRCLE):
        assert [one.name for one in birthdays.this_week()] == [EVE.name, ALICE.name]
    page = sign_in(OLGA).get("/admin/members/birthdays").text
    assert EVE.name in page
    assert "1988" not in page


def test_who_was_born_on_29_february_is_not_forgotten():
    assert birthdays._keys(date(2027, 2, 28)) == ["0228", "0229"]
    assert birthdays._keys(date(2028, 2, 28)) == ["0228"]
