"""Two accounts that were merged, as a till sees them (D28)."""

from portal.merging import service as merging
from tests.cast import ALICE, CIRCLE, EVE, OLGA


def test_the_api_answers_with_the_survivor(till, acting):
    """The old card, phone and id find the one that stays; a sale by the old card is theirs; a list has both."""
    one = till()
    old = one.sell(member=EVE.card)
    with acting(CIRCLE, OLGA):
        merging.merge(EVE.id, ALICE.id, reason="one person", key="k")
    for named in (EVE.card, EVE.phone, EVE.id):
        assert one.get(f"/members/{named}").json["id"] == str(ALICE.id)
    new = one.sell(member=EVE.card, external_id="after")
    assert new.json["member_id"] == str(ALICE.id)
    listed = one.get(f"/purchases?member={ALICE.card}").json["items"]
    assert [(row["id"], row["member_id"]) for row in listed] == [
        (new.json["id"], str(ALICE.id)),
        (old.json["id"], str(ALICE.id)),
    ]
