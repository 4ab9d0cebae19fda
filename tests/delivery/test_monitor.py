"""GET /admin/outbox: what waits, what was given up, and sending it again (OUT-4)."""

import re

import pytest
from sqlalchemy import select, text

from portal.delivery.labels import receiver
from portal.extensions import db
from portal.kernel.audit import AuditEntry
from portal.kernel.outbox import OutboxDelivery, subscribers
from tests.cast import BOB, CIRCLE, FRANK, IRINA, MALLORY, OLGA
from tests.purchases.shop import buy, seeded

NAME = "messages.notify_purchase"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def given_up(acting):
    """Two purchases whose notice in the inbox was given up."""
    with acting(CIRCLE, BOB):
        buy(), buy()
        seeded(
            "UPDATE outbox_deliveries SET status = 'dead', attempts = 12, last_error = 'RuntimeError: <no> room'"
            " WHERE tenant_id = :t AND subscriber = :name",
            name=NAME,
        )
        return db.session.scalars(
            select(OutboxDelivery).where(OutboxDelivery.subscriber == NAME).order_by(OutboxDelivery.seq)
        ).all()


def test_every_receiver_has_a_name_for_people(app):
    with app.test_request_context():
        assert [name for name in subscribers() if receiver(name) == name] == []


def states(acting):
    with acting(CIRCLE):
        rows = db.session.execute(
            text("SELECT status, attempts FROM outbox_deliveries WHERE subscriber = :n ORDER BY seq"), {"n": NAME}
        ).all()
        return [tuple(row) for row in rows]


def test_the_monitor_shows_what_waits_and_what_was_given_up(given_up, sign_in, statements):
    olga = sign_in(OLGA)
    olga.get("/admin/outbox")
    with statements() as seen:
        page = olga.get("/admin/outbox")
    assert len(seen) <= 10, seen
    assert "Inbox: purchases" in page.text
    assert page.text.count("RuntimeError: &lt;no&gt; room") == 2
    assert "Nothing is stuck" in olga.get("/admin/outbox?f.subscriber=messages.email_tier").text
    waiting = olga.get("/admin/outbox?f.status=open&f.subscriber=analytics.purchase_facts")
    assert waiting.text.count("purchase.recorded") == 2


def test_the_receivers_ask_again_and_hear_only_news(given_up, acting, sign_in):
    olga = sign_in(OLGA)
    page = olga.get("/admin/outbox").text
    url = re.search(r'hx-get="(/admin/outbox\?seen=\w+)"', page)[1]
    assert olga.get(url, headers=HTMX).status_code in {200, 204}  # the oldest grows older by the second
    with acting(CIRCLE):
        seeded("UPDATE outbox_deliveries SET status = 'delivered', delivered_at = recorded_at WHERE tenant_id = :t")
    url = re.search(r'hx-get="(/admin/outbox\?seen=\w+)"', olga.get("/admin/outbox").text)[1]
    assert olga.get(url, headers=HTMX).status_code == 204
    with acting(CIRCLE, BOB):
        buy()
    news = olga.get(url, headers=HTMX)
    assert news.status_code == 200
    assert "<html" not in news.text


def test_one_is_sent_again_once_with_an_entry_in_the_audit_log(given_up, acting, sign_in, deliver):
    olga = sign_in(OLGA)
    url = f"/admin/outbox/deliveries/{given_up[0].id}/replays"
    assert "goes out again" in olga.post(url, follow_redirects=True).text
    assert states(acting) == [("pending", 11), ("dead", 12)]
    again = olga.post(url, follow_redirects=True)
    assert "not among those given up" in again.text
    deliver()
    assert states(acting) == [("delivered", 12), ("dead", 12)]
    with acting(CIRCLE):
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "delivery.replay")).one()
        assert (entry.actor_id, entry.object_id) == (OLGA.id, given_up[0].id)
        assert db.session.execute(text("SELECT count(*) FROM notifications")).scalar() == 1


def test_all_of_one_receiver_are_sent_again(given_up, acting, sign_in, deliver):
    olga = sign_in(OLGA)
    assert (
        "0 messages" in olga.post("/admin/outbox/replays", data={"subscriber": "jobs.run"}, follow_redirects=True).text
    )
    done = olga.post("/admin/outbox/replays", data={"subscriber": NAME}, follow_redirects=True)
    assert "2 messages go out again" in done.text
    deliver()
    assert states(acting) == [("delivered", 12)] * 2


def test_a_message_shows_its_envelope_and_where_it_went(given_up, sign_in):
    page = sign_in(OLGA).get(f"/admin/outbox/messages/{given_up[0].message_id}")
    assert "purchase.recorded" in page.text
    assert "Given up" in page.text
    assert "Statistics" in page.text


def test_only_admins_of_this_tenant(given_up, acting, sign_in):
    one = given_up[0]
    for person in (IRINA, FRANK, BOB):
        client = sign_in(person)
        assert client.get("/admin/outbox").status_code == 403
        assert client.post(f"/admin/outbox/deliveries/{one.id}/replays").status_code == 403
    mallory = sign_in(MALLORY)
    assert mallory.get(f"/admin/outbox/messages/{one.message_id}").status_code == 404
    assert mallory.post(f"/admin/outbox/deliveries/{one.id}/replays").status_code == 404
    assert "0 messages" in mallory.post("/admin/outbox/replays", follow_redirects=True).text
    assert states(acting) == [("dead", 12)] * 2


@pytest.mark.commits
def test_the_command_line_shows_and_replays(given_up, acting):
    from click.testing import CliRunner

    from portal.cli.outbox import outbox

    shown = CliRunner().invoke(outbox, ["status"])
    assert shown.exit_code == 0, shown.output
    line = next(line for line in shown.output.splitlines() if line.startswith(NAME))
    assert line.split()[1:3] == ["0", "2"]
    assert CliRunner().invoke(outbox, ["replay", "--tenant", "nobody"]).exit_code == 1
    done = CliRunner().invoke(outbox, ["replay", "--tenant", "circle", "--subscriber", NAME])
    assert "2 deliveries go out again" in done.output
    assert states(acting) == [("pending", 11)] * 2
