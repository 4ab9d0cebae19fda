"""S14: support sees a member's pages with a banner, under both names in the log, and can change nothing; the member is told."""

import pytest
from sqlalchemy import select, text

from portal.extensions import db
from portal.identity import devices
from portal.kernel.audit import AuditEntry
from portal.kernel.commands import command
from portal.kernel.errors import LookingOnly
from portal.messages.models import Notification
from tests.cast import ALICE, BOB, CIRCLE, GLOBEX, IRINA, OLGA, SAM, TRENT

REASON = "Cannot see the coupon"


def look(client, member=ALICE, reason=REASON):
    return client.post(f"/admin/members/{member.id}/looking", data={"reason": reason})


def test_support_sees_the_members_pages_under_a_banner_and_comes_back(sign_in, seen_by):
    support = sign_in(SAM)
    assert look(support).status_code == 303
    page = support.get("/me").text
    assert f"You see the pages of {ALICE.name}." in page
    assert support.get("/admin").status_code == 403, "only the member's own pages"
    back = support.submit("/me")
    assert back.headers["Location"].endswith(f"/admin/members/{ALICE.id}")
    assert ALICE.name in support.get(f"/admin/members/{ALICE.id}").text
    assert "You see the pages of" not in support.get("/me").text
    with seen_by(CIRCLE):
        entry = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "session.stop_looking")).one()
        assert (entry.actor_id, entry.on_behalf_of) == (SAM.id, ALICE.id)
        began = db.session.scalars(select(AuditEntry).where(AuditEntry.action == "session.look")).one()
        assert (began.actor_id, began.object_id, began.reason) == (SAM.id, ALICE.id, REASON)


def test_the_member_is_told_why_and_may_end_it(sign_in, seen_by, deliver):
    support, alice = sign_in(SAM), sign_in(ALICE)
    look(support)
    deliver()
    with seen_by(CIRCLE):
        kinds = db.session.scalars(select(Notification.kind).where(Notification.member_id == ALICE.id)).all()
    assert "member.looked_at" in kinds
    assert REASON in alice.get("/me/notifications").text
    page = alice.get("/me/security").text
    assert "Support, looking at your pages" in page
    alice.post("/me/security/revocations")
    assert support.get("/me").status_code == 303, "the look is over"


def test_nothing_can_be_changed_on_any_route(app, sign_in, seen_by):
    """Every unsafe route answers 403 and no table has another row than before."""
    support = sign_in(SAM)
    look(support)
    counted = text(
        "SELECT (SELECT count(*) FROM ledger_transactions) + (SELECT count(*) FROM purchases) + (SELECT count(*) FROM audit_entries)"
    )
    with seen_by(CIRCLE):
        before = db.session.execute(counted).scalar_one()
    tried, wrong = 0, []
    for rule in app.url_map.iter_rules():
        if (
            rule.arguments
            or "POST" not in rule.methods
            or rule.endpoint in {"identity.stop_looking", "identity.language", "identity.theme"}
        ):
            continue
        if (
            rule.rule.startswith(("/api/", "/hooks/"))
            or getattr(app.view_functions[rule.endpoint], "room", "") == "ops"
        ):
            continue
        tried += 1
        status = support.post(rule.rule).status_code
        if status != 403:
            wrong.append((rule.rule, status))
    assert wrong == []
    assert tried > 10
    support.get("/me/notifications")
    with seen_by(CIRCLE):
        assert db.session.execute(counted).scalar_one() == before, "reading leaves no trace of the member's either"


def test_a_command_refuses_even_where_a_route_would_forget(acting):
    """The second net: no command runs while one looks. Seen red without the check in `command`."""
    from flask import g

    from portal.wallets import service as wallets

    with acting(CIRCLE, SAM):
        g.looking = object()
        with pytest.raises(LookingOnly):
            wallets.adjust(ALICE.id, 100, currency="RUB", reason="x", key="k")
        with pytest.raises(LookingOnly):
            command("test.anything")(lambda: None)()


@pytest.mark.parametrize(("who", "status"), [(OLGA, 403), (TRENT, 404), (SAM, 422)])
def test_who_may_not_be_looked_at(sign_in, who, status):
    answer = look(sign_in(SAM), who)
    assert answer.status_code in {status, 403}
    assert "You see the pages of" not in answer.text


def test_a_reason_is_needed_and_only_support_and_admin_may(sign_in):
    assert look(sign_in(SAM), reason=" ").status_code == 422
    for person in (BOB, IRINA, ALICE):
        assert look(sign_in(person)).status_code == 403
    assert look(sign_in(OLGA)).status_code == 303


def test_posts_and_roles_of_the_member_do_not_pass_to_support(sign_in):
    support = sign_in(SAM)
    assert look(support, IRINA).status_code == 303
    assert support.get("/desk/cafe").status_code == 403
    assert support.get("/me/more").status_code == 200


def test_a_look_is_no_way_to_somebody_elses_tenant(sign_in):
    support = sign_in(SAM)
    look(support)
    assert support.get("/me", base_url=f"http://{GLOBEX.host}:8000").status_code == 303


def test_support_signs_a_member_out_everywhere(sign_in):
    alice = sign_in(ALICE)
    assert alice.get("/me").status_code == 200
    sign_in(SAM).post(f"/admin/members/{ALICE.id}/sessions/end")
    assert alice.get("/me").status_code == 303


@pytest.mark.parametrize(
    ("ip", "place"),
    [
        ("8.8.8.8", "United States"),
        ("77.88.8.8", "Russia"),
        ("192.168.1.4", "your own network"),
        ("", ""),
        ("x", ""),
        ("2001:4860:4860::8888", "United States"),
    ],
)
def test_a_device_is_shown_with_its_country(app, ip, place):
    with app.test_request_context("/"):
        assert devices.place(ip) == place


def test_support_opens_a_members_notice_and_it_stays_unread(sign_in, seen_by, deliver):
    """Seen red while opening one was always reading it: 403."""
    support = sign_in(SAM)
    look(support)
    deliver()
    with seen_by(CIRCLE):
        own = db.session.scalars(select(Notification).where(Notification.member_id == ALICE.id)).all()
    notice = next(row for row in own if row.kind == "member.looked_at")
    assert support.get(f"/me/notifications/{notice.id}").status_code == 303
    with seen_by(CIRCLE):
        moments = select(Notification.read_at, Notification.seen_at).where(Notification.id == notice.id)
        assert tuple(db.session.execute(moments).one()) == (None, None)
    sign_in(ALICE).get(f"/me/notifications/{notice.id}")
    with seen_by(CIRCLE):
        assert db.session.execute(moments).one().read_at


def test_nothing_of_the_member_stays_in_supports_browser(sign_in):
    support = sign_in(SAM)
    assert "X-Looking" not in sign_in(ALICE).get("/me/card").headers, (
        "a member's own card is kept for when there is no network"
    )
    look(support)
    assert support.get("/me/card").headers["X-Looking"], "what sw.js goes by"
    back = support.submit("/me")
    assert back.headers["Clear-Site-Data"] == '"cache", "storage"'
