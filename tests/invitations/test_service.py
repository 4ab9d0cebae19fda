"""Invitations: bound to tenant, contact and purpose; a week, once; no more than their maker may give (security.md 8)."""

import threading
from datetime import timedelta

import pytest
from flask import g
from sqlalchemy import func, select, text

from portal.identity import passwords, roles
from portal.identity import service as members
from portal.identity.models import Consent, DeviceSession, RoleAssignment, TenantRole, User
from portal.invitations import service
from portal.invitations.models import Invitation
from portal.invitations.service import Guest, InvitationOver, Offer, WrongPerson
from portal.kernel.audit import AuditEntry
from portal.kernel.errors import Conflict, NotFound
from portal.partners.models import BusinessStaff
from portal.partners.service import remove_staff
from portal.tenants.limits import LimitReached
from tests.cast import ALICE, BOB, BOOKS, CAFE, CAROL, CIRCLE, EVE, FRANK, GLOBEX, IRINA, MALLORY, OLGA, SAM
from tests.invitations.conftest import NEW, NEWCOMER, accept


def test_a_stranger_joins_by_an_invitation(acting, invited, seen_by):
    token = invited(Guest(NEWCOMER, "Nora New", "ru"), by=OLGA)
    with acting(CIRCLE):
        done = accept(token, name="Nora Newman", password=NEW, marketing=True)
    assert done.cookie
    with seen_by(CIRCLE) as session:
        nora = session.scalars(select(User).where(User.email == NEWCOMER)).one()
        assert (nora.id, nora.name, nora.joined_via) == (done.member_id, "Nora Newman", "invitation")
        assert nora.email_confirmed_at
        assert passwords.matches(nora.password_hash, NEW)
        agreed = session.scalars(select(Consent.purpose).where(Consent.member_id == nora.id))
        assert set(agreed) == {"terms", "privacy", "marketing"}
        row = session.scalars(select(Invitation)).one()
        assert (row.member_id, row.used_at is not None) == (nora.id, True)
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "invitation.accept")).one()
        assert (entry.actor_id, entry.object_id) == (nora.id, nora.id)


def test_staff_gets_the_post_as_they_accept(acting, invited, seen_by):
    """The role is given in the transaction that uses the link up, in the name of who invited."""
    token = invited(Guest(NEWCOMER, offer=Offer("cashier", business_id=CAFE.id)), by=IRINA)
    with acting(CIRCLE):
        done = accept(token, name="Nora New")
    with seen_by(CIRCLE) as session:
        post = session.scalars(select(BusinessStaff).where(BusinessStaff.user_id == done.member_id)).one()
        assert (post.business_id, post.role) == (CAFE.id, "cashier")
        changed = session.scalars(select(AuditEntry.changes).where(AuditEntry.action == "invitation.accept")).one()
        assert {"business_staff", "invitations", "users"} <= {change["table"] for change in changed}
        live = session.scalar(select(func.count()).select_from(DeviceSession).where(DeviceSession.revoked_at.is_(None)))
        assert live == 1


def test_the_mail_names_a_role_in_the_language_of_the_invited(acting, deliver, sink):
    """Seen red with the name that the query found, before the mail's language was known."""
    with acting(CIRCLE, OLGA):
        lead = roles.create_role({"en": "Shift lead", "ru": "Старший смены"}, "tenant", ["tiers.read"])
        service.invite(Guest(NEWCOMER, locale="ru", offer=Offer(role_id=lead)))
    deliver()
    (mail,) = sink.at(NEWCOMER)
    assert "Старший смены" in mail.get_body(("plain",)).get_content()


def test_a_role_over_the_circle_and_one_of_its_own(acting, invited, seen_by):
    with acting(CIRCLE, OLGA):
        own = roles.create_role("Poster", "business", ["desk.read"])
    first = invited(Guest(NEWCOMER, offer=Offer("support")), by=OLGA)
    second = invited(Guest(NEWCOMER, offer=Offer(role_id=own, business_id=BOOKS.id)), by=OLGA)
    with acting(CIRCLE):
        done = accept(first, name="Nora New")
    with acting(CIRCLE, None):
        assert accept(second, person_id=done.member_id).member_id == done.member_id
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(TenantRole.role).where(TenantRole.user_id == done.member_id)).all() == ["support"]
        held = session.execute(select(RoleAssignment.role_id, RoleAssignment.business_id)).all()
        assert held == [(own, BOOKS.id)]


@pytest.mark.commits
def test_sixteen_accept_one_invitation_at_once_and_one_comes_in(app, acting, invited, seen_by):
    """R12: one member, one post, one session. Broken once: without `used_at IS NULL` all sixteen were let in."""
    token = invited(Guest(NEWCOMER, offer=Offer("cashier", business_id=CAFE.id)), by=IRINA)
    start, won, lost = threading.Barrier(16), [], []

    def come(n):
        start.wait(30)
        try:
            with acting(CIRCLE):
                won.append(accept(token, name=f"Nora {n}").member_id)
        except InvitationOver:
            lost.append(n)

    crowd = [threading.Thread(target=come, args=(n,)) for n in range(16)]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join()
    assert (len(won), len(lost)) == (1, 15)
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(User.id).where(User.email == NEWCOMER)).all() == won
        assert session.scalars(select(BusinessStaff.user_id).where(BusinessStaff.user_id.in_(won))).all() == won
        assert session.scalars(select(DeviceSession.user_id).where(DeviceSession.user_id.in_(won))).all() == won


def test_an_invitation_is_used_once(acting, invited):
    token = invited(Guest(NEWCOMER), by=OLGA)
    with acting(CIRCLE):
        accept(token, name="Nora New")
    with acting(CIRCLE), pytest.raises(InvitationOver):
        accept(token, name="Nora New")
    with acting(CIRCLE):
        assert service.look(token) is None


def test_after_a_week_it_is_over(acting, invited, age):
    token = invited(Guest(NEWCOMER), by=OLGA)
    age(timedelta(days=6, hours=23))
    with acting(CIRCLE):
        assert service.look(token)
    age(timedelta(hours=2))
    with acting(CIRCLE), pytest.raises(InvitationOver):
        accept(token, name="Nora New")


def test_a_withdrawn_one_opens_nothing(acting, invited, only):
    token = invited(Guest(NEWCOMER), by=OLGA)
    with acting(CIRCLE, OLGA):
        service.withdraw(only())
    with acting(CIRCLE), pytest.raises(InvitationOver):
        accept(token, name="Nora New")


def test_one_that_was_accepted_is_not_withdrawn(acting, invited, only):
    token = invited(Guest(NEWCOMER), by=OLGA)
    with acting(CIRCLE):
        accept(token, name="Nora New")
    with acting(CIRCLE, OLGA), pytest.raises(Conflict):
        service.withdraw(only())


def test_in_another_tenant_the_link_does_not_exist(acting, invited, only):
    """T1: neither the token nor the row."""
    token = invited(Guest(NEWCOMER), by=OLGA)
    row = only()
    with acting(GLOBEX), pytest.raises(InvitationOver):
        accept(token, name="Nora New")
    with acting(GLOBEX, MALLORY), pytest.raises(NotFound):
        service.withdraw(row)
    with acting(CIRCLE):
        assert service.look(token)


def test_it_is_for_the_contact_it_went_to(acting, invited, seen_by):
    """Eve, signed in with a mail of her own, does not take what was sent to Nora; and the link still opens."""
    token = invited(Guest(NEWCOMER, offer=Offer("cashier", business_id=CAFE.id)), by=IRINA)
    with acting(CIRCLE, EVE), pytest.raises(WrongPerson):
        accept(token, person_id=EVE.id)
    with acting(CIRCLE):
        assert accept(token, name="Nora New").cookie


def test_what_went_to_alice_is_not_eves(acting, invited):
    token = invited(Guest(ALICE.email, offer=Offer("cashier", business_id=CAFE.id)), by=IRINA)
    with acting(CIRCLE, EVE), pytest.raises(WrongPerson):
        accept(token, person_id=EVE.id)


def test_who_is_signed_in_without_a_mail_gets_the_one_it_went_to(acting, invited, seen_by):
    with acting(CIRCLE, OLGA):
        paul = members.register_member(name="Paul Phone", phone="+79125550101", joined_via="desk", password=NEW)
    token = invited(Guest(NEWCOMER, offer=Offer("cashier", business_id=CAFE.id)), by=IRINA)
    with acting(CIRCLE):
        done = accept(token, person_id=paul, amr="pwd")
    assert (done.member_id, bool(done.cookie)) == (paul, True)
    with seen_by(CIRCLE) as session:
        row = session.execute(select(User.email, User.email_confirmed_at).where(User.id == paul)).one()
    assert row.email == NEWCOMER
    assert row.email_confirmed_at


def test_a_link_opens_no_account_that_has_its_own_ways_in(acting, invited, seen_by):
    """Alice gets the post and signs in as always: what lay in a mailbox for days is no sign-in."""
    token = invited(Guest(ALICE.email, offer=Offer("cashier", business_id=CAFE.id)), by=IRINA)
    with acting(CIRCLE):
        done = accept(token, password="another long password of hers")
    assert (done.member_id, done.cookie) == (ALICE.id, None)
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(BusinessStaff.role).where(BusinessStaff.user_id == ALICE.id)) == "cashier"
        stored = session.scalar(select(User.password_hash).where(User.id == ALICE.id))
        assert not passwords.matches(stored, "another long password of hers")


def test_who_was_enrolled_at_the_till_signs_in_to_their_own_row(acting, invited, seen_by):
    """D28: nothing is doubled; card and history stay."""
    with acting(CIRCLE, BOB):
        tim = members.register_member(name="Tim Till", phone="+79125550102", joined_via="till")
    token = invited(Guest(NEWCOMER, member_id=tim), by=OLGA)
    with seen_by(CIRCLE) as session:
        before = session.execute(select(User.card_number, User.email).where(User.id == tim)).one()
        assert before.email is None  # it becomes theirs when they accept
        count = session.scalar(select(func.count()).select_from(User))
    with acting(CIRCLE):
        done = accept(token, password=NEW)
    assert (done.member_id, bool(done.cookie)) == (tim, True)
    with seen_by(CIRCLE) as session:
        after = session.scalars(select(User).where(User.id == tim)).one()
        assert (after.card_number, after.email, after.phone) == (before.card_number, NEWCOMER, "+79125550102")
        assert passwords.matches(after.password_hash, NEW)
        assert session.scalar(select(func.count()).select_from(User)) == count
        assert session.scalar(select(func.count()).select_from(Consent).where(Consent.member_id == tim)) == 2


def test_inviting_the_mail_of_a_member_without_login_is_inviting_that_member(acting, invited, seen_by):
    with acting(CIRCLE, BOB):
        tim = members.register_member(name="Tim Till", email=NEWCOMER, joined_via="till")
    token = invited(Guest(NEWCOMER, "Somebody"), by=OLGA)
    with acting(CIRCLE):
        assert accept(token).member_id == tim


def test_a_contact_that_changed_meanwhile_ends_the_link(acting, invited):
    """R18: the card's owner has another mail now."""
    with acting(CIRCLE, BOB):
        tim = members.register_member(name="Tim Till", email=NEWCOMER, joined_via="till")
    token = invited(Guest(NEWCOMER), by=OLGA)
    with acting(CIRCLE, OLGA):
        members.edit_member(tim, name="Tim Till", phone=None, email="tim@circle.example")
    with acting(CIRCLE), pytest.raises(InvitationOver):
        accept(token)


@pytest.mark.parametrize(
    ("who", "offer"),
    [
        (CAROL, Offer("cashier", business_id=BOOKS.id)),  # a manager of another shop
        (CAROL, Offer("owner", business_id=CAFE.id)),
        (IRINA, Offer("cashier", business_id=BOOKS.id)),
        (IRINA, Offer("support")),
        (SAM, Offer("admin")),
        (FRANK, Offer("support")),
    ],
)
def test_nobody_invites_to_more_than_they_may_themselves(acting, who, offer):
    with acting(CIRCLE, who), pytest.raises(roles.TooMuch):
        service.invite(Guest(NEWCOMER, offer=offer))


def test_a_link_of_somebody_who_was_dismissed_gives_nothing(acting, invited, seen_by):
    """The right to give is asked for again when it is given."""
    with acting(CIRCLE, OLGA):
        from portal.partners.service import add_staff

        add_staff(CAFE.id, EVE.id, "owner")
    token = invited(Guest(NEWCOMER, offer=Offer("owner", business_id=CAFE.id)), by=EVE)
    with seen_by(CIRCLE) as session:
        post = session.scalar(select(BusinessStaff.id).where(BusinessStaff.user_id == EVE.id))
    with acting(CIRCLE, OLGA):
        remove_staff(CAFE.id, post)
    with acting(CIRCLE), pytest.raises(InvitationOver):
        accept(token, name="Nora New")
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(User.id).where(User.email == NEWCOMER)) is None


def test_a_link_of_somebody_who_was_stopped_gives_nothing(acting, invited):
    token = invited(Guest(NEWCOMER, offer=Offer("cashier", business_id=CAFE.id)), by=IRINA)
    with acting(CIRCLE, OLGA):
        members.suspend(IRINA.id, reason="left the keys")
    with acting(CIRCLE), pytest.raises(InvitationOver):
        accept(token, name="Nora New")


def test_a_full_circle_says_so_and_the_link_keeps(acting, invited):
    token = invited(Guest(NEWCOMER), by=OLGA)
    with acting(CIRCLE):
        from dataclasses import replace

        g.tenant = replace(g.tenant, limits={"members": 1})
        with pytest.raises(LimitReached):
            accept(token, name="Nora New")
    with acting(CIRCLE):
        assert service.look(token)


def test_a_weak_password_leaves_the_link_whole(acting, invited):
    token = invited(Guest(NEWCOMER), by=OLGA)
    with acting(CIRCLE), pytest.raises(passwords.WeakPassword):
        accept(token, name="Nora New", password="short")
    with acting(CIRCLE):
        assert accept(token, name="Nora New").cookie


def test_nobody_is_asked_twice_while_the_first_link_opens(acting, invited, age):
    invited(Guest(NEWCOMER), by=OLGA)
    with acting(CIRCLE, OLGA), pytest.raises(Conflict):
        service.invite(Guest(f" {NEWCOMER.upper()} "))
    age(timedelta(days=8))
    assert invited(Guest(NEWCOMER), by=OLGA)


def test_members_who_sign_in_are_not_invited(acting):
    with acting(CIRCLE, OLGA), pytest.raises(Conflict, match="Alice Morozova is a member already"):
        service.invite(Guest(ALICE.email))


def test_sending_again_ends_the_link_before_and_has_its_limits(acting, invited, only, age, links):
    first = invited(Guest(NEWCOMER), by=OLGA)
    with acting(CIRCLE, OLGA), pytest.raises(Conflict, match="a moment ago"):
        service.send_again(only())
    age(timedelta(minutes=2))
    with acting(CIRCLE, OLGA):
        service.send_again(only())
    second = links(NEWCOMER)[-1]
    assert second != first
    with acting(CIRCLE):
        assert service.look(first) is None
        assert service.look(second)
    for _ in range(3):
        age(timedelta(minutes=2))
        with acting(CIRCLE, OLGA):
            service.send_again(only())
    age(timedelta(minutes=2))
    with acting(CIRCLE, OLGA), pytest.raises(Conflict, match="five times"):
        service.send_again(only())


def test_the_link_is_kept_as_a_hash_of_256_bits(invited, seen_by):
    token = invited(Guest(NEWCOMER), by=OLGA)
    assert len(token) == 43  # 32 bytes
    with seen_by(CIRCLE) as session:
        kept = session.execute(text("SELECT to_jsonb(i)::text FROM invitations i")).scalar_one()
        told = session.execute(text("SELECT string_agg(m.data::text, '') FROM outbox_messages m")).scalar_one()
    assert token not in kept
    assert token not in told


def test_old_ones_of_people_who_never_came_are_dropped(acting, invited, age, seen_by):
    invited(Guest(NEWCOMER), by=OLGA)
    used = invited(Guest("came@new.example"), by=OLGA)
    with acting(CIRCLE):
        accept(used, name="Came")
    age(timedelta(days=100))
    with acting(CIRCLE):
        service.forget_old()
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(Invitation.target)).all() == ["came@new.example"]
