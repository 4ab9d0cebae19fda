"""Birthdays: said once, put right by staff, and known to shops as far as the member lets them."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from portal.extensions import db
from portal.identity.service import OwnAccount, ReasonMissing
from portal.kernel import clock
from portal.kernel.audit import AuditEntry
from portal.merging import service as merging
from portal.profiles import birthdays, service
from portal.profiles.models import Profile
from tests.cast import ALICE, BOB, BOOKS, CAFE, CIRCLE, EVE, GLOBEX, IRINA, OLGA, SAM, TRENT
from tests.purchases.shop import buy, seeded

BORN = date(1990, 2, 28)
HERE = "/desk/cafe/birthdays"


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


def said(member):
    db.session.expire_all()
    return db.session.scalar(select(Profile.born_on).where(Profile.id == member.id))


def test_a_member_says_their_birthday_once_and_keeps_it_with_every_later_saving(sign_in, acting):
    """Seen red with the second one taken, and with the form that leaves it out clearing it."""
    alice = sign_in(ALICE)
    assert alice.submit("/me/about", form="about-form", born_on=str(BORN)).status_code == 303
    page = alice.get("/me/about").text
    assert "February 28, 1990" in page
    assert 'name="born_on"' not in page
    assert alice.submit("/me/about", form="about-form", first_name="Alice").status_code == 303
    refused = alice.post("/me/about", data={"born_on": "1991-03-01"})
    assert refused.status_code == 422
    assert "Ask the staff if it is wrong." in refused.text
    with acting(CIRCLE):
        assert said(ALICE) == BORN


def test_staff_puts_a_birthday_right_and_says_why(sign_in, acting, seed):
    """Seen red without the year in the audit masked."""
    seed(CIRCLE, Profile(id=ALICE.id, born_on=BORN, shows=[]))
    sam, url = sign_in(SAM), f"/admin/members/{ALICE.id}/birthday"
    page = sam.get(f"/admin/members/{ALICE.id}").text
    assert "28 February" in page
    assert "1990" not in page
    assert 'value="1990-02-28"' in sam.get(url).text
    assert sam.submit(url, form="birthday", born_on="1991-03-01", reason="").status_code == 422
    assert sam.submit(url, form="birthday", born_on="2191-03-01", reason="typo").status_code == 422
    assert sam.submit(url, form="birthday", born_on="1991-03-01", reason="saw the passport").status_code == 303
    with acting(CIRCLE):
        assert said(ALICE) == date(1991, 3, 1)
        entries = db.session.scalars(
            select(AuditEntry).where(AuditEntry.object_id == ALICE.id).order_by(AuditEntry.seq)
        ).all()
        assert {e.action for e in entries[:-1]} == {"member.read_birthday"}
        last = entries[-1]
        assert (last.action, last.actor_id, last.reason) == ("profile.correct_birthday", SAM.id, "saw the passport")
        assert "199" not in str(last.changes)
    assert sam.submit(url, form="birthday", born_on="", reason="asked to forget it").status_code == 303
    assert sign_in(ALICE).submit("/me/about", form="about-form", born_on="1992-02-29").status_code == 303
    assert sign_in(BOB).get(url).status_code == 403


def test_nobody_corrects_their_own_birthday_or_without_a_reason(acting):
    with acting(CIRCLE, SAM):
        with pytest.raises(OwnAccount):
            service.correct_birthday(SAM.id, BORN, reason="I know it")
        with pytest.raises(ReasonMissing):
            service.correct_birthday(ALICE.id, BORN, reason="  ")
        with pytest.raises(service.BirthdayRefused):
            service.correct_birthday(ALICE.id, date(1700, 1, 1), reason="an old book")


def test_support_does_not_touch_the_birthday_of_an_account_with_a_role(sign_in):
    assert sign_in(SAM).get(f"/admin/members/{OLGA.id}/birthday").status_code == 403
    assert sign_in(OLGA).get(f"/admin/members/{SAM.id}/birthday").status_code == 200


def test_a_shop_knows_the_day_of_those_who_buy_there_and_let_it(sign_in, acting, seed):
    """Seen red without the member's word, without the purchase, and with the survivor's own purchases alone."""
    with acting(CIRCLE):
        today = clock.now().astimezone(ZoneInfo("Europe/Moscow")).date()
    born = date(1988, today.month, today.day)
    for who, shared in ((ALICE, True), (EVE, True), (OLGA, True), (BOB, False)):
        seed(CIRCLE, Profile(id=who.id, born_on=born, birthday_shared=shared, shows=[]))
    with acting(CIRCLE, OLGA):
        for who, shop in ((ALICE, CAFE), (EVE, BOOKS), (BOB, CAFE)):
            buy(member=who, shop=shop)
        assert [one.name for one in birthdays.this_week(CAFE.id)] == [ALICE.name]
        assert [one.name for one in birthdays.this_week(BOOKS.id)] == [EVE.name]
    page = sign_in(IRINA).get(HERE)
    assert page.status_code == 200
    shown = page.text.split("<main")[1]
    assert ALICE.name in shown
    assert "1988" not in shown
    assert EVE.name not in shown
    assert BOB.name not in shown
    assert sign_in(BOB).get(HERE).status_code == 403
    alice = sign_in(ALICE)
    alice.post("/me/about", data={"first_name": "Alice"})  # the box is not ticked any more
    with acting(CIRCLE, OLGA):
        assert birthdays.this_week(CAFE.id) == []
        made = merging.merge(ALICE.id, EVE.id, reason="one person", key="k")
        assert [one.name for one in birthdays.this_week(CAFE.id)] == [EVE.name]
        merging.undo(made, reason="two people")
        seeded("UPDATE purchases SET occurred_at = clock_timestamp() - interval '366 days' WHERE tenant_id = :t")
        assert birthdays.this_week(BOOKS.id) == []
