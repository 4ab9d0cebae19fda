"""Roles and permissions: the matrix, roles of a circle's own, giving and taking (G1 to G3, S2, R14)."""

import threading

import pytest
from flask_babel import force_locale
from sqlalchemy import select

from portal.extensions import db
from portal.identity import roles
from portal.identity.models import CustomRole, RoleAssignment, TenantRole
from portal.kernel.audit import AuditEntry
from portal.kernel.authz import Permission as P
from portal.kernel.errors import Conflict
from portal.partners import keys, service
from tests.cast import ALICE, BOB, BOOKS, CAFE, CIRCLE, ED, EVE, FRANK, GLOBEX, IRINA, OLGA, SAM

PAGE = "/admin/roles"


@pytest.fixture
def roles_of(seen_by):
    def roles_of(person):
        with seen_by(CIRCLE) as session:
            return sorted(session.scalars(select(TenantRole.role).where(TenantRole.user_id == person.id)))

    return roles_of


def make(acting, name="Auditor", reach="tenant", permissions=("audit.read", "dashboard.read"), who=OLGA):
    with acting(CIRCLE, who):
        return roles.create_role(name, reach, permissions)


def test_the_page_says_who_may_what_in_words(sign_in):
    page = sign_in(OLGA).get(PAGE).text
    for text in ("Roles and permissions", "Olga Klimova", "give refunds", "read the audit log", "None yet."):
        assert text in page, text


def test_every_permission_of_a_circle_has_its_words(app):
    from portal.identity import labels

    with app.test_request_context(base_url=f"http://{CIRCLE.host}:8000"):
        assert set(labels.permissions()) == set(P) - {P.OPERATORS_READ, P.TENANTS_MANAGE}


@pytest.mark.parametrize("who", [ALICE, BOB, IRINA, ED, SAM, FRANK])
def test_only_who_manages_roles_sees_and_gives_them(sign_in, who, roles_of):
    browser = sign_in(who)
    assert browser.get(PAGE).status_code == 403
    assert browser.post(PAGE, data={"who": who.email, "role": "admin"}).status_code == 403
    assert "admin" not in roles_of(who)


def test_a_role_is_given_and_taken_and_both_end_the_sessions(sign_in, roles_of, seen_by):
    """S2: the session from before opens nothing after the role has changed."""
    olga, alice = sign_in(OLGA), sign_in(ALICE)
    assert alice.get("/me").status_code == 200
    answer = olga.submit(PAGE, form="grant-form", who=ALICE.email, role="finance", follow_redirects=True)
    assert "Alice Morozova has the role now" in answer.text
    assert roles_of(ALICE) == ["finance"]
    assert alice.get("/me").status_code in {302, 303}
    with seen_by(CIRCLE) as session:
        grant = session.scalars(select(TenantRole.id).where(TenantRole.user_id == ALICE.id)).one()
    assert olga.post(f"{PAGE}/grants/{grant}/end").status_code == 303
    assert roles_of(ALICE) == []
    with seen_by(CIRCLE) as session:
        acts = session.execute(
            select(AuditEntry.action, AuditEntry.actor_id, AuditEntry.object_id).order_by(AuditEntry.seq)
        ).all()
    assert [row for row in acts if row.action.startswith("role.")] == [
        ("role.grant", OLGA.id, ALICE.id),
        ("role.take", OLGA.id, ALICE.id),
    ]


def test_the_last_admin_stays(acting, sign_in, seen_by, roles_of):
    with seen_by(CIRCLE) as session:
        own = session.scalars(select(TenantRole.id).where(TenantRole.user_id == OLGA.id)).one()
    answer = sign_in(OLGA).post(f"{PAGE}/grants/{own}/end")
    assert answer.status_code == 409
    assert "This is the last admin." in answer.text
    from portal.identity.service import suspend

    with acting(CIRCLE), pytest.raises(roles.LastAdmin):
        suspend(OLGA.id, reason="gone")
    with acting(CIRCLE, OLGA):
        roles.grant_role(SAM.id, "admin")
    with acting(CIRCLE):
        suspend(SAM.id, reason="gone")  # who is stopped does not count
    with acting(CIRCLE, OLGA), pytest.raises(roles.LastAdmin):
        roles.take_role(OLGA.id, "admin")
    assert "admin" in roles_of(OLGA)


def test_a_role_of_our_own_opens_what_it_says_and_nothing_else(acting, open_for, sign_in):
    with acting(CIRCLE, OLGA):
        role = roles.create_role("Auditor", "tenant", ["audit.read", "dashboard.read"])
        roles.assign(role, EVE.id)
    eve = open_for(EVE)
    assert [eve.get(url).status_code for url in ("/admin/audit", "/admin/members", "/admin/settings", PAGE)] == [
        200, 403, 403, 403,
    ]  # fmt: skip
    with acting(CIRCLE, OLGA):
        roles.update_role(role, "Auditor", ["members.read"])
    assert eve.get("/admin/members").status_code in {302, 303}  # signs in anew
    eve = open_for(EVE)
    assert [eve.get(url).status_code for url in ("/admin/audit", "/admin/members")] == [403, 200]
    page = sign_in(OLGA).get(PAGE).text
    assert "Auditor" in page
    assert "Eve Sokolova" in page
    with acting(CIRCLE, OLGA):
        roles.delete_role(role)
    assert open_for(EVE).get("/admin/members").status_code == 403


def test_a_role_at_a_business_holds_there_alone(acting, open_for):
    role = make(acting, "Bookkeeper", "business", ["desk.read", "purchases.read"])
    with acting(CIRCLE, OLGA):
        row = roles.assign(role, EVE.id, CAFE.id)
        with pytest.raises(roles.InvalidRole):
            roles.assign(role, EVE.id)
    eve = open_for(EVE)
    urls = ("/desk/cafe/purchases", "/desk/books/purchases", "/till/cafe", "/desk/cafe/staff", "/admin/audit")
    assert [eve.get(url).status_code for url in urls] == [200, 403, 403, 403, 403]
    assert "Bookkeeper" in eve.get("/me/more").text
    with acting(CIRCLE, OLGA):
        roles.unassign(row)
    assert open_for(EVE).get("/desk/cafe/purchases").status_code == 403


@pytest.fixture
def open_for(sign_in, seen_by):
    """A browser of somebody whose sessions ended before: it carries their present epoch."""
    from portal.identity.models import DeviceSession, User

    def open_for(person):
        browser = sign_in(person)
        with seen_by(person.tenant) as session:
            from flask import g

            g.seeding = True
            epoch = session.scalar(select(User.auth_epoch).where(User.id == person.id))
            newest = session.scalars(
                select(DeviceSession).where(DeviceSession.user_id == person.id, DeviceSession.revoked_at.is_(None))
            ).all()
            for row in newest:
                row.auth_epoch = epoch
            session.commit()
            g.seeding = False
        return browser

    return open_for


def test_nobody_gives_makes_or_takes_more_than_they_have(acting):
    helper = make(acting, "Helper", permissions=["roles.manage", "members.read"])
    with acting(CIRCLE, OLGA):
        roles.assign(helper, SAM.id)  # support and the helper's
        strong = roles.create_role("Strong", "tenant", ["settings.update"])
        strong_row = roles.assign(strong, ED.id)
    refused = (
        lambda: roles.grant_role(SAM.id, "admin"),
        lambda: roles.grant_role(ALICE.id, "finance"),
        lambda: roles.take_role(OLGA.id, "admin"),
        lambda: roles.create_role("Mine", "tenant", ["wallets.adjust"]),
        lambda: roles.update_role(helper, "Helper", ["settings.update"]),
        lambda: roles.update_role(strong, "Weak", ["members.read"]),
        lambda: roles.delete_role(strong),
        lambda: roles.assign(strong, SAM.id),
        lambda: roles.unassign(strong_row),
        lambda: service.add_staff(CAFE.id, SAM.id, "cashier"),
        lambda: keys.create_key(CAFE.id, "Till"),
    )
    for act in refused:
        with acting(CIRCLE, SAM), pytest.raises(roles.TooMuch):
            act()
    with acting(CIRCLE, SAM):
        roles.grant_role(ALICE.id, "editor")  # all of which support has
    with acting(CIRCLE, IRINA):
        service.add_staff(CAFE.id, EVE.id, "manager")  # an owner, at her own shop
        with pytest.raises(roles.TooMuch):
            service.add_staff(BOOKS.id, EVE.id, "cashier")


@pytest.mark.parametrize(
    ("name", "reach", "permissions"),
    [
        ("", "tenant", ["audit.read"]),
        ("Admin", "tenant", ["audit.read"]),
        ("x" * 61, "tenant", ["audit.read"]),
        ("Empty", "tenant", []),
        ("Unknown", "tenant", ["audit.rewrite"]),
        ("Operator's", "tenant", ["operators.read"]),
        ("Wide", "business", ["settings.update"]),
        ("Nowhere", "moon", ["audit.read"]),
    ],
)
def test_what_is_no_role_is_refused(acting, name, reach, permissions):
    with acting(CIRCLE, OLGA), pytest.raises(roles.InvalidRole):
        roles.create_role(name, reach, permissions)


def test_a_role_is_made_changed_and_removed_on_its_page(sign_in, seen_by):
    olga = sign_in(OLGA)
    form = {"name_en": "Auditor", "permissions": ["audit.read"]}
    assert olga.submit(f"{PAGE}/new", form="role-form", **form).status_code == 303
    again = olga.submit(f"{PAGE}/new", form="role-form", **form)
    assert again.status_code == 422
    assert "There is a role of that name already." in again.text
    with seen_by(CIRCLE) as session:
        role = session.scalars(select(CustomRole.id)).one()
    assert "read the audit log" in olga.get(f"{PAGE}/{role}").text
    assert olga.submit(PAGE, form="grant-form", who=EVE.email, role=str(role)).status_code == 303
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(RoleAssignment.user_id)).all() == [EVE.id]
    changed = {"name_en": "Reader", "permissions": ["audit.read", "tiers.read"]}
    assert olga.submit(f"{PAGE}/{role}", form="role-form", **changed).status_code == 303
    assert olga.post(f"{PAGE}/{role}/end").status_code == 303
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(RoleAssignment.id)).all() == []
    assert olga.get(f"{PAGE}/{role}").status_code == 404


def test_everybody_reads_the_name_of_a_role_in_their_language(sign_in, open_for, seen_by, deliver):
    """ACH-7: on the admin's page, at the desk, on the member's page, in what the person is told, and in what they may choose.

    Seen red with the name of the first language kept in the event.
    """
    olga, irina = sign_in(OLGA), sign_in(IRINA)
    names = {"name_en": "Shift lead", "name_ru": "Старший смены"}
    olga.submit(f"{PAGE}/new?reach=business", form="role-form", permissions=["desk.read"], **names)
    with seen_by(CIRCLE) as session:
        role = session.scalars(select(CustomRole.id)).one()
    assert olga.submit(PAGE, form="grant-form", who=EVE.email, role=str(role), business=str(CAFE.id)).status_code == 303
    deliver()
    eve = open_for(EVE)
    pages = (
        (olga, PAGE),
        (olga, f"/admin/members/{EVE.id}"),
        (irina, "/desk/cafe/staff"),
        (eve, "/me/notifications"),
        (eve, "/me/more"),
    )
    for locale, word, other in (("en", "Shift lead", "Старший смены"), ("ru", "Старший смены", "Shift lead")):
        for browser, page in pages:
            browser.post("/language", data={"locale": locale})
            text = browser.get(page).text
            assert word in text, (locale, page)
            assert other not in text, (locale, page)


def test_a_name_is_one_roles_in_each_language_and_stays_in_one_that_is_not_shown(acting):
    with acting(CIRCLE, OLGA):
        lead = roles.create_role({"en": "Lead", "ru": "Старший", "de": "Leitung"}, "tenant", ["tiers.read"])
        for names in ({"en": "Lead"}, {"en": "Chief", "ru": " Старший "}):
            with pytest.raises(Conflict):
                roles.create_role(names, "tenant", ["tiers.read"])
        with pytest.raises(roles.InvalidRole):
            roles.create_role({"en": "Chief", "ru": "admin"}, "tenant", ["tiers.read"])
        roles.update_role(lead, {"en": "Head", "ru": ""}, ["tiers.read"])
        (kept,) = roles.custom_roles()
        assert kept.name_i18n == {"en": "Head", "de": "Leitung"}


@pytest.mark.parametrize("names", [{"ru": "А", "en": "B"}, {"en": "B", "de": "C"}, {"de": "C"}, {"pt": "D", "de": "C"}])
def test_a_query_finds_the_name_that_a_page_shows(acting, names):
    with acting(CIRCLE, OLGA), force_locale("ru"):
        roles.create_role(names, "tenant", ["tiers.read"])
        one = db.session.scalars(select(CustomRole)).one()
        assert db.session.scalar(select(CustomRole.name)) == one.name


def test_the_signed_in_person_is_still_one_statement(sign_in, statements):
    olga = sign_in(OLGA)
    olga.get("/me")
    with statements() as seen:
        olga.get("/me")
    assert len([s for s in seen if "device_sessions" in s]) == 1


@pytest.mark.commits
def test_r14_a_role_of_our_own_taken_while_a_request_runs_stops_its_command(acting, open_for, monkeypatch, seen_by):
    """R14 for a role at a business: Eve is at her page of the staff; her role goes before its command begins."""
    from portal.partners.views import staff as pages

    role = make(acting, "Foreman", "business", ["staff.manage", "members.find"])
    with acting(CIRCLE, OLGA):
        row = roles.assign(role, EVE.id, CAFE.id)
        service.add_location(CAFE.id, name="Kiosk")
    eve, let_in, taken = open_for(EVE), threading.Event(), threading.Event()
    act = pages.roles.move

    def slowly(*args, **kwargs):
        let_in.set()
        assert taken.wait(20)
        return act(*args, **kwargs)

    monkeypatch.setattr(pages.roles, "move", slowly)
    answers = []
    request = threading.Thread(target=lambda: answers.append(eve.post(f"/desk/cafe/staff/roles/{row}/place", data={})))
    request.start()
    assert let_in.wait(20)
    with acting(CIRCLE, OLGA):
        roles.update_role(role, "Foreman", ["members.find"])
    taken.set()
    request.join(30)
    assert answers[0].status_code in {302, 303, 403}
    with seen_by(CIRCLE) as session:
        assert "role.move" not in session.scalars(select(AuditEntry.action)).all()


@pytest.mark.commits
def test_r14_a_role_taken_while_a_request_runs_stops_its_command(acting, sign_in, monkeypatch, seen_by):
    """R14: the page let Olga in; her role goes before the page's command begins; nothing is written."""
    from portal.partners.views import businesses as pages

    with acting(CIRCLE):
        roles.grant_role(SAM.id, "admin")
    olga, let_in, taken = sign_in(OLGA), threading.Event(), threading.Event()
    act = pages.service.archive_business

    def slowly(*args, **kwargs):
        let_in.set()
        assert taken.wait(20)
        return act(*args, **kwargs)

    monkeypatch.setattr(pages.service, "archive_business", slowly)
    answers = []
    request = threading.Thread(
        target=lambda: answers.append(olga.post(f"/admin/businesses/{CAFE.id}/closure", data={"reason": "x"}))
    )
    request.start()
    assert let_in.wait(20)
    with acting(CIRCLE, SAM):
        roles.take_role(OLGA.id, "admin")
    taken.set()
    request.join(30)
    assert answers[0].status_code == 403
    assert olga.get("/admin/businesses").status_code in {302, 303}
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(AuditEntry).where(AuditEntry.action == "business.archive")).all() == []


@pytest.mark.commits
def test_two_admins_who_take_the_role_from_each_other_leave_one(acting):
    with acting(CIRCLE):
        roles.grant_role(SAM.id, "admin")
    barrier, ended = threading.Barrier(2), []

    def take(by, of):
        with acting(CIRCLE, by):
            barrier.wait()
            try:
                roles.take_role(of.id, "admin")
            except (roles.LastAdmin, roles.TooMuch) as refused:
                ended.append(type(refused))

    threads = [threading.Thread(target=take, args=pair) for pair in ((OLGA, SAM), (SAM, OLGA))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ended) == 1
    with acting(CIRCLE):
        assert len(db.session.scalars(select(TenantRole).where(TenantRole.role == "admin")).all()) == 1


def test_another_tenants_roles_do_not_exist(acting, sign_in):
    with acting(GLOBEX):
        role = roles.create_role("Theirs", "tenant", ["audit.read"])
    olga = sign_in(OLGA)
    assert "Theirs" not in olga.get(PAGE).text
    assert olga.get(f"{PAGE}/{role}").status_code == 404
    assert olga.post(f"{PAGE}/{role}/end").status_code == 404
