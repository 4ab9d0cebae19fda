"""The pages of invitations: the link's own, the admin's, a shop's, and lists of people (security.md 8, S7, S15)."""

import io
import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.identity import roles
from portal.identity import service as members
from portal.identity.models import DeviceSession, RoleAssignment, TenantRole, User
from portal.invitations import service
from portal.invitations.models import Invitation
from portal.invitations.service import Guest, Offer
from portal.partners.models import BusinessStaff
from portal.partners.service import add_location
from tests.cast import ALICE, BOB, BOOKS, CAFE, CAROL, CIRCLE, EVE, GLOBEX, IRINA, OLGA, PASSWORD
from tests.checked import Outline
from tests.invitations.conftest import NEW, NEWCOMER, accept
from tests.post import code_in

LIST = """name;email;phone;language;role;business
Anna Lind;anna@new.example;;en;;
Pavel Orlov;;+7 912 555 01 77;ru;cashier;cafe
No Mail;;;;;
Bad Mail;not a@mail;;;;
Anna Again;ANNA@new.example;;;;
Alice;alice@circle.example;;;;
Wrong Role;w@new.example;;;chief;
Wrong Shop;s@new.example;;;cashier;nowhere
Tongue;t@new.example;;fr;;
"""


@pytest.fixture
def offer():
    return Offer("cashier", business_id=CAFE.id)


def test_looking_at_the_link_does_not_use_it_up(visitor, invited, offer):
    """S15: three scanners of mail open it before Nora does; and the address is told to nobody."""
    token = invited(Guest(NEWCOMER, offer=offer), by=IRINA)
    for _ in range(3):
        page = visitor().get(f"/invite/{token}")
        assert page.status_code == 200
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["Cache-Control"] == "no-store"
    for words in ("Irina Zotova", "Par Coffee", "Cashier", "Circle", NEWCOMER):
        assert words in page.text
    assert visitor().head(f"/invite/{token}").status_code == 200
    answer = visitor().submit(f"/invite/{token}", form="accept", name="Nora New", agreed="y")
    assert (answer.status_code, answer.location) == (303, "/welcome")
    assert visitor().get(f"/invite/{token}").status_code == 410
    assert "does not work any more" in visitor().get(f"/invite/{token}").text


def test_who_accepts_is_in_and_the_inviter_sees_it(visitor, sign_in, invited, offer):
    token = invited(Guest(NEWCOMER, "Nora", offer=offer), by=IRINA)
    assert "waiting" in sign_in(IRINA).get("/desk/cafe/invitations").text
    browser = visitor()
    page = browser.get(f"/invite/{token}")
    assert 'value="Nora"' in page.text
    browser.submit(f"/invite/{token}", form="accept", name="Nora New", agreed="y", password=NEW)
    assert browser.get("/welcome").location == "/till/cafe"
    seen = sign_in(IRINA).get("/desk/cafe/invitations").text
    assert "accepted" in seen
    assert "Nora New" in seen
    answer = visitor().submit("/login", form="sign-in", email=NEWCOMER, password=NEW)
    assert answer.status_code == 303


def test_the_form_says_what_is_missing_and_the_link_keeps(visitor, invited):
    token = invited(Guest(NEWCOMER), by=OLGA)
    browser = visitor()
    refused = browser.submit(f"/invite/{token}", form="accept", name="", password="short")
    assert refused.status_code == 422
    weak = browser.submit(f"/invite/{token}", form="accept", name="Nora New", password="short", agreed="y")
    assert weak.status_code == 422
    assert "at least 12" in weak.text
    assert browser.submit(f"/invite/{token}", form="accept", name="Nora New", agreed="y").status_code == 303


def test_a_member_who_is_signed_in_accepts_with_one_button(sign_in, invited, offer, seen_by):
    token = invited(Guest(ALICE.email, offer=offer), by=IRINA)
    browser = sign_in(ALICE)
    page = browser.get(f"/invite/{token}")
    assert "You accept as Alice Morozova" in page.text
    assert 'name="password"' not in page.text
    answer = browser.submit(f"/invite/{token}", form="accept")
    assert answer.location == "/welcome"
    assert browser.get("/till/cafe").status_code == 200  # the session before ended with the change of roles (S2)
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(BusinessStaff.role).where(BusinessStaff.user_id == ALICE.id)) == "cashier"


def test_a_role_that_needs_a_second_factor_leads_to_making_one(visitor, sign_in, acting, invited, seen_by):
    """S4: what the role demands holds from the first page on."""
    from portal.identity.rules import require_factor
    from portal.tenants import hosts

    token = invited(Guest(NEWCOMER, offer=Offer("support")), by=OLGA)
    with acting(CIRCLE, OLGA):
        require_factor(["support"])
    hosts.forget()
    browser = visitor()
    browser.submit(f"/invite/{token}", form="accept", name="Nora New", agreed="y")
    with seen_by(CIRCLE) as session:
        nora = session.scalar(select(User.id).where(User.email == NEWCOMER))
        assert session.scalars(select(DeviceSession.state).where(DeviceSession.user_id == nora)).all() == ["half"]
    assert browser.get("/admin").status_code == 303


def test_the_wrong_person_is_told_and_can_sign_out(sign_in, invited, offer):
    token = invited(Guest(ALICE.email, offer=offer), by=IRINA)
    browser = sign_in(EVE)
    page = browser.get(f"/invite/{token}")
    assert "Eve Sokolova" in page.text
    assert "/logout" in page.text
    assert browser.post(f"/invite/{token}").status_code == 409
    assert "Alice" not in page.text


def test_who_signs_in_elsewhere_accepts_and_signs_in_as_always(visitor, invited, offer):
    token = invited(Guest(ALICE.email, offer=offer), by=IRINA)
    browser = visitor()
    assert "sign in as always" in browser.get(f"/invite/{token}").text
    answer = browser.submit(f"/invite/{token}", form="accept")
    assert (answer.status_code, answer.location) == (303, "/login")
    browser.submit("/login", form="sign-in", email=ALICE.email, password=PASSWORD)
    assert browser.get("/till/cafe").status_code == 200


def test_a_link_of_another_tenant_is_no_link_here(visitor, invited):
    token = invited(Guest(NEWCOMER), by=OLGA)
    assert visitor(GLOBEX).get(f"/invite/{token}").status_code == 410
    assert visitor().get("/invite/" + "x" * 43).status_code == 410
    refused = visitor(GLOBEX, csrf=True).post(f"/invite/{token}", data={"name": "Nora", "agreed": "y"})
    assert refused.status_code == 410
    assert visitor().get(f"/invite/{token}").status_code == 200


def test_the_letter_speaks_the_invited_persons_language(acting, deliver, sink):
    with acting(CIRCLE, IRINA):
        service.invite(Guest(NEWCOMER, locale="ru", offer=Offer("cashier", business_id=CAFE.id)))
        service.invite(Guest("emma@new.example", locale="en"))
    deliver()
    russian, english = sink.at(NEWCOMER)[0], sink.at("emma@new.example")[0]
    assert russian["Subject"] == "Irina Zotova приглашает вас работать в Par Coffee"
    assert english["Subject"] == "Irina Zotova invites you to Circle"
    assert "Кассир" in russian.get_body(("plain",)).get_content()


def test_a_phone_gets_the_link_by_text(acting, deliver, texts, visitor):
    with acting(CIRCLE, OLGA):
        service.invite(Guest("8 912 555 01 99"))
    deliver()
    body = texts.to("+79125550199")[0]
    path = body[body.index("/invite/") :].split()[0]
    assert visitor().submit(path, form="accept", name="Paul Phone", agreed="y").status_code == 303


def test_without_a_provider_a_phone_is_refused_with_words(sign_in):
    refused = sign_in(OLGA).submit("/admin/invitations/new", form="invite", contact="+79125550199")
    assert refused.status_code == 422
    assert "No text message can be sent from here" in refused.text


def test_a_redelivered_letter_is_sent_once(app, acting, deliver, sink, seen_by):
    with acting(CIRCLE, OLGA):
        service.invite(Guest(NEWCOMER))
    deliver()
    with acting(CIRCLE):
        from portal.kernel.outbox import OutboxMessage
        from portal.messages.invitations import send_guests

        with seen_by(CIRCLE) as session:
            again = session.scalars(select(OutboxMessage).where(OutboxMessage.type == "invitation.asked")).one()
        assert send_guests([again]) == {}
    assert len(sink.at(NEWCOMER)) == 1


# ── the admin's pages ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_admin_invites_sends_again_and_withdraws(sign_in, links, age, seen_by, only):
    browser = sign_in(OLGA)
    answer = browser.submit("/admin/invitations/new", form="invite", contact=NEWCOMER, name="Nora", locale="ru")
    assert answer.location == "/admin/invitations"
    page = browser.get("/admin/invitations")
    assert NEWCOMER in page.text
    refused = browser.submit("/admin/invitations/new", form="invite", contact=NEWCOMER)
    assert refused.status_code == 422
    assert "invited already" in refused.text
    assert len(links(NEWCOMER)) == 1
    age(timedelta(minutes=5))
    browser.post(f"/admin/invitations/{only()}/again")
    assert len(links(NEWCOMER)) == 2
    browser.post(f"/admin/invitations/{only()}/withdrawal")
    assert "withdrawn" in browser.get("/admin/invitations?f.state=withdrawn").text
    assert NEWCOMER not in browser.get("/admin/invitations?f.state=waiting").text


def test_one_that_ran_out_stands_as_such_and_can_be_sent_again(sign_in, invited, age, only, links, visitor):
    invited(Guest(NEWCOMER), by=OLGA)
    age(timedelta(days=8))
    browser = sign_in(OLGA)
    assert NEWCOMER in browser.get("/admin/invitations?f.state=expired").text
    browser.post(f"/admin/invitations/{only()}/again")
    assert visitor().get(f"/invite/{links(NEWCOMER)[-1]}").status_code == 200


def test_the_admin_invites_somebody_to_a_role(sign_in, links, visitor, seen_by):
    browser = sign_in(OLGA)
    wrong = browser.submit("/admin/invitations/staff", form="invite", contact=NEWCOMER, role="cashier", business="")
    assert wrong.status_code == 422
    assert "Choose the business" in wrong.text
    answer = browser.submit("/admin/invitations/staff", form="invite", contact=NEWCOMER, role="finance", business="")
    assert answer.location == "/admin/invitations"
    visitor().submit(f"/invite/{links(NEWCOMER)[0]}", form="accept", name="Nora New", agreed="y")
    with seen_by(CIRCLE) as session:
        nora = session.scalar(select(User.id).where(User.email == NEWCOMER))
        assert session.scalars(select(TenantRole.role).where(TenantRole.user_id == nora)).all() == ["finance"]


def test_inviting_staff_asks_who_one_is_first(sign_in, seen_by):
    """Step-up: whoever finds a desk open for an hour does not bring friends into the circle."""
    from flask import g
    from sqlalchemy import text

    browser = sign_in(OLGA)
    with seen_by(CIRCLE) as session:
        g.seeding = True
        session.execute(text("UPDATE device_sessions SET proved_at = proved_at - interval '6 minutes'"))
        session.commit()
        g.seeding = False
    answer = browser.submit("/admin/invitations/staff", form="invite", contact=NEWCOMER, role="finance", business="")
    assert answer.location.startswith("/me/confirm")
    assert browser.get("/admin/invitations/file").location.startswith("/me/confirm")
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(Invitation.id)).all() == []


def test_support_does_not_invite(sign_in):
    from tests.cast import SAM

    assert sign_in(SAM).get("/admin/invitations").status_code == 403


# ── a shop's pages ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_owner_invites_to_their_shop_only_and_sees_their_own(sign_in, invited, seen_by):
    invited(Guest("books@new.example", offer=Offer("cashier", business_id=BOOKS.id)), by=OLGA)
    browser = sign_in(IRINA)
    answer = browser.submit("/desk/cafe/invitations", form="invite", contact=NEWCOMER, role="manager")
    assert answer.location == "/desk/cafe/invitations"
    page = browser.get("/desk/cafe/invitations")
    assert NEWCOMER in page.text
    assert "books@new.example" not in page.text
    with seen_by(CIRCLE) as session:
        foreign = session.scalar(select(Invitation.id).where(Invitation.business_id == BOOKS.id))
    assert browser.post(f"/desk/cafe/invitations/{foreign}/withdrawal").status_code == 404
    assert browser.post(f"/desk/cafe/invitations/{foreign}/again").status_code == 404
    assert sign_in(CAROL).get("/desk/cafe/invitations").status_code == 403


# ── lists ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def upload(browser, url, content, **more):
    data = {"file": (io.BytesIO(content), "people.csv"), **more}
    return browser.post(url, data=data, content_type="multipart/form-data")


def send_all(browser, url, page):
    """Press the button under what was read."""
    form = next(form for form in Outline(page).forms if form["id"] == "send-all")
    return browser.post(url, data=dict(form["fields"]), csrf=False)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1251", "utf-16"])
def test_a_list_is_shown_with_its_bad_lines_before_anything_is_sent(sign_in, texts, seen_by, links, encoding):
    browser = sign_in(OLGA)
    page = upload(browser, "/admin/invitations/file", LIST.replace("Anna Lind", "Анна Линд").encode(encoding)).text
    assert "2 people can be invited" in page
    assert "7 lines are left out" in page
    for words in (
        "Анна Линд",
        "no e-mail and no phone",
        "not an e-mail address",
        "stands in the list twice",
        "Alice Morozova is a member already",
        "no such role",
        "no such business",
        "a language that is not spoken here",
    ):
        assert words in page
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(Invitation.id)).all() == []
    answer = send_all(browser, "/admin/invitations/file", page)
    assert answer.location == "/admin/invitations"
    assert len(links("anna@new.example")) == 1
    assert "/invite/" in texts.to("+79125550177")[0]
    with seen_by(CIRCLE) as session:
        rows = session.execute(select(Invitation.kind, Invitation.role, Invitation.locale).order_by(Invitation.kind))
        assert [tuple(row) for row in rows] == [("member", None, "en"), ("staff", "cashier", "ru")]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "must name the columns"),
        ("one,two\n1,2\n", "must name the columns"),
        ("email\n" + "".join(f"p{n}@new.example\n" for n in range(501)), "at most 500"),
        ("email\n" + "a-long-address-of-somebody@new.example\n" * 3000, "too long"),
    ],
)
def test_a_file_that_is_no_list_is_refused_with_words(sign_in, content, words):
    answer = upload(sign_in(OLGA), "/admin/invitations/file", content.encode())
    assert answer.status_code == 422
    assert words in answer.text


def test_a_list_of_the_shop_names_no_other_shop_and_no_role_over_the_circle(sign_in):
    content = "email,role,business\na@new.example,cashier,\nb@new.example,cashier,books\nc@new.example,admin,\nd@new.example,,\n"
    page = upload(sign_in(IRINA), "/desk/cafe/invitations/file", content.encode()).text
    assert "1 person can be invited" in page
    assert "no such business" in page
    assert "no role: cashier, manager, owner or one" in page


def test_an_owner_invites_to_one_of_the_circles_own_roles_at_a_place(sign_in, acting, links, seen_by):
    with acting(CIRCLE, OLGA):
        poster = roles.create_role("Poster", "business", ["desk.read"])
        roles.create_role("Herald", "tenant", ["members.read"])
    with acting(CIRCLE):
        place = add_location(CAFE.id, name="Corner")
    browser = sign_in(IRINA)
    page = browser.get("/desk/cafe/invitations").text
    assert "Poster" in page
    assert "Herald" not in page
    sent = browser.submit(
        "/desk/cafe/invitations", form="invite", contact=NEWCOMER, role=str(poster), location_id=str(place)
    )
    assert sent.status_code == 303
    (token,) = links(NEWCOMER)
    with acting(CIRCLE):
        done = accept(token, name="Nora New")
    with seen_by(CIRCLE) as session:
        held = session.execute(
            select(RoleAssignment.role_id, RoleAssignment.business_id, RoleAssignment.location_id).where(
                RoleAssignment.user_id == done.member_id
            )
        ).all()
    assert held == [(poster, CAFE.id, place)]
    listed = upload(browser, "/desk/cafe/invitations/file", b"email,role\na@new.example,poster\nb@new.example,herald\n")
    assert "1 person can be invited" in listed.text
    assert "no such role" in listed.text


def test_nobody_is_offered_a_role_with_more_than_their_own(open_for, acting, seen_by):
    """Who has a role of the circle's own at the shop offers what fits inside it, and a form made by hand is refused.

    Seen red with the form listing every role: the owner's stood there.
    """
    with acting(CIRCLE, OLGA):
        hiring = roles.create_role("Hiring", "business", ["staff.manage", "desk.read"])
        roles.create_role("Poster", "business", ["desk.read"])
        keys = roles.create_role("Keys", "business", ["keys.manage"])
        roles.assign(hiring, ALICE.id, CAFE.id)
    browser = open_for(ALICE)
    page = browser.get("/desk/cafe/invitations").text
    offered = re.findall(r"<option[^>]*>([^<]+)</option>", page.split(' name="role"')[1].split("</select>")[0])
    assert offered == ["Hiring", "Poster"]
    for role in (str(keys), "owner", "admin"):
        sent = browser.post("/desk/cafe/invitations", data={"contact": NEWCOMER, "role": role, "location_id": ""})
        assert sent.status_code == 422
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(Invitation)).all() == []


def test_a_list_keeps_what_is_hostile_as_text(sign_in):
    page = upload(sign_in(OLGA), "/admin/invitations/file", b'name,email\n<script>alert(1)</script>,"a@new.example\n')
    assert "<script>alert" not in page.text
    assert "a quotation mark is not closed" in page.text


# ── members who never signed in ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def enrolled(acting):
    """Three people written in at the till: with a mail, with nothing, with a phone."""
    with acting(CIRCLE, BOB):
        return [
            members.register_member(name=name, email=mail, phone=phone, joined_via="till")
            for name, mail, phone in (
                ("Tim Till", NEWCOMER, None),
                ("Nina Nothing", None, None),
                ("Phil Phone", None, "+79125550155"),
            )
        ]


def test_a_member_of_the_till_is_asked_from_their_page(sign_in, enrolled, links, visitor, seen_by):
    browser = sign_in(OLGA)
    assert f"/admin/invitations/members/{enrolled[0]}" in browser.get(f"/admin/members/{enrolled[0]}").text
    assert "Invite to sign in" not in browser.get(f"/admin/members/{ALICE.id}").text
    answer = browser.submit(f"/admin/invitations/members/{enrolled[0]}", form="invite")
    assert answer.location == f"/admin/members/{enrolled[0]}"
    guest = visitor()
    page = guest.get(f"/invite/{links(NEWCOMER)[0]}")
    assert "Welcome, Tim Till" in page.text
    assert 'name="name"' not in page.text
    assert guest.submit(f"/invite/{links(NEWCOMER)[0]}", form="accept", agreed="y").status_code == 303
    assert "Tim" in guest.get("/me").text
    assert "Invite to sign in" not in browser.get(f"/admin/members/{enrolled[0]}").text


def test_a_contact_of_somebody_else_is_refused(sign_in, enrolled):
    refused = sign_in(OLGA).submit(f"/admin/invitations/members/{enrolled[1]}", form="invite", contact=ALICE.email)
    assert refused.status_code == 422
    assert "Somebody else here has this contact" in refused.text


def test_everybody_of_a_filtered_list_who_never_signed_in_is_asked_once(sign_in, enrolled, links, texts, seen_by):
    browser = sign_in(OLGA)
    listed = browser.get("/admin/members?f.state=card_only").text
    assert "/admin/invitations/members?f.state=card_only" in listed
    page = browser.get("/admin/invitations/members?f.state=card_only").text
    assert "Invite 2 members" in page
    browser.submit("/admin/invitations/members?f.state=card_only", form="ask-all")
    assert len(links(NEWCOMER)) == 1
    assert len(texts.to("+79125550155")) == 1
    again = browser.get("/admin/invitations/members").text
    assert "Nobody is left to ask" in again
    with seen_by(CIRCLE) as session:
        assert set(session.scalars(select(Invitation.member_id))) == {enrolled[0], enrolled[2]}


def test_a_search_narrows_who_is_asked(sign_in, enrolled):
    assert "Invite 1 member" in sign_in(OLGA).get("/admin/invitations/members?q=Tim").text


def test_the_list_takes_as_many_statements_for_one_as_for_many(sign_in, acting, statements):
    browser = sign_in(OLGA)
    counts = []
    for some in (range(1), range(1, 30)):
        with acting(CIRCLE, OLGA):
            for n in some:
                service.invite(Guest(f"g{n}@new.example"))
        browser.get("/admin/invitations")
        with statements() as seen:
            browser.get("/admin/invitations")
        counts.append(sum("invitations" in statement for statement in seen))
    assert counts == [2, 2]  # the page, and how many there are


def test_who_came_by_an_invitation_signs_in_by_a_code_later(visitor, invited, deliver, sink):
    token = invited(Guest(NEWCOMER), by=OLGA)
    visitor().submit(f"/invite/{token}", form="accept", name="Nora New", agreed="y")
    later = visitor()
    later.submit("/login", form="sign-in", email=NEWCOMER, way="code")
    deliver()
    code = code_in(sink.at(NEWCOMER)[-1]["Subject"])
    assert later.submit("/login/code", form="type-code", code=code).location == "/welcome"
