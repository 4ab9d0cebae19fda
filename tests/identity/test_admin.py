"""The admin's list of members and a member's profile."""

import csv
import io
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.identity import cards, queries, service
from portal.identity.models import User
from portal.kernel.audit import AuditEntry
from tests.cast import (
    ALICE,
    BOB,
    CAROL,
    CIRCLE,
    ED,
    EVE,
    FRANK,
    GLOBEX,
    IRINA,
    MALLORY,
    OLGA,
    PEOPLE,
    SAM,
    TRENT,
    luhn,
    uid,
)

LIST, NEW, CSV = "/admin/members", "/admin/members/new", "/admin/members/download.csv"
PROFILE = f"/admin/members/{ALICE.id}"
STRANGERS = (ALICE, BOB, CAROL, IRINA, ED)


def may(sign_in, people, act):
    return {person.name.split()[0]: act(sign_in(person)).status_code for person in people}


# ── who may ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("url", [LIST, CSV, PROFILE])
def test_only_those_who_may_read_members(sign_in, visitor, url):
    seen = may(sign_in, (OLGA, FRANK, SAM, *STRANGERS), lambda b: b.get(url))
    assert seen == {
        "Olga": 200,
        "Frank": 200,
        "Sam": 200,
        "Alice": 403,
        "Bob": 403,
        "Carol": 403,
        "Irina": 403,
        "Ed": 403,
    }
    assert visitor().get(url).status_code == 303
    assert sign_in(MALLORY, at=CIRCLE).get(url).status_code == 303


def test_a_member_of_another_tenant_does_not_exist(sign_in):
    mallory = sign_in(MALLORY)
    assert mallory.get(PROFILE).status_code == 404
    assert mallory.get(f"{PROFILE}/contacts").status_code == 404
    for path in ("suspension", "suspension/end", "adjustments", "tier"):
        assert mallory.post(f"{PROFILE}/{path}", data={"reason": "x"}).status_code == 404
    assert sign_in(OLGA).get(f"/admin/members/{TRENT.id}").status_code == 404
    assert "Alice" not in mallory.get(LIST).text


def test_only_those_who_may_write_a_member_in(sign_in):
    fields = {"name": "Zoe", "form_key": "k" * 24}
    seen = may(sign_in, (OLGA, FRANK, SAM, *STRANGERS), lambda b: b.post(NEW, data=fields))
    assert seen == {
        "Olga": 303,
        "Frank": 403,
        "Sam": 403,
        "Alice": 403,
        "Bob": 403,
        "Carol": 403,
        "Irina": 403,
        "Ed": 403,
    }


def test_only_those_who_may_change_contacts(sign_in):
    fields = {"name": "Alice", "email": ALICE.email}
    seen = may(sign_in, (OLGA, SAM, FRANK, *STRANGERS), lambda b: b.post(f"{PROFILE}/contacts", data=fields))
    assert seen == {
        "Olga": 303,
        "Sam": 303,
        "Frank": 403,
        "Alice": 403,
        "Bob": 403,
        "Carol": 403,
        "Irina": 403,
        "Ed": 403,
    }


def test_only_those_who_may_suspend(sign_in):
    seen = may(sign_in, (FRANK, *STRANGERS, SAM), lambda b: b.post(f"{PROFILE}/suspension", data={"reason": "x"}))
    assert seen == {"Sam": 303, "Frank": 403, "Alice": 403, "Bob": 403, "Carol": 403, "Irina": 403, "Ed": 403}


def test_only_those_who_may_correct_a_balance(sign_in):
    fields = {"way": "give", "amount": "5", "reason": "Goodwill"}
    seen = may(sign_in, (OLGA, FRANK, SAM, *STRANGERS), lambda b: b.post(f"{PROFILE}/adjustments", data=fields))
    assert seen == {
        "Olga": 303,
        "Frank": 303,
        "Sam": 403,
        "Alice": 403,
        "Bob": 403,
        "Carol": 403,
        "Irina": 403,
        "Ed": 403,
    }


def test_only_those_who_may_set_a_tier(sign_in):
    fields = {"tier": "gold", "reason": "Founder"}
    seen = may(sign_in, (OLGA, FRANK, SAM, *STRANGERS), lambda b: b.post(f"{PROFILE}/tier", data=fields))
    assert seen == {
        "Olga": 303,
        "Frank": 403,
        "Sam": 403,
        "Alice": 403,
        "Bob": 403,
        "Carol": 403,
        "Irina": 403,
        "Ed": 403,
    }


def test_support_does_not_touch_those_above_and_nobody_suspends_themselves(sign_in, seen_by):
    sam, olga = sign_in(SAM), sign_in(OLGA)
    for path in ("suspension", "suspension/end", "contacts"):
        assert sam.post(f"/admin/members/{OLGA.id}/{path}", data={"reason": "x", "name": "x"}).status_code == 403
    refused = olga.post(f"/admin/members/{OLGA.id}/suspension", data={"reason": "x"})
    assert refused.status_code == 422
    assert "cannot suspend yourself" in refused.text
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(User.suspended_at).where(User.id == OLGA.id)) is None


# ── the list ───────────────────────────────────────────────────────────────────────────────────────────────────────


def names(page):
    import re

    return re.findall(r'id="member-[^"]+">.*?<span class="font-medium">([^<]+)</span>', page.text, re.S)


def everybody():
    return sorted(p.name for p in PEOPLE if p.tenant is CIRCLE)


def test_the_list_shows_everybody_and_nobody_else(sign_in):
    page = sign_in(OLGA).get(f"{LIST}?sort=name")
    assert names(page) == everybody()
    assert sorted(names(page)) == names(page)
    assert cards.shown(ALICE.card) in page.text
    assert "none yet" in page.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=ali", ["Alice Morozova"]),
        (f"q={ALICE.card}", ["Alice Morozova"]),
        ("q=xyz", []),
        ("q=%27", []),
        ("f.tier=gold", []),
        ("f.state=suspended", []),
        ("f.from=2001-01-01&f.to=2001-12-31", []),
        ("q=ali&f.tier=bronze", ["Alice Morozova"]),
    ],
)
def test_the_list_is_narrowed_by_its_address(sign_in, query, found):
    page = sign_in(OLGA).get(f"{LIST}?{query}")
    assert names(page) == found
    assert found or "Nobody fits" in page.text


def test_the_joined_period_is_whole_days_of_the_community(sign_in, acting):
    from datetime import datetime
    from zoneinfo import ZoneInfo

    moscow = ZoneInfo("Europe/Moscow")
    with acting(CIRCLE, OLGA):
        for name, at in (
            ("Early", datetime(2024, 3, 1, 0, 0, tzinfo=moscow)),
            ("Late", datetime(2024, 3, 1, 23, 59, tzinfo=moscow)),
            ("After", datetime(2024, 3, 2, tzinfo=moscow)),
        ):
            service.register_member(name=name, joined_via="import", joined_at=at, historical=True)
    assert names(sign_in(OLGA).get(f"{LIST}?f.from=2024-03-01&f.to=2024-03-01&sort=name")) == ["Early", "Late"]
    assert len(names(sign_in(OLGA).get(f"{LIST}?f.from=2024-02-30"))) == 13


def test_search_as_you_type_brings_the_list_alone(sign_in):
    page = sign_in(OLGA).get(f"{LIST}?q=eve", headers={"HX-Request": "true"})
    assert "<title>" not in page.text
    assert page.text.strip().startswith('<div id="members-list"')
    assert names(page) == ["Eve Sokolova"]


@pytest.mark.parametrize("sort", ["name", "-name", "joined", "-joined", "last", "-last", "bonus", "-bonus", "nonsense"])
def test_paging_goes_through_everybody_once(sign_in, monkeypatch, sort):
    import re

    from portal.web import paging

    monkeypatch.setattr(paging.page, "__kwdefaults__", {**paging.page.__kwdefaults__, "size": 3})
    browser, url, seen = sign_in(OLGA), f"{LIST}?sort={sort}", []
    while url:
        page = browser.get(url)
        seen += names(page)
        more = re.search(r'rel="next" href="([^"]+)"', page.text)
        url = more[1].replace("&amp;", "&") if more else None
    assert sorted(seen) == everybody()
    if sort == "-name":
        assert seen == everybody()[::-1]


def test_a_broken_cursor_shows_the_first_page(sign_in):
    assert names(sign_in(OLGA).get(f"{LIST}?after=%00garbage&sort=name")) == everybody()


def test_the_download_is_exactly_what_is_shown_and_is_written_down(sign_in, acting, seen_by):
    with acting(CIRCLE, OLGA):
        service.register_member(name="=HYPERLINK(1)", card_number=luhn("77700000001"), joined_via="desk")
    answer = sign_in(OLGA).get(f"{CSV}?sort=name&f.tier=bronze")
    rows = list(csv.reader(io.StringIO(answer.get_data(as_text=True).lstrip("\ufeff"))))
    assert rows[0] == ["Name", "Card", "Tier", "Bonus, RUB", "Last purchase", "Joined"]
    assert [row[0] for row in rows[1:]] == ["'=HYPERLINK(1)", *everybody()]
    assert rows[2][1:5] == [cards.shown(ALICE.card), "Bronze", "0.00", ""]
    only = sign_in(OLGA).get(f"{CSV}?q=ali")
    assert only.get_data(as_text=True).count("\n") == 2
    with seen_by(CIRCLE) as session:
        entries = session.execute(
            select(AuditEntry.action, AuditEntry.actor_id, AuditEntry.reason)
            .where(AuditEntry.action == "members.export")
            .order_by(AuditEntry.seq)
        ).all()
    assert [tuple(e) for e in entries] == [
        ("members.export", OLGA.id, "tier=bronze"),
        ("members.export", OLGA.id, "search"),
    ]


def test_the_list_asks_as_many_questions_for_a_hundred_as_for_ten(sign_in, acting, statements):
    browser = sign_in(OLGA)
    browser.get(LIST)
    with statements() as few:
        browser.get(LIST)
    with acting(CIRCLE, OLGA):
        for n in range(45):
            service.register_member(name=f"Member {n}", joined_via="import", historical=True)
    with statements() as many:
        browser.get(LIST)
    assert len(few) == len(many) <= 8


# ── writing one in ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_admin_writes_a_member_in_with_the_plastic_card_in_hand(sign_in, acting):
    card = luhn("40712265903")
    answer = sign_in(OLGA).submit(
        NEW, form="new-member", name="Zoë New", phone="8 921 555-01-02", card_number=cards.shown(card)
    )
    assert answer.status_code == 303
    with acting(CIRCLE):
        row = queries.find_member(card)
        assert (row.name, row.phone) == ("Zoë New", "+79215550102")
        assert answer.location.endswith(str(row.id))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, "Fill this in."),
        ({"phone": ALICE.phone}, "phone number already"),
        ({"email": ALICE.email}, "e-mail already"),
        ({"card_number": "4071 2265 9031"}, "not a card number"),
        ({"card_number": ALICE.card}, "card already"),
        ({"name": "a\x00b"}, "cannot be stored"),
    ],
)
def test_what_was_typed_is_kept_when_a_member_is_not_written_in(sign_in, change, said):
    answer = sign_in(OLGA).submit(NEW, form="new-member", **{"name": "Zoë", "phone": "+79215550102", **change})
    assert answer.status_code == 422
    assert said in answer.text
    if "phone" not in change:
        assert 'value="+79215550102"' in answer.text


def test_sending_the_form_twice_writes_one_member_in(sign_in, seen_by):
    browser, fields = sign_in(OLGA), {"name": "Twice Sent", "form_key": "same-key-for-both-sendings"}
    first, second = (browser.post(NEW, data=fields) for _ in range(2))
    assert first.location == second.location
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(func.count()).select_from(User).where(User.name == "Twice Sent")) == 1


# ── the profile ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_profile_shows_who_this_is(sign_in):
    olga = sign_in(OLGA)
    assert "Nothing yet." in olga.get(PROFILE).text
    page = olga.get(f"{PROFILE}/contacts/shown").text
    for text in (ALICE.name, cards.shown(ALICE.card), "+7 912 000-01-01", ALICE.email, "Bronze"):
        assert text in page


def test_a_correction_changes_the_balance_once_and_says_why(sign_in, acting, seen_by):
    from portal.wallets.queries import balance_of

    browser = sign_in(FRANK)
    fields = {"way": "give", "amount": "1 234,50", "reason": "Goodwill", "form_key": "same-key-for-both-sendings"}
    for _ in range(2):
        assert browser.post(f"{PROFILE}/adjustments", data=fields).status_code == 303
    with acting(CIRCLE):
        assert balance_of(ALICE.id, "RUB") == 123450
    page = browser.get(PROFILE).text
    assert "1,234.50" in page
    assert "Goodwill" in page
    assert browser.submit(PROFILE, form="adjust", way="take", amount="34.50", reason="Too much").status_code == 303
    with acting(CIRCLE):
        assert balance_of(ALICE.id, "RUB") == 120000
    with seen_by(CIRCLE) as session:
        entries = session.execute(
            select(AuditEntry.action, AuditEntry.reason, AuditEntry.object_id).order_by(AuditEntry.seq)
        ).all()
    assert [tuple(e) for e in entries] == [
        ("wallet.adjust", "Goodwill", ALICE.id),
        ("wallet.adjust", "Too much", ALICE.id),
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"amount": "1"}, "not enough"),
        ({"amount": "0"}, "above zero"),
        ({"amount": "abc"}, "in digits"),
        ({"amount": "1.234"}, "decimals"),
        ({"reason": ""}, "Fill this in."),
        ({"way": "steal"}, "Not a valid choice"),
    ],
)
def test_a_correction_that_is_refused_keeps_what_was_typed(sign_in, change, said):
    answer = sign_in(FRANK).submit(
        PROFILE, form="adjust", **{"way": "take", "amount": "5", "reason": "Too much", **change}
    )
    assert answer.status_code == 422
    assert said in answer.text
    if "reason" not in change:
        assert 'value="Too much"' in answer.text


def test_a_tier_set_by_hand_stays_until_its_day(sign_in, acting):
    from portal.kernel import clock
    from portal.loyalty.queries import standing_of

    with acting(CIRCLE):
        last = clock.today("Europe/Moscow") + timedelta(days=30)
    assert (
        sign_in(OLGA)
        .submit(PROFILE, form="set-tier", tier="gold", locked_until=last.isoformat(), reason="Founder")
        .status_code
        == 303
    )
    with acting(CIRCLE):
        standing = standing_of(ALICE.id)
        assert standing.tier.code == "gold"
        assert standing.locked_until.date() >= last
    page = sign_in(OLGA).get(PROFILE).text
    assert "Bronze → Gold" in page
    assert names(sign_in(OLGA).get(f"{LIST}?f.tier=gold")) == ["Alice Morozova"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"reason": ""}, "Fill this in."),
        ({"locked_until": "2001-01-01"}, "today or a later day"),
        ({"tier": "none"}, "Not a valid choice"),
    ],
)
def test_a_tier_that_is_not_set(sign_in, change, said):
    answer = sign_in(OLGA).submit(PROFILE, form="set-tier", **{"tier": "gold", "reason": "Founder", **change})
    assert answer.status_code == 422
    assert said in answer.text


def test_suspending_and_opening_again(sign_in, acting):
    alice, sam = sign_in(ALICE), sign_in(SAM)
    assert sam.submit(PROFILE, form="suspend", reason="Card lent to others").status_code == 303
    page = sam.get(PROFILE).text
    assert "Card lent to others" in page
    assert alice.get("/me/security").status_code == 303
    assert names(sam.get(f"{LIST}?f.state=suspended")) == ["Alice Morozova"]
    assert sam.post(f"{PROFILE}/suspension", data={"reason": " "}).status_code == 422
    assert sam.post(f"{PROFILE}/suspension/end").status_code == 303
    with acting(CIRCLE):
        assert queries.find_member(ALICE.card).suspended_at is None


def test_contacts_are_corrected(sign_in, acting):
    answer = sign_in(SAM).submit(f"{PROFILE}/contacts", form="contacts", name="Alice Zimina", phone="")
    assert answer.status_code == 303
    with acting(CIRCLE):
        row = queries.find_member(ALICE.email)
        assert (row.name, row.phone) == ("Alice Zimina", None)
    taken = sign_in(SAM).submit(f"{PROFILE}/contacts", form="contacts", email=EVE.email)
    assert taken.status_code == 422
    assert "e-mail already" in taken.text


def test_the_timeline_tells_everything_newest_first(sign_in, acting):
    with acting(CIRCLE, OLGA):
        service.edit_member(ALICE.id, name="Alice M.", phone=None, email=ALICE.email)
    olga = sign_in(OLGA)
    olga.submit(PROFILE, form="adjust", way="give", amount="5", reason="Goodwill")
    olga.submit(PROFILE, form="set-tier", tier="gold", reason="Founder")
    page = olga.get(PROFILE).text
    told = ["Bronze → Gold", "Corrected by hand", "Contacts corrected"]
    assert [page.index(text) for text in told] == sorted(page.index(text) for text in told)
    only = olga.get(f"{PROFILE}?f.kind=bonus").text
    assert "Corrected by hand" in only
    assert "Contacts corrected" not in only
    assert "Contacts corrected" not in sign_in(SAM).get(PROFILE).text  # support does not read the audit log
    assert "Contacts corrected" not in sign_in(SAM).get(f"{PROFILE}?f.kind=audit").text


def test_the_timeline_is_paged_without_gaps(sign_in, acting, monkeypatch):
    import re

    from portal.identity.views import timeline

    with acting(CIRCLE, OLGA):
        for n in range(7):
            service.edit_member(ALICE.id, name=f"Alice {n}", phone=None, email=None)
    monkeypatch.setattr(timeline, "SIZE", 3)
    browser, url, seen = sign_in(OLGA), PROFILE, []
    while url:
        page = browser.get(url).text
        seen += re.findall(r'id="line-([^"]+)"', page)
        more = re.search(r'rel="next" href="([^"]+)"', page)
        url = more[1].replace("&amp;", "&") if more else None
    assert len(seen) == len(set(seen)) == 7
    assert len(re.findall(r'id="line-', browser.get(f"{PROFILE}?after=rubbish").text)) == 3


def test_the_profile_asks_few_questions(sign_in, statements):
    browser = sign_in(OLGA)
    browser.get(PROFILE)
    with statements() as seen:
        browser.get(PROFILE)
    assert len(seen) <= 12, seen


def test_an_unknown_member_is_nothing(sign_in):
    assert sign_in(OLGA).get(f"/admin/members/{uid(9999)}").status_code == 404
    assert sign_in(OLGA).get("/admin/members/not-an-id").status_code == 404
    assert GLOBEX.id != CIRCLE.id
