"""Joining, contacts, suspension, search: portal.identity.service and queries."""

from itertools import count

import pytest
from sqlalchemy import func, select, text

from portal.extensions import db
from portal.identity import cards, queries, roles, service
from portal.identity.contacts import InvalidEmail, InvalidName
from portal.identity.models import MemberWord, TenantRole, User
from portal.identity.passwords import WeakPassword
from portal.kernel.audit import AuditEntry
from portal.kernel.errors import NotFound
from portal.kernel.outbox import OutboxMessage
from tests.cast import ALICE, BOB, CIRCLE, EVE, GLOBEX, OLGA, PASSWORD, TRENT, luhn


@pytest.fixture
def here(acting):
    with acting(CIRCLE, BOB):
        yield


def names(q):
    return [row.name for row in queries.search_members(q)]


def test_a_member_joins_with_a_card_by_the_phone_alone(here):
    member_id = service.register_member(name=" Пётр  Иванов", phone="8 921 555-01-02", joined_via="till")

    row = queries.find_member("+7 921 555 0102")
    assert (row.id, row.name, row.phone, row.email) == (member_id, "Пётр Иванов", "+79215550102", None)
    assert cards.valid_card(row.card_number)
    assert db.session.scalars(select(OutboxMessage.type)).all() == ["member.registered"]
    entry = db.session.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.actor_id, entry.object_id) == ("member.register", BOB.id, member_id)
    assert "Пётр" not in str(entry.changes)
    assert "9215550102" not in str(entry.changes)


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        ({"email": "ALICE@circle.example"}, service.ContactTaken),
        ({"phone": "8 912 000-01-01"}, service.ContactTaken),
        ({"card_number": ALICE.card}, service.CardTaken),
        ({"card_number": "4071 2265 9031"}, service.InvalidCard),
        ({"email": "alice"}, InvalidEmail),
        ({"name": " \u200b "}, InvalidName),
        ({"password": "password12345"}, WeakPassword),
    ],
)
def test_what_stops_a_registration_leaves_nothing(here, more, refusal):
    before = db.session.scalar(select(func.count()).select_from(User))
    with pytest.raises(refusal):
        service.register_member(**{"name": "Zoe", "joined_via": "till", **more})
    assert db.session.scalar(select(func.count()).select_from(User)) == before
    assert db.session.scalars(select(AuditEntry)).all() == []


def test_the_same_person_may_be_a_member_of_two_communities(acting):
    with acting(GLOBEX):
        service.register_member(name="Alice", email=ALICE.email, card_number=ALICE.card, joined_via="import")
        assert queries.find_member(ALICE.email).name == "Alice"
    with acting(CIRCLE):
        assert queries.find_member(ALICE.email).id == ALICE.id


def test_a_card_number_that_is_taken_is_drawn_again(here, monkeypatch):
    free, numbers = luhn("77700000001"), count()

    def drawn():
        return ALICE.card if next(numbers) < cards.LENGTH else free

    monkeypatch.setattr(cards, "new_card_number", drawn)
    service.register_member(name="Late Comer", joined_via="till")
    assert queries.find_member(free).name == "Late Comer"


@pytest.mark.parametrize(
    "typed",
    [
        ALICE.card,
        cards.shown(ALICE.card),
        f"https://circle.localhost/c/{ALICE.card}",
        "8 912 000-01-01",
        "9120000101",
        ALICE.phone,
        " Alice@CIRCLE.example ",
    ],
)
def test_one_member_is_found_exactly(here, typed):
    assert queries.find_member(typed).id == ALICE.id


@pytest.mark.parametrize(
    "typed",
    ["", "Alice", "alice@", "4071", TRENT.card, TRENT.email, TRENT.phone, "x" * 500, "'; DROP TABLE users", "\x00"],
)
def test_nobody_is_found_by_half_a_name_or_elsewhere(here, typed):
    found = queries.find_member(typed.replace("\x00", ""))
    assert found is None or found.id not in {ALICE.id, TRENT.id}


def test_members_are_found_by_the_beginnings_of_words(here):
    service.register_member(
        name="Пётр Ёлкин-Зайцев", phone="+7 921 555 01 02", email="petr@circle.example", joined_via="till"
    )
    for q in ("пет", "ПЁТР ёл", "зай пёт", "petr@", "921555", "8921555", "0102", "+7 921"):
        assert names(q) == ["Пётр Ёлкин-Зайцев"], q
    assert names("али моро") == []
    assert names("Morozova ali") == ["Alice Morozova"]
    assert names("ётр") == []
    assert names("  ") == []


def test_the_last_digits_of_a_card_find_it(here):
    service.register_member(name="Vera Short", card_number=luhn("40712265903"), joined_via="till")
    card = luhn("40712265903")
    assert names(card[-4:]) == names(card[-7:]) == names(cards.short_code(card)) == ["Vera Short"]


def test_search_reads_an_index_under_row_level_security(here):
    """Red with LIKE '%…%': a sequential scan of every tenant's words."""
    db.session.execute(text("SET LOCAL enable_seqscan = off"))
    plan = "\n".join(
        db.session.scalars(
            text("EXPLAIN SELECT member_id FROM member_words WHERE tenant_id = :t AND word ^@ 'ali'"), {"t": CIRCLE.id}
        )
    )
    assert "Index Cond" in plan
    assert "word ~>=~ 'ali'" in plan or "word >= 'ali'" in plan


def test_changed_contacts_change_the_words(here):
    service.edit_member(ALICE.id, name="Alisa Zimina", phone=None, email="zimina@circle.example")
    assert names("zim") == names("zimina@") == ["Alisa Zimina"]
    assert names("morozova") == []
    assert queries.find_member(ALICE.phone) is None
    assert db.session.scalar(select(func.count()).select_from(MemberWord).where(MemberWord.member_id == ALICE.id)) == 6
    with pytest.raises(service.ContactTaken):
        service.edit_member(ALICE.id, name="Alisa", phone=BOB.phone, email=None)


def test_an_edit_that_changes_nothing_leaves_no_trace(here):
    for _ in range(2):
        service.edit_member(ALICE.id, name="Alice M.", phone=ALICE.phone, email=ALICE.email)
    assert len(db.session.scalars(select(AuditEntry)).all()) == 1


def test_suspension_needs_a_reason_and_shows_it(here):
    with pytest.raises(service.ReasonMissing):
        service.suspend(EVE.id, reason="  ")
    service.suspend(EVE.id, reason="Card lent to others")
    assert queries.find_member(EVE.card).suspended_reason == "Card lent to others"
    service.unsuspend(EVE.id)
    assert queries.find_member(EVE.card).suspended_at is None
    assert [a for a in db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.seq))] == [
        "member.suspend",
        "member.unsuspend",
    ]


def test_a_member_of_another_tenant_does_not_exist(here):
    for act in (
        lambda: service.suspend(TRENT.id, reason="x"),
        lambda: service.set_password(TRENT.id, PASSWORD),
        lambda: service.edit_member(TRENT.id, name="x", phone=None, email=None),
        lambda: roles.grant_role(TRENT.id, "admin"),
    ):
        with pytest.raises(NotFound):
            act()


def test_a_merged_member_is_found_as_the_other(here, seed_merge):
    assert queries.find_member(EVE.card).id == ALICE.id
    assert names("eve") == []


@pytest.fixture
def seed_merge(here):
    from flask import g

    g.seeding = True
    db.session.execute(text("UPDATE users SET merged_into = :a WHERE id = :e"), {"a": ALICE.id, "e": EVE.id})
    g.seeding = False


def test_a_role_is_granted_once(acting):
    with acting(CIRCLE, OLGA):
        roles.grant_role(ALICE.id, "support")
        roles.grant_role(ALICE.id, "support")
        assert db.session.scalars(select(TenantRole.role).where(TenantRole.user_id == ALICE.id)).all() == ["support"]
        assert len(db.session.scalars(select(AuditEntry)).all()) == 1
        assert db.session.scalar(select(User.auth_epoch).where(User.id == ALICE.id)) == 1
