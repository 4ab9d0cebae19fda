"""In by Telegram: who is let in, who becomes a member, what is never taken over (TMA-2, S11, R16)."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select

from portal.identity.models import Consent, DeviceSession, ForeignIdentity, Referral, User
from portal.identity.service import suspend
from portal.kernel.audit import AuditEntry
from portal.messages.models import Notification
from portal.telegram import service
from portal.telegram.models import TelegramAccount, TelegramBot
from portal.telegram.signed import Told
from tests.cast import ALICE, CIRCLE, EVE, GLOBEX, MALLORY, OLGA
from tests.identity.test_factors import app_of

TOKEN = "4242:a-bot-for-the-tests-of-circle"
NINA, SAM = {"id": 5001, "first_name": "Nina", "username": "nina"}, {"id": 5002, "first_name": "Sam", "username": "sam"}


def told(person, digest="d"):
    return Told(person["id"], person["first_name"], "", person["username"], "en", 0, digest)


@pytest.fixture
def bot(telegram, acting):
    """The circle's bot, connected by its admin."""
    with acting(CIRCLE, OLGA):
        service.connect(TOKEN)
    return telegram


def arrive(client, bot, person, *, word=None, path="/telegram/start", **more):
    """Go to Telegram and come back with its word, as the page's script does."""
    sent = client.get(path, query_string=more)
    assert sent.status_code == 303
    asked = parse_qs(urlsplit(sent.location).query)
    assert asked["bot_id"] == ["4242"]
    state = parse_qs(urlsplit(asked["return_to"][0]).query)["state"][0]
    return client.post("/telegram/login", data={"state": state, "result": word or bot.word(4242, person)})


def linked(acting, person, who):
    with acting(CIRCLE, person):
        service.link(person.id, told(who))


def test_a_linked_member_comes_in_and_their_session_says_how(bot, acting, visitor, seen_by):
    linked(acting, EVE, NINA)
    client = visitor(csrf=True)
    answer = arrive(client, bot, NINA, next="/me/wallet")
    assert (answer.status_code, answer.location) == (303, "/me/wallet")
    assert client.get("/me").status_code == 200
    with seen_by(CIRCLE) as session:
        assert session.scalars(select(DeviceSession.amr).where(DeviceSession.user_id == EVE.id)).all() == ["tg"]


def test_whoever_has_an_authenticator_app_owes_its_code_too(bot, acting, visitor):
    """S4: Telegram is one factor."""
    linked(acting, EVE, NINA)
    app_of(acting, EVE)
    client = visitor(csrf=True)
    arrive(client, bot, NINA)
    assert client.get("/welcome").location == "/login/second"
    assert client.get("/me").status_code == 303


def test_the_same_word_lets_in_once(bot, acting, visitor):
    """S11."""
    linked(acting, EVE, NINA)
    word = bot.word(4242, NINA)
    assert arrive(visitor(csrf=True), bot, NINA, word=word).status_code == 303
    assert arrive(visitor(csrf=True), bot, NINA, word=word).status_code == 422


def test_anothers_answer_in_a_link_signs_nobody_in(bot, acting, visitor):
    """Whoever did not go to Telegram from this browser does not come back from there."""
    linked(acting, EVE, NINA)
    client = visitor(csrf=True)
    assert client.post("/telegram/login", data={"state": "", "result": bot.word(4242, NINA)}).status_code == 422
    client.get("/telegram/start")
    assert client.post("/telegram/login", data={"state": "x", "result": bot.word(4242, NINA)}).status_code == 422
    assert client.post("/telegram/login", data={"state": "x", "result": "e30"}).status_code == 422
    assert client.get("/me").status_code == 303


def test_the_mini_app_lets_in_once_too(bot, acting, visitor):
    linked(acting, EVE, NINA)
    data = bot.init_data(4242, NINA)
    client = visitor(csrf=True)
    assert "frame-ancestors https://web.telegram.org" in client.get("/telegram/app").headers["Content-Security-Policy"]
    assert client.post("/telegram/app", data={"result": data}).status_code == 303
    assert client.get("/telegram/app").location == "/me"
    assert visitor(csrf=True).post("/telegram/app", data={"result": data}).status_code == 422
    assert visitor(csrf=True).post("/telegram/app", data={"result": data + "&x=1"}).status_code == 422


def test_a_stranger_agrees_and_is_a_member(bot, visitor, seen_by, deliver):
    client = visitor(csrf=True)
    assert arrive(client, bot, SAM).location == "/telegram/join"
    page = client.get("/telegram/join")
    assert "Sam" in page.text
    assert client.post("/telegram/join", data={"name": "Sam Lee"}).status_code == 422  # agreed to nothing
    answer = client.post("/telegram/join", data={"name": "Sam Lee", "agreed": "y", "marketing": "y"})
    assert answer.status_code == 303
    assert "Sam Lee" in client.get("/me/profile").text
    deliver()
    with seen_by(CIRCLE) as session:
        member = session.scalars(select(User).where(User.name == "Sam Lee")).one()
        assert member.joined_via == "telegram"
        agreed = session.scalars(select(Consent.purpose).where(Consent.member_id == member.id)).all()
        assert sorted(agreed) == ["marketing", "privacy", "terms"]
    again = visitor(csrf=True)
    assert arrive(again, bot, SAM).location == "/welcome"


def test_nobody_joins_without_telegrams_word(bot, visitor):
    client = visitor(csrf=True)
    assert client.get("/telegram/join").location == "/join"
    assert client.post("/telegram/join", data={"name": "X", "agreed": "y"}).location == "/join"


def test_a_suspended_member_stays_outside(bot, acting, visitor):
    linked(acting, EVE, NINA)
    with acting(CIRCLE, OLGA):
        suspend(EVE.id, reason="Chargebacks")
    answer = arrive(visitor(csrf=True), bot, NINA)
    assert answer.status_code == 403
    assert "Chargebacks" in answer.text


def test_linking_and_unlinking_on_the_page_of_safety(bot, acting, sign_in, deliver, seen_by):
    alice = sign_in(ALICE)
    assert "Link Telegram" in alice.get("/me/security").text
    assert arrive(alice, bot, NINA, link=1).location == "/me/security"
    assert "@nina" in alice.get("/me/security").text
    assert alice.post("/me/security/telegram/unlinking").status_code == 303
    assert "Link Telegram" in alice.get("/me/security").text
    deliver()
    with seen_by(CIRCLE) as session:
        kinds = session.scalars(select(Notification.kind).where(Notification.member_id == ALICE.id)).all()
    assert {"identity.linked", "identity.unlinked"} <= set(kinds)


def test_anothers_telegram_is_never_taken_over(bot, acting, sign_in, seen_by, visitor):
    """TMA-2: the owner stays, the asker is told, staff find a note."""
    linked(acting, EVE, NINA)
    alice = sign_in(ALICE)
    answer = arrive(alice, bot, NINA, link=1)
    assert answer.status_code == 409
    assert "another member" in answer.text
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(ForeignIdentity.user_id)) == EVE.id
        note = session.scalars(select(AuditEntry).where(AuditEntry.action == "telegram.claim")).one()
        assert (note.object_id, str(EVE.id) in note.reason) == (ALICE.id, True)
    assert "Telegram of another member" in sign_in(OLGA).get(f"/admin/members/{ALICE.id}").text


def test_the_only_way_in_is_not_cut(bot, visitor, acting, seen_by):
    client = visitor(csrf=True)
    arrive(client, bot, SAM)
    client.post("/telegram/join", data={"name": "Sam Lee", "agreed": "y"})
    with seen_by(CIRCLE) as session:
        sam = session.scalar(select(User.id).where(User.name == "Sam Lee"))
    with acting(CIRCLE), pytest.raises(service.LastWayIn):
        service.unlink(sam)


def test_another_tenant_knows_neither_bot_nor_person(bot, acting, visitor):
    linked(acting, EVE, NINA)
    assert visitor(GLOBEX).get("/telegram/start").status_code == 404
    assert visitor(GLOBEX).get("/telegram/app").status_code == 404
    with acting(GLOBEX, MALLORY):
        service.connect("4343:a-bot-for-the-tests-of-globex")
        service.link(MALLORY.id, told(NINA))  # the same person, a member of both
    client = visitor(csrf=True)
    assert arrive(client, bot, NINA, word=bot.word(4343, NINA)).status_code == 422  # the other bot's token


def test_the_token_is_sealed_and_shown_nowhere(bot, sign_in, seen_by):
    with seen_by(CIRCLE) as session:
        row = session.scalars(select(TelegramBot)).one()
        assert TOKEN.encode() not in row.token
        assert service.token() == TOKEN
        shown = session.scalars(select(AuditEntry).where(AuditEntry.action == "telegram.connect")).one()
        assert "tests-of-circle" not in str(shown.changes)
    assert "tests-of-circle" not in sign_in(OLGA).get("/admin/settings/telegram").text


def test_a_bot_is_connected_only_when_telegram_knows_it(telegram, sign_in, visitor):
    olga = sign_in(OLGA)
    assert "Sign in with Telegram" not in visitor().get("/login").text
    for wrong in ("nothing", "4242:../../x", "4242:this-token-is-nobodys-and-wrong"):
        answer = olga.post("/admin/settings/telegram", data={"token": wrong})
        assert answer.status_code == 422
        assert "refuses" in answer.text
    assert olga.post("/admin/settings/telegram", data={"token": TOKEN}).status_code == 303
    assert "@krug_4242_bot" in olga.get("/admin/settings/telegram").text
    assert "Sign in with Telegram" in visitor().get("/login").text
    known = telegram.bots()[0]
    assert known["hook"].startswith(f"http://{CIRCLE.host}:8000/hooks/telegram/")
    assert olga.post("/admin/settings/telegram/disconnection").status_code == 303
    assert telegram.bots()[0]["hook"] == ""
    assert "Sign in with Telegram" not in visitor().get("/login").text


@pytest.mark.commits
def test_one_telegram_two_members_at_once_one_wins(telegram, acting, seen_by):
    """R16."""
    start = threading.Barrier(8)

    def claim(person):
        with acting(CIRCLE, person):
            start.wait()
            try:
                service.link(person.id, told(NINA))
            except service.LinkedElsewhere:
                return False
            return True

    people = [EVE, ALICE] * 4
    with ThreadPoolExecutor(8) as pool:
        won = {person.name for person, fine in zip(people, pool.map(claim, people), strict=True) if fine}
    assert len(won) == 1
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(func.count()).select_from(ForeignIdentity)) == 1
        assert session.scalar(select(func.count()).select_from(TelegramAccount)) == 1


def test_who_was_brought_by_a_link_and_joins_by_telegram_counts(bot, sign_in, visitor, seen_by):
    """The code of the link waits in the browser's session. Seen red with `join` that did not keep it."""
    alice = sign_in(ALICE)
    alice.post("/me/referral")
    code = re.search(r"/join\?ref=([A-Z0-9]{8})", alice.get("/me/referral").text)[1]
    client = visitor(csrf=True)
    assert "/telegram/start" in client.get(f"/join?ref={code}").text
    client.get("/login")
    arrive(client, bot, SAM)
    client.post("/telegram/join", data={"name": "Sam Lee", "agreed": "y"})
    with seen_by(CIRCLE) as session:
        assert session.execute(select(Referral.referrer_id, Referral.code)).one() == (ALICE.id, code)
    client.post("/logout")
    assert code not in client.get("/join").text  # the next person at this browser came by themselves
