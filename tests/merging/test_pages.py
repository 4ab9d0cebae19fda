"""The way of staff: likely pairs, both side by side, merging, the banner with its undo, and what others may not (D28)."""

from datetime import date

from sqlalchemy import select

from portal.extensions import db
from portal.identity import pairs
from portal.identity import service as people
from portal.identity.models import MemberMerge, User
from portal.profiles.models import Profile
from tests.cast import ALICE, CIRCLE, EVE, FRANK, OLGA, SAM, TRENT
from tests.purchases.shop import balance, buy, seeded

BOTH = f"/admin/members/{ALICE.id}/merge/{EVE.id}"


def test_two_become_one_and_part_again(sign_in, acting):
    """From the member's page to the comparison, the merge, the banner, the list, and back."""
    with acting(CIRCLE, OLGA):
        buy(100_000, member=EVE)
        had = balance(EVE)
    sam = sign_in(SAM)
    page = sam.get(f"/admin/members/{ALICE.id}")
    assert f"/admin/members/{ALICE.id}/merge" in page.text
    page = sam.get(f"/admin/members/{ALICE.id}/merge?q=sokol")
    assert BOTH in page.text
    page = sam.get(BOTH)
    assert EVE.email in page.text
    answer = sam.post(BOTH, data={"stays": str(ALICE.id), "reason": "", "sure": "y"})
    assert answer.status_code == 422
    form = {"stays": str(ALICE.id), "reason": "The same passport", "sure": "y", "form_key": "k" * 24}
    answer = sam.post(BOTH, data=form)
    assert (answer.status_code, answer.location) == (303, f"/admin/members/{ALICE.id}")
    assert sam.post(BOTH, data=form).location == f"/admin/members/{ALICE.id}"
    with acting(CIRCLE, OLGA):
        assert (balance(ALICE), balance(EVE)) == (had, 0)
        made = db.session.scalars(select(MemberMerge.id)).one()
    gone = sam.get(f"/admin/members/{EVE.id}").text
    assert f"/admin/members/merges/{made}/undo" in gone
    assert "Suspend the account" not in gone
    assert "Par Coffee" in sam.get(f"/admin/members/{ALICE.id}").text
    assert "The same passport" in sam.get("/admin/members/merges").text
    undo = f"/admin/members/merges/{made}/undo"
    assert "Comes back" in sam.get(undo).text
    assert sam.post(undo, data={"reason": ""}).status_code == 422
    assert sam.post(undo, data={"reason": "Two sisters"}).location == f"/admin/members/{EVE.id}"
    with acting(CIRCLE, OLGA):
        assert (balance(ALICE), balance(EVE)) == (0, had)
    assert "Came back" in sam.get(undo).text


def test_the_survivor_sees_everything_of_both(sign_in, acting):
    """Purchases on the home page, why a purchase earned, the old account's movements in the wallet."""
    from portal.merging import service as merging

    with acting(CIRCLE, OLGA):
        sold = buy(123_400, member=EVE)
        merging.merge(EVE.id, ALICE.id, reason="one person", key="k")
    alice = sign_in(ALICE)
    assert "Par Coffee" in alice.get("/me").text
    assert alice.get(f"/me/purchases/{sold.purchase_id}/why").status_code == 200
    wallet = alice.get("/me/wallet").text
    assert "Before your accounts were joined" in wallet
    old = wallet.split("/me/wallet/")[1].split('"')[0]
    assert old


def test_likely_pairs_are_found_and_put_aside(sign_in, acting, seed):
    """One mailbox in two spellings, one name and birthday; said to be two, a pair is not shown again."""
    with acting(CIRCLE, OLGA):
        first = people.register_member(name="Nina Rudneva", email="nina.rudneva+shop@gmail.com", joined_via="desk")
        second = people.register_member(name="N. Rudneva", email="ninarudneva@gmail.com", joined_via="desk")
        third = people.register_member(name="Rudneva Nina", joined_via="desk")
        found = {frozenset((pair.first.id, pair.second.id)): pair.why for pair in pairs.likely()}
        assert found[frozenset((first, second))] == "email"
        assert found[frozenset((first, third))] == "name"
        assert [pair.why for pair in pairs.like(db.session.get(User, (CIRCLE.id, first)))] == ["email", "name"]
    born = date(1999, 1, 2)
    for member_id in (first, third):
        seed(CIRCLE, Profile(id=member_id, tenant_id=CIRCLE.id, born_on=born))
    sam = sign_in(SAM)
    page = sam.get("/admin/members/duplicates").text
    assert "The same name and birthday" in page
    assert sam.post("/admin/members/duplicates", data={"low": str(first), "high": str(third)}).status_code == 303
    assert "The same name and birthday" not in sam.get("/admin/members/duplicates").text
    assert sam.post("/admin/members/duplicates", data={"low": "x", "high": "y"}).status_code == 422
    assert sam.post("/admin/members/duplicates", data={"low": str(first), "high": str(TRENT.id)}).status_code == 404


def test_who_may_not(sign_in):
    """Finance reads members but merges none; support touches nobody who works for the community; nor another tenant's."""
    assert sign_in(FRANK).get(BOTH).status_code == 403
    sam = sign_in(SAM)
    assert sam.get(f"/admin/members/{ALICE.id}/merge/{OLGA.id}").status_code == 403
    assert sam.get(f"/admin/members/{ALICE.id}/merge/{TRENT.id}").status_code == 404
    assert sam.get(f"/admin/members/{ALICE.id}/merge/{ALICE.id}").status_code == 404
    olga = sign_in(OLGA)
    form = {"stays": str(ALICE.id), "reason": "mine", "sure": "y"}
    assert olga.post(f"/admin/members/{ALICE.id}/merge/{OLGA.id}", data=form).status_code == 422


def test_a_merge_asks_for_a_factor_first(sign_in, acting):
    sam = sign_in(SAM)
    with acting(CIRCLE, OLGA):
        seeded("UPDATE device_sessions SET proved_at = now() - interval '6 minutes' WHERE tenant_id = :t")
    assert "/me/confirm" in sam.get(BOTH).location
