"""The operator changes a tenant's owner: who is told, what is written down, who can be taken away and who cannot."""

import hashlib

import pytest
from sqlalchemy import select

from portal.identity import queries, roles, service
from portal.invitations.models import Invitation
from portal.kernel.audit import AuditEntry
from portal.leaving import erasure
from portal.messages.models import Notification
from portal.tenants.owner import owner_of
from tests.cast import ALICE, BOB, CIRCLE, OLGA
from tests.checked import CheckedClient
from tests.platform.test_operator import ask
from tests.platform.test_second_factor import post
from tests.platform.test_tenants import link_in, page_of

pytestmark = pytest.mark.commits


def change(browser, email, **more):
    return browser.submit(page_of(browser), form="owner-form", email=email, **more)


def owner(acting):
    with acting(CIRCLE):
        return owner_of()


def told(seen_by, person):
    with seen_by(CIRCLE) as session:
        facts = session.scalars(select(Notification.data).where(Notification.member_id == person.id))
        return {(fact["how"], fact["role"]) for fact in facts}


def roles_of(acting, person):
    with acting(CIRCLE):
        return set(queries.tenant_roles(person.id))


def test_a_mistyped_address_leaves_the_circle_its_admin(inside, acting, deliver, sink):
    """A stranger replaces no admin before they signed in. Seen red without the look at who ever signed in."""
    change(inside, OLGA.email)
    answer = change(inside, "who.knows@krug.example")
    assert answer.status_code == 422
    assert "never signed in here" in answer.text
    assert (roles_of(acting, OLGA), owner(acting)) == ({"admin"}, OLGA.id)
    assert change(inside, "who.knows@krug.example", keep="y").status_code == 303
    assert roles_of(acting, OLGA) == {"admin"}
    deliver()
    (mail,) = sink.at("who.knows@krug.example")
    assert "is yours to look after" in mail["Subject"]


def test_the_new_owner_is_an_admin_and_the_former_one_is_not_unless_asked(inside, acting, deliver, seen_by):
    """Both are told, both logs have it, and the room's log names nobody but by ids (D2)."""
    assert change(inside, OLGA.email).status_code == 303
    assert change(inside, ALICE.email.upper()).status_code == 303
    assert owner(acting) == ALICE.id
    assert (roles_of(acting, ALICE), roles_of(acting, OLGA)) == ({"admin"}, set())
    assert change(inside, OLGA.email, keep="y").status_code == 303
    assert (owner(acting), roles_of(acting, ALICE), roles_of(acting, OLGA)) == (OLGA.id, {"admin"}, {"admin"})
    deliver()
    for person in (ALICE, OLGA):
        assert told(seen_by, person) == {("given", "tenant_owner"), ("taken", "tenant_owner")}
    rows = ask("SELECT detail FROM platform_audit WHERE action = 'tenant.change_owner' ORDER BY seq")
    assert [row[0]["owner"] for row in rows] == [str(p.id) for p in (OLGA, ALICE, OLGA)]
    assert rows[1][0]["former"] == str(OLGA.id)
    assert ALICE.email not in str(rows)
    with seen_by(CIRCLE) as session:
        acts = session.execute(
            select(AuditEntry.actor_kind, AuditEntry.object_id).where(AuditEntry.action == "tenant.change_owner")
        ).all()
    assert [tuple(act) for act in acts] == [("operator", CIRCLE.id)] * 3


def test_a_stranger_is_invited_and_once_more_until_they_came(inside, acting, deliver, sink):
    """The former owner stays until the operator says otherwise: it was `keep`."""
    change(inside, OLGA.email)
    assert change(inside, "new.owner@krug.example", keep="y").status_code == 303
    deliver()
    (first,) = sink.at("new.owner@krug.example")
    assert "/invite/" in first.get_body(("plain",)).get_content()
    assert change(inside, "new.owner@krug.example", keep="y").status_code == 303
    deliver()
    assert len(sink.at("new.owner@krug.example")) == 2
    assert roles_of(acting, OLGA) == {"admin"}


def test_a_new_link_ends_the_one_before_and_another_owner_ends_both(inside, app, deliver, sink, sign_in, seen_by):
    """Security.md 8: random, kept as a hash, replaceable; nobody in the circle withdraws it. Seen red without
    `withdraw_owners`: a mistyped address kept its way to the account of an admin.
    """
    links = []
    for _ in range(2):
        change(inside, "new.owner@krug.example", keep="y")
        deliver()
        links.append(link_in(sink, "new.owner@krug.example"))
    new = CheckedClient(app, host="circle.localhost")
    assert [new.get(link).status_code for link in links] == [410, 200]
    with seen_by(CIRCLE) as session:
        waiting = session.scalar(select(Invitation.id).where(Invitation.withdrawn_at.is_(None)))
        kept = set(session.scalars(select(Invitation.token_hash)))
    assert kept == {hashlib.sha256(link.rpartition("/")[2].encode()).hexdigest() for link in links}
    olga = sign_in(OLGA)
    assert "/withdrawal" not in olga.get("/admin/invitations").text
    assert "alone can name another" in olga.post(f"/admin/invitations/{waiting}/withdrawal", follow_redirects=True).text
    change(inside, OLGA.email, keep="y")
    assert new.get(links[1]).status_code == 410


def test_no_other_admin_gives_the_owner_a_contact_of_their_own(inside, acting):
    """They could ask for a new password by it. Seen red without the look at the owner."""
    change(inside, OLGA.email)
    with acting(CIRCLE):
        roles.grant_role(ALICE.id, "admin")
    with acting(CIRCLE, ALICE), pytest.raises(roles.Untouchable, match="owner"):
        service.edit_member(OLGA.id, name=OLGA.name, phone=None, email="mine@circle.example")
    with acting(CIRCLE, ALICE):
        service.edit_member(OLGA.id, name="Olga K.", phone=OLGA.phone or None, email=OLGA.email)


def test_nobody_in_the_circle_takes_the_owner_away(inside, acting):
    """Seen red without the owner's line in `roles.refuse_last_admin`: another admin took the role, stopped and erased."""
    change(inside, OLGA.email)
    with acting(CIRCLE):
        roles.grant_role(ALICE.id, "admin")
    with acting(CIRCLE, ALICE), pytest.raises(roles.LastAdmin, match="owner"):
        roles.take_role(OLGA.id, "admin")
    with acting(CIRCLE, ALICE), pytest.raises(roles.LastAdmin, match="owner"):
        service.suspend(OLGA.id, reason="x")
    with acting(CIRCLE, ALICE), pytest.raises(roles.LastAdmin, match="owner"):
        erasure.erase(OLGA.id, reason="asked")
    change(inside, ALICE.email)
    with acting(CIRCLE), pytest.raises(roles.LastAdmin, match="owner"):
        roles.take_role(ALICE.id, "admin")


@pytest.mark.parametrize(
    ("email", "said"), [(OLGA.email, "is the owner already"), (BOB.email, "is stopped here"), ("no mail", "E-mail")]
)
def test_what_cannot_be_is_refused(inside, acting, email, said):
    change(inside, OLGA.email)
    with acting(CIRCLE):
        service.suspend(BOB.id, reason="x")
    answer = change(inside, email)
    assert answer.status_code == 422
    assert said in answer.text
    assert owner(acting) == OLGA.id


def test_it_asks_who_the_operator_is(inside, acting):
    """A proof of the last five minutes, as for all that changes a tenant."""
    ask("UPDATE operator_sessions SET proved_at = clock_timestamp() - interval '6 minutes'")
    answer = post(inside, page_of(inside) + "/owner", email=ALICE.email)
    assert (answer.status_code, answer.location.partition("?")[0]) == (303, "/confirm")
    assert owner(acting) is None
