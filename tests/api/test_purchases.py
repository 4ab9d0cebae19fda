"""The till's sale over HTTP: recorded once, whatever is sent twice, wrongly or by somebody else (D23)."""

from uuid import uuid4

import pytest
from sqlalchemy import func, select

from portal.extensions import db
from portal.kernel.audit import AuditEntry
from portal.kernel.outbox import OutboxMessage
from portal.purchases.models import Purchase
from tests.api.conftest import sale
from tests.cast import ALICE, BOOKS, CAFE, CIRCLE, EVE, FOREIGN_CAFE, GLOBEX, TRENT


def count(session, model):
    return session.scalar(select(func.count()).select_from(model))


def test_a_sale_is_recorded_and_told(till, seen_by):
    answer = till().sell()
    assert answer.status_code == 201, answer.json
    told = answer.json
    assert (told["amount"], told["bonus_accrued"], told["currency"]) == ("100.00", "3.00", "RUB")
    assert told["balances"] == {"bonus": "3.00"}
    assert told["tier"]["code"] == "bronze"
    assert told["occurred_at"].endswith("Z")
    with seen_by(CIRCLE) as session:
        row = session.scalars(select(Purchase)).one()
        assert (str(row.id), row.member_id, row.business_id, row.source) == (told["id"], ALICE.id, CAFE.id, "api")
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "purchase.record")).one()
        assert (entry.actor_kind, entry.object_id) == ("key", row.id)


def test_a_sale_takes_few_round_trips(till, statements):
    """Tenant and clock, key, claim, member, reading, writing, and the books with the answer to repeat."""
    one = till()
    assert one.sell().status_code == 201
    with statements() as seen:
        assert one.sell(external_id="S-2").status_code == 201
    assert len(seen) <= 7, seen


def test_the_till_sends_the_same_sale_twice(till, seen_by):
    one, key = till(), str(uuid4())
    first = one.sell(key)
    again = one.sell(key)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json
    with seen_by(CIRCLE) as session:
        assert count(session, Purchase) == 1
        assert session.scalar(select(func.count()).where(OutboxMessage.type == "purchase.recorded")) == 1


def test_json_spelled_differently_is_the_same_call(till):
    one, key = till(), str(uuid4())
    first = one.sell(key)
    body = f'{{ "currency":"RUB", "amount" : "100.00",\n"member":"{ALICE.card}","external_id":"S-1"}}'
    assert one.post("/purchases", body, key=key).json == first.json


def test_the_same_key_with_other_content_names_what_differs(till):
    one, key = till(), str(uuid4())
    one.sell(key)
    answer = one.sell(key, amount="999.00", till="2")
    assert answer.status_code == 409
    assert (answer.json["code"], answer.json["fields"]) == ("txn.idempotency_mismatch", ["amount", "till"])
    assert "999" not in answer.get_data(as_text=True)


def test_the_same_key_with_another_external_id_is_409(till):
    one, key = till(), str(uuid4())
    one.sell(key)
    assert one.sell(key, external_id="S-2").json["fields"] == ["external_id"]


def test_the_same_sale_under_another_key_is_the_same_sale(till, key_of, seen_by):
    """The till restarted and made a new key, or was given a new API key."""
    first = till().sell()
    again = till(key_of()).sell()
    assert again.status_code == 200
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json
    with seen_by(CIRCLE) as session:
        assert count(session, Purchase) == 1


def test_the_same_external_id_with_other_content_is_409(till):
    till().sell()
    answer = till().sell(amount="55.00")
    assert (answer.status_code, answer.json["fields"]) == (409, ["amount"])


def test_the_same_external_id_for_another_member_is_409(till):
    till().sell()
    answer = till().sell(member=EVE.card)
    assert (answer.status_code, answer.json["fields"]) == (409, ["member_id"])


def test_two_shops_number_their_sales_alike(till, key_of):
    till().sell()
    assert till(key_of(BOOKS)).sell().status_code == 201


def test_a_refused_call_leaves_its_key_free(till, seen_by):
    one, key = till(), str(uuid4())
    assert one.sell(key, member="nobody@example.com").status_code == 404
    assert one.sell(key).status_code == 201


@pytest.mark.parametrize("name", ["card", "grouped", "phone", "email", "id"])
def test_the_member_in_any_form(till, name):
    forms = {
        "card": ALICE.card, "grouped": f"{ALICE.card[:4]} {ALICE.card[4:8]} {ALICE.card[8:]}", "phone": ALICE.phone,
        "email": ALICE.email.upper(), "id": str(ALICE.id),
    }  # fmt: skip
    assert till().sell(member=forms[name]).json["member_id"] == str(ALICE.id)


def test_a_member_of_another_tenant_does_not_exist(till):
    for named in (TRENT.card, TRENT.email, str(TRENT.id)):
        assert till().sell(member=named).json["code"] == "member.unknown"


def test_bonus_pays_a_part_of_the_bill(till):
    one = till()
    one.sell(external_id="big", amount="10000.00")
    answer = one.sell(external_id="next", amount="200.00", bonus_to_spend="50.00")
    assert answer.status_code == 201, answer.json
    assert (answer.json["paid_with_bonus"], answer.json["bonus_accrued"]) == ("50.00", "7.50")  # silver by now
    assert answer.json["balances"]["bonus"] == "257.50"


def test_more_bonus_than_there_is_changes_nothing(till, seen_by):
    answer = till().sell(bonus_to_spend="10.00")
    assert (answer.status_code, answer.json["code"]) == (422, "txn.insufficient_funds")
    with seen_by(CIRCLE) as session:
        assert count(session, Purchase) == 0


def test_lines_must_add_up(till):
    lines = [{"name": "Tea", "amount": "40.00"}, {"name": "Cake", "amount": "60.00", "quantity": 2, "earns": False}]
    assert till().sell(lines=lines).json["bonus_accrued"] == "1.20"
    answer = till().sell(external_id="S-2", lines=lines[:1])
    assert (answer.status_code, answer.json["code"]) == (422, "purchase.lines_mismatch")


def test_old_sales_need_the_scope_for_history(till, key_of, seen_by):
    old = {"occurred_at": "2020-02-29T10:00:00+03:00"}
    assert till().sell(**old).json["code"] == "purchase.time_out_of_range"
    answer = till(key_of(scopes=["purchases.create", "purchases.import"])).sell(**old)
    assert answer.status_code == 201
    assert answer.json["occurred_at"] == "2020-02-29T07:00:00Z"
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(Purchase.historical)).one() is True


def test_a_purchase_reads_back_and_is_refunded_in_parts(till):
    one = till()
    made = one.sell().json
    read = one.get(f"/purchases/{made['id']}")
    assert read.status_code == 200
    assert (read.json["external_id"], read.json["refunded_total"], read.json["lines"]) == ("S-1", "0.00", [])
    key = str(uuid4())
    body = {"external_id": "R-1", "amount": "40.00", "reason": "broken cup"}
    back = one.post(f"/purchases/{made['id']}/refunds", body, key=key)
    assert back.status_code == 201, back.json
    assert (back.json["refunded_total"], back.json["bonus_taken_back"], back.json["balances"]["bonus"]) == (
        "40.00",
        "1.20",
        "1.80",
    )
    again = one.post(f"/purchases/{made['id']}/refunds", body, key=key)
    assert (again.status_code, again.json) == (200, back.json)
    over = one.post(f"/purchases/{made['id']}/refunds", {"external_id": "R-2", "amount": "60.01"})
    assert (over.status_code, over.json["code"]) == (422, "refund.exceeds")


def test_a_refund_is_either_an_amount_or_lines(till):
    one = till()
    made = one.sell().json
    for body in (
        {"external_id": "R"},
        {"external_id": "R", "amount": "1.00", "lines": [{"number": 1, "amount": "1.00"}]},
    ):
        assert one.post(f"/purchases/{made['id']}/refunds", body).json["code"] == "refund.unclear"


def test_another_shops_purchase_does_not_exist(till, key_of):
    made = till().sell().json
    other = till(key_of(BOOKS))
    assert other.get(f"/purchases/{made['id']}").status_code == 404
    assert other.post(f"/purchases/{made['id']}/refunds", {"external_id": "R", "amount": "1.00"}).status_code == 404
    foreign = till(key_of(FOREIGN_CAFE, GLOBEX), GLOBEX)
    assert foreign.get(f"/purchases/{made['id']}").status_code == 404


def test_the_list_pages_through_everything_once(till):
    one = till()
    for n in range(5):
        one.sell(external_id=f"S-{n}", amount=f"{n + 1}.00")
    seen, cursor = [], ""
    while True:
        answer = one.get(f"/purchases?limit=2{cursor}")
        assert answer.status_code == 200
        seen += [item["external_id"] for item in answer.json["items"]]
        if answer.json["next"] is None:
            break
        cursor = f"&cursor={answer.json['next']}"
    assert seen == ["S-4", "S-3", "S-2", "S-1", "S-0"]
    assert [i["external_id"] for i in one.get("/purchases?external_id=S-3").json["items"]] == ["S-3"]
    for bad in ("limit=0", "limit=1000", "what=1"):
        assert one.get(f"/purchases?{bad}").status_code == 422, bad
    given = one.get("/purchases?limit=2").json["next"]
    for unknown in ("zzz", "W10", given[:-4], given[4:], "x" * 300):
        answer = one.get(f"/purchases?cursor={unknown}")
        assert (answer.status_code, answer.json["code"], answer.json["field"]) == (404, "cursor.unknown", "cursor"), (
            unknown
        )


def test_sales_that_come_in_between_move_no_page(till):
    """A page is a place, not a count: what is sold while somebody turns pages is neither shown twice nor pushes out another."""
    one = till()
    for n in range(4):
        one.sell(external_id=f"S-{n}")
    first = one.get("/purchases?limit=2").json
    one.sell(external_id="S-late")
    second = one.get(f"/purchases?limit=2&cursor={first['next']}").json
    assert [i["external_id"] for i in first["items"] + second["items"]] == ["S-3", "S-2", "S-1", "S-0"]
    assert second["next"] is None


def test_a_member_is_found_with_balance_and_tier(till):
    one = till()
    one.sell()
    for named in (ALICE.card, ALICE.phone, ALICE.email, str(ALICE.id)):
        found = one.get(f"/members/{named}")
        assert found.status_code == 200, named
        assert found.json == {
            "id": str(ALICE.id), "name": ALICE.name, "card": ALICE.card, "currency": "RUB", "balances": {"bonus": "3.00"},
            "tier": {"code": "bronze", "name": "Bronze"}, "suspended": False,
        }  # fmt: skip
    for nobody in (TRENT.card, TRENT.phone, "000000000000", "x", "%00"):
        assert one.get(f"/members/{nobody}").status_code == 404


def test_no_cookie_goes_in_or_out(till, app):
    answer = till().call("GET", "/ping", headers={"Cookie": "sid=abc; anon=def; lang=ru"})
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert till().sell().headers.get("Set-Cookie") is None


def test_unknown_addresses_and_methods_are_problems_too(till):
    for answer, status in ((till().get("/nothing"), 404), (till().call("DELETE", "/purchases"), 405)):
        assert answer.status_code == status
        assert answer.mimetype == "application/problem+json"
    assert "POST" in till().call("DELETE", "/purchases").headers["Allow"]


def test_the_answer_speaks_the_callers_language(till):
    answer = till().post("/purchases", sale(), headers={"Accept-Language": "ru"})
    assert answer.json["tier"]["name"] == "Бронза"


def test_the_header_is_required_and_plain(till):
    one = till()
    missing = one.call("POST", "/purchases", sale())
    assert (missing.status_code, missing.json["errors"][0]["field"]) == (422, "Idempotency-Key")
    for bad in ("", "a b", "é", "x" * 256):
        assert one.post("/purchases", sale(), headers={"Idempotency-Key": bad}).status_code == 422


def test_db_is_untouched_by_reading(till, seen_by):
    one = till()
    one.get(f"/members/{ALICE.card}")
    with seen_by(CIRCLE):
        assert (
            db.session.scalar(select(func.count()).select_from(AuditEntry).where(AuditEntry.actor_kind == "key")) == 0
        )


def test_keys_are_forgotten_after_thirty_days(till, acting, monkeypatch):
    from datetime import timedelta

    from portal.api.idempotency import purge_old
    from portal.kernel import clock

    one, key = till(), str(uuid4())
    one.sell(key)
    with acting(CIRCLE):
        assert purge_old() == 0
        real = clock.now
        monkeypatch.setattr(clock, "now", lambda: real() + timedelta(days=31))
        assert purge_old() == 1
    monkeypatch.undo()
    assert one.sell(key).status_code == 200  # the sale itself is known for ever
