"""Staff of a business: only its owner and the admin name them, and there is always an owner."""

import pytest
from sqlalchemy import select

from portal.identity import cards, roles
from portal.identity.models import RoleAssignment
from portal.kernel.audit import AuditEntry
from portal.kernel.outbox import OutboxMessage
from portal.messages.models import Notification
from portal.partners import service
from portal.partners.models import BusinessStaff
from tests.cast import (
    ALICE,
    BOB,
    BOOKS,
    BORIS,
    CAFE,
    CAROL,
    CIRCLE,
    ED,
    EVE,
    FRANK,
    GLOBEX,
    IRINA,
    MALLORY,
    OLGA,
    SAM,
    TRENT,
)

PAGE = "/desk/cafe/staff"


@pytest.fixture
def posts(seen_by):
    """Posts at a business that are not ended: (person, role) → row."""

    def posts(shop=CAFE, tenant=CIRCLE):
        with seen_by(tenant) as session:
            rows = session.scalars(
                select(BusinessStaff).where(BusinessStaff.business_id == shop.id, BusinessStaff.archived_at.is_(None))
            )
            return {(row.user_id, row.role): row for row in rows}

    return posts


def add(browser, who, role="cashier", **more):
    return browser.submit(PAGE, form="staff-form", who=who, role=role, **more)


@pytest.mark.parametrize("who", [ALICE, BOB, CAROL, BORIS, ED, SAM, FRANK])
def test_only_the_owner_and_the_admin_may(sign_in, posts, who):
    before, browser = posts(), sign_in(who)
    assert browser.get(PAGE).status_code == 403
    assert browser.post(PAGE, data={"who": who.email, "role": "owner"}).status_code == 403
    bobs = before[BOB.id, "cashier"].id
    assert browser.post(f"{PAGE}/{bobs}/end").status_code == 403
    assert posts().keys() == before.keys()


def test_the_page_names_everybody_and_explains_the_roles(sign_in):
    for who in (IRINA, OLGA):
        page = sign_in(who).get(PAGE).text
        for text in (
            "Bob Petrov",
            "Carol Orlova",
            "Irina Zotova",
            "What each may do",
            "End the post of Bob Petrov (cashier)?",
        ):
            assert text in page, text
        assert page.index("Irina Zotova", page.index("Who works here")) < page.index("Bob Petrov")  # owners first
        assert "Boris Knigin" not in page


@pytest.mark.parametrize(
    "how", [ALICE.email, ALICE.email.upper(), ALICE.phone, "8 (912) 000-01-01", ALICE.card, cards.shown(ALICE.card)]
)
def test_a_member_is_given_a_post_by_mail_telephone_or_card(sign_in, posts, how, seen_by):
    alice = sign_in(ALICE)
    assert alice.get("/till/cafe").status_code == 403
    answer = sign_in(IRINA).submit(PAGE, form="staff-form", who=how, role="cashier", follow_redirects=True)
    assert "Alice Morozova works here now." in answer.text
    assert (ALICE.id, "cashier") in posts()
    assert alice.get("/me").status_code in {302, 303}  # signs in anew (S2)
    with seen_by(CIRCLE) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "staff.add")).one()
        assert (entry.actor_id, entry.object_type, entry.object_id) == (IRINA.id, "business", CAFE.id)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"who": ""}, "Fill this in."),
        ({"who": "Alice"}, "Nobody in this circle has that."),  # a name is no proof of who is meant
        ({"who": "nobody@circle.example"}, "Nobody in this circle has that."),
        ({"who": TRENT.email}, "Nobody in this circle has that."),
        ({"who": TRENT.card}, "Nobody in this circle has that."),
        ({"who": "a\x00b"}, "cannot be stored"),
        ({"who": ALICE.email, "role": "admin"}, "Not a valid choice"),
        ({"who": BOB.email}, "This person has that post already."),
        ({"who": ALICE.email, "location_id": str(BOOKS.id)}, "Not a valid choice"),
    ],
)
def test_what_cannot_be_is_refused_and_kept_as_typed(sign_in, posts, typed, said):
    before = posts()
    answer = sign_in(IRINA).submit(PAGE, form="staff-form", **{"role": "cashier", **typed})
    assert answer.status_code == 422
    if "location_id" not in typed:  # a shop of one place does not show the field, and refuses all the same
        assert said in answer.text
    if "\x00" not in typed["who"]:
        assert f'value="{typed["who"]}"' in answer.text
    assert posts().keys() == before.keys()


def test_a_post_at_one_place_only(sign_in, acting, posts):
    irina = sign_in(IRINA)
    assert "location_id" not in irina.get(PAGE).text
    with acting(CIRCLE, OLGA):
        place = service.add_location(CAFE.id, name="Kiosk")
        elsewhere = service.add_location(BOOKS.id, name="Cellar")
    assert add(irina, EVE.email, location_id=str(elsewhere)).status_code == 422
    assert add(irina, EVE.email, location_id=str(place)).status_code == 303
    post = posts()[EVE.id, "cashier"]
    assert post.location_id == place
    move = f"{PAGE}/{post.id}/place"
    assert irina.post(move, data={"location_id": str(elsewhere)}).status_code == 422
    assert posts()[EVE.id, "cashier"].location_id == place
    assert irina.post(move, data={"location_id": ""}).status_code == 303
    assert posts()[EVE.id, "cashier"].location_id is None
    assert irina.post(move, data={"location_id": str(place)}).status_code == 303
    assert "Cashier, Kiosk" in irina.get(PAGE).text


def test_a_post_is_ended_and_can_be_given_again(sign_in, posts):
    irina, bob = sign_in(IRINA), sign_in(BOB)
    post = posts()[BOB.id, "cashier"]
    assert irina.post(f"{PAGE}/{post.id}/end").status_code == 303
    assert (BOB.id, "cashier") not in posts()
    assert bob.get("/till/cafe").status_code in {302, 303}  # signed out
    assert irina.post(f"{PAGE}/{post.id}/end").status_code == 404
    assert add(irina, BOB.email).status_code == 303
    assert posts()[BOB.id, "cashier"].id == post.id


def test_the_last_owner_stays(sign_in, posts):
    irina, olga = sign_in(IRINA), sign_in(OLGA)
    own = posts()[IRINA.id, "owner"]
    for browser in (irina, olga):
        answer = browser.post(f"{PAGE}/{own.id}/end")
        assert answer.status_code == 409
        assert "This is the last owner. Name another one first." in answer.text
    assert (IRINA.id, "owner") in posts()
    assert add(irina, CAROL.email, "owner").status_code == 303
    assert irina.post(f"{PAGE}/{own.id}/end").status_code == 303
    assert irina.get(PAGE).status_code in {302, 303}  # signed out


def test_an_owner_reaches_neither_the_neighbour_nor_another_tenant(sign_in, posts):
    irina = sign_in(IRINA)
    boris, mallory = posts(BOOKS)[BORIS.id, "cashier"], posts(GLOBEX.shops["cafe"], GLOBEX)[MALLORY.id, "owner"]
    assert irina.get("/desk/books/staff").status_code == 403
    assert irina.post(f"/desk/books/staff/{boris.id}/end").status_code == 403
    assert irina.post(f"{PAGE}/{boris.id}/end").status_code == 404
    assert irina.post(f"{PAGE}/{mallory.id}/end").status_code == 404
    assert irina.get("/desk/nowhere/staff").status_code == 404
    assert "Irina" not in sign_in(MALLORY).get(PAGE).text
    assert (BORIS.id, "cashier") in posts(BOOKS)


def test_the_page_asks_few_questions(sign_in, statements):
    irina = sign_in(IRINA)
    with statements() as seen:
        assert irina.get(PAGE).status_code == 200
    assert len(seen) <= 10, seen


def test_a_role_of_our_own_is_given_moved_and_taken_at_the_desk(sign_in, acting, seen_by):
    """An owner gives it at her own shop, for one place of it; whoever has it is told each time."""
    with acting(CIRCLE, OLGA):
        role = roles.create_role("Stocktaker", "business", ["desk.read", "purchases.read"])
        over = roles.create_role("Reader", "tenant", ["audit.read"])
        place = service.add_location(CAFE.id, name="Kiosk")
        foreign = service.add_location(BOOKS.id, name="Cellar")
    irina = sign_in(IRINA)
    page = irina.get(PAGE).text
    assert "Stocktaker" in page
    assert "Reader" not in page
    assert add(irina, EVE.email, str(over)).status_code == 422
    assert add(irina, EVE.email, str(role), location_id=str(foreign)).status_code == 422
    assert add(irina, EVE.email, str(role), location_id=str(place)).status_code == 303
    assert add(irina, EVE.email, str(role)).status_code == 422  # has it already
    assert "Stocktaker, Kiosk" in irina.get(PAGE).text
    with seen_by(CIRCLE) as session:
        held = session.execute(select(RoleAssignment.id, RoleAssignment.business_id, RoleAssignment.location_id)).one()
    assert held[1:] == (CAFE.id, place)
    one = f"{PAGE}/roles/{held.id}"
    assert irina.post(f"{one}/place", data={"location_id": str(foreign)}).status_code == 422
    assert irina.post(f"{one}/place", data={"location_id": ""}).status_code == 303
    assert sign_in(BORIS).post(f"/desk/books/staff/roles/{held.id}/end").status_code in {403, 404}
    assert sign_in(OLGA).post(f"/desk/books/staff/roles/{held.id}/end").status_code == 404  # not that shop's
    assert irina.post(f"{one}/end").status_code == 303
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(RoleAssignment.id)).all() == []
        acts = session.execute(select(AuditEntry.action, AuditEntry.actor_id).order_by(AuditEntry.seq)).all()
        told = session.scalars(select(OutboxMessage.data).where(OutboxMessage.type == "role.changed")).all()
    assert [act for act in acts if act.action.startswith("role.") and act.actor_id == IRINA.id] == [
        ("role.assign", IRINA.id),
        ("role.move", IRINA.id),
        ("role.unassign", IRINA.id),
    ]
    assert [(t["member_id"], t["how"], t["role"], t["business"]) for t in told] == [
        (str(EVE.id), "given", "Stocktaker", "Par Coffee"),
        (str(EVE.id), "taken", "Stocktaker", "Par Coffee"),
    ]


def test_whoever_gets_or_loses_a_post_is_told(sign_in, posts, deliver, seen_by):
    irina = sign_in(IRINA)
    assert add(irina, EVE.email, "manager").status_code == 303
    assert irina.post(f"{PAGE}/{posts()[EVE.id, 'manager'].id}/end").status_code == 303
    deliver()
    with seen_by(CIRCLE) as session:
        told = session.execute(
            select(Notification.member_id, Notification.data).where(Notification.kind == "role.changed")
        )
        assert sorted((row.member_id, row.data["how"], row.data["role"]) for row in told) == [
            (EVE.id, "given", "manager"),
            (EVE.id, "taken", "manager"),
        ]
