"""NTF-1: who is told what, where."""

import itertools

import pytest
from sqlalchemy import func, select

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.audit import AuditEntry
from portal.kernel.commands import command
from portal.messages import preferences
from portal.messages.inbox import tell
from portal.messages.models import Notification, NotificationPreference
from portal.messages.service import may_send
from portal.messages.texts import KINDS
from portal.messages.workflows import CHANNELS, EMAIL, EVERYTHING, IN_APP, WORKFLOWS, wanted
from tests.cast import ALICE, CIRCLE, EVE, GLOBEX, MALLORY, OLGA, TRENT
from tests.purchases.shop import seeded


@pytest.mark.parametrize(
    ("workflow", "channel", "chosen", "told"),
    [
        ("purchase", EMAIL, {}, True),
        ("work", EMAIL, {}, False),
        ("work", IN_APP, {}, True),
        ("purchase", EMAIL, {("purchase", EMAIL): False}, False),
        ("purchase", EMAIL, {(EVERYTHING, EMAIL): False}, False),
        ("purchase", EMAIL, {("purchase", EMAIL): True, (EVERYTHING, EMAIL): False}, True),
        ("work", EMAIL, {(EVERYTHING, EMAIL): True}, True),
        ("purchase", IN_APP, {("purchase", EMAIL): False}, True),
        ("security", EMAIL, {("security", EMAIL): False, (EVERYTHING, EMAIL): False}, True),
    ],
)
def test_the_first_that_is_set_wins(workflow, channel, chosen, told):
    assert wanted(workflow, channel, chosen) is told


def test_every_kind_belongs_to_a_workflow():
    assert {workflow for workflow, _ in KINDS.values()} <= set(WORKFLOWS)


@command("test.tell")
def tell_alice(kind):
    tell([{"member_id": ALICE.id, "kind": kind, "dedupe_key": "1", "data": {}, "created_at": clock.now()}])


STATES = {
    "as usual": "SELECT 1",
    "suspended": "UPDATE users SET suspended_at = joined_at WHERE tenant_id = :t AND id = :member",
    "archived": "UPDATE users SET archived_at = joined_at WHERE tenant_id = :t AND id = :member",
    "merged": "UPDATE users SET merged_into = :other WHERE tenant_id = :t AND id = :member",
}


@pytest.mark.parametrize(
    ("state", "own", "whole", "kind"),
    list(
        itertools.product(STATES, (None, True, False), (None, False), ("purchase.recorded", "job.done", "test.alarm"))
    ),
)
def test_one_member_and_many_get_the_same_answer(acting, monkeypatch, state, own, whole, kind):
    """`may_send` asks for one, `tell` for a whole batch: 72 cases, no difference. Seen red without the global choice."""
    monkeypatch.setattr("portal.messages.texts.KINDS", {**KINDS, "test.alarm": ("security", KINDS["job.done"][1])})
    workflow = {**{k: w for k, (w, _) in KINDS.items()}, "test.alarm": "security"}[kind]
    with acting(CIRCLE, ALICE):
        chosen = {(workflow, IN_APP): own, (EVERYTHING, IN_APP): whole}
        if made := {key: on for key, on in chosen.items() if on is not None}:
            preferences.choose(ALICE.id, made)
        seeded(STATES[state], member=ALICE.id, other=EVE.id)
        tell_alice(kind)
        told = db.session.scalar(select(func.count()).select_from(Notification))
        assert told == (may_send(ALICE.id, workflow, IN_APP) is None)


def test_may_send_says_why_not(acting):
    with acting(CIRCLE, ALICE):
        assert may_send(ALICE.id, "purchase", EMAIL) is None
        preferences.stop_mail(ALICE.id)
        assert may_send(ALICE.id, "purchase", EMAIL) == "switched_off"
        assert may_send(ALICE.id, "security", EMAIL) is None
        seeded(STATES["suspended"], member=ALICE.id)
        assert may_send(ALICE.id, "purchase", EMAIL) == "suspended"
        assert may_send(ALICE.id, "security", EMAIL) is None
        assert may_send(MALLORY.id, "purchase", EMAIL) == "unknown_member"


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ticks_are_kept(acting, sign_in):
    client = sign_in(ALICE)
    page = client.get("/me/notifications/preferences").text
    assert page.count("checked") == 9  # four workflows on both channels, work in the inbox
    assert "always" in page
    client.post(
        "/me/notifications/preferences", data={"on": ["purchase.email", "tier.in_app", "security.email", "x.y"]}
    )
    with acting(CIRCLE, ALICE):
        chosen = preferences.chosen_by(ALICE.id)
    assert {key for key, on in chosen.items() if on} == {("purchase", EMAIL), ("tier", IN_APP)}
    assert {workflow for workflow, _ in chosen} == set(WORKFLOWS) - {"security"}
    assert {channel for _, channel in chosen} == set(CHANNELS)
    assert client.get("/me/notifications/preferences").text.count("checked") == 2


def test_one_tap_stops_all_mail_whatever_was_chosen_before(acting, sign_in):
    client = sign_in(ALICE)
    client.post("/me/notifications/preferences", data={"on": ["purchase.email", "purchase.in_app"]})
    assert client.post("/me/notifications/mail-stop").status_code == 303
    with acting(CIRCLE, ALICE):
        assert may_send(ALICE.id, "purchase", EMAIL) == "switched_off"
        assert may_send(ALICE.id, "purchase", IN_APP) is None
        assert (
            db.session.scalar(
                select(func.count()).select_from(AuditEntry).where(AuditEntry.action == "notifications.stop_mail")
            )
            == 1
        )
    client.post("/me/notifications/preferences", data={"on": ["purchase.email"]})
    with acting(CIRCLE, ALICE):
        assert may_send(ALICE.id, "purchase", EMAIL) is None


def test_a_post_without_a_token_changes_nothing(acting, sign_in):
    for url in ("/me/notifications/preferences", "/me/notifications/mail-stop"):
        assert sign_in(ALICE).post(url, csrf=False).status_code == 400
    with acting(CIRCLE, ALICE):
        assert db.session.scalar(select(func.count()).select_from(NotificationPreference)) == 0


# ── out of a mail ───────────────────────────────────────────────────────────────────────────────────────────────────


def token_of(person, acting):
    with acting(person.tenant):
        return preferences.unsubscribe_token(person.id)


def test_looking_at_the_way_out_does_nothing_and_the_button_does(acting, visitor):
    token = token_of(ALICE, acting)
    browser = visitor()
    for _ in range(3):
        page = browser.get(f"/unsubscribe/{token}")
        assert page.status_code == 200
        assert ALICE.name not in page.text
        assert ALICE.email not in page.text
    with acting(CIRCLE):
        assert may_send(ALICE.id, "purchase", EMAIL) is None
    assert browser.submit(f"/unsubscribe/{token}", form="unsubscribe").status_code == 200
    with acting(CIRCLE):
        assert may_send(ALICE.id, "purchase", EMAIL) == "switched_off"
        assert may_send(EVE.id, "purchase", EMAIL) is None
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "notifications.stop_mail")).one()
        assert (entry.actor_id, entry.object_id) == (ALICE.id, ALICE.id)


def test_one_click_of_a_mail_program_does_it_without_cookie_and_token(acting, app):
    """RFC 8058: a bare POST of the one field, sent by the mail program's server."""
    token = token_of(ALICE, acting)
    with app.test_client() as program:
        answer = program.post(
            f"/unsubscribe/{token}", base_url=f"http://{CIRCLE.host}:8000", data={"List-Unsubscribe": "One-Click"}
        )
    assert answer.status_code == 200
    with acting(CIRCLE):
        assert may_send(ALICE.id, "purchase", EMAIL) == "switched_off"


def test_a_token_is_good_for_its_tenant_and_unaltered(acting, visitor):
    token = token_of(ALICE, acting)
    foreign = token_of(TRENT, acting)
    for host, wrong in (
        (GLOBEX, token),
        (CIRCLE, foreign),
        (CIRCLE, token[:-2]),
        (CIRCLE, "x"),
        (CIRCLE, token + "xx"),
    ):
        assert visitor(host).get(f"/unsubscribe/{wrong}").status_code == 404
        assert visitor(host).post(f"/unsubscribe/{wrong}").status_code == 404
    with acting(CIRCLE):
        assert db.session.scalar(select(func.count()).select_from(NotificationPreference)) == 0


def test_preferences_of_others_are_out_of_reach(acting, sign_in):
    sign_in(OLGA).post("/me/notifications/mail-stop")
    with acting(CIRCLE):
        assert may_send(ALICE.id, "purchase", EMAIL) is None
        assert may_send(OLGA.id, "purchase", EMAIL) == "switched_off"
