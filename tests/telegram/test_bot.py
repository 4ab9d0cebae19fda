"""The bot: updates with its secret, links by a one-time token, codes that go there (D45, S6, S7)."""

import re
from datetime import UTC, datetime
from uuid import uuid4

import pytest
import requests
from sqlalchemy import select

from portal.embedded.telegram import TelegramServer
from portal.identity import codes
from portal.identity.models import ForeignIdentity
from portal.kernel.audit import AuditEntry
from portal.telegram import bot as api
from portal.telegram import service
from portal.telegram.models import BotDialog, BotSession, TelegramAccount, TelegramLogin
from portal.web.security import EXCEPTIONS
from tests.cast import ALICE, CIRCLE, EVE, OLGA
from tests.post import code_in
from tests.telegram.test_sign_in import NINA, SAM, TOKEN, bot, linked  # noqa: F401  a fixture


@pytest.fixture
def chat(bot, visitor):  # noqa: F811
    """Write to the bot as somebody: `chat(NINA, "/start")`; returns what it answers."""

    def chat(person, words="", *, secret=None, **update):
        known = bot.bots()[0]
        message = {"chat": {"id": person["id"], "type": "private"}, "from": person, "text": words}
        answer = visitor().post(
            "/hooks/telegram/" + known["hook"].rpartition("/")[2],
            json={"update_id": 1, **(update or {"message": message})},
            headers={"X-Telegram-Bot-Api-Secret-Token": known["secret"] if secret is None else secret},
        )
        if answer.status_code != 200 or not answer.data:
            return answer.status_code
        assert (answer.json["method"], answer.json["chat_id"]) == ("sendMessage", person["id"])
        return answer.json["text"]

    return chat


def test_a_link_of_a_member_tells_the_bot_who_they_are_once(chat, sign_in, seen_by):
    page = sign_in(ALICE).post("/me/security/telegram").text
    secret = re.search(r"/start ([\w-]+)", page)[1]
    assert "is linked to your account" in chat(NINA, f"/start {secret}")
    assert "used or is too old" in chat(SAM, f"/start {secret}")
    assert "already" in chat(NINA, f"/start {secret}")  # Telegram repeats what it got no answer to
    with seen_by(CIRCLE) as session:
        assert session.execute(select(ForeignIdentity.user_id, ForeignIdentity.subject)).all() == [(ALICE.id, "5001")]
        assert session.scalar(select(BotSession.activity_count).where(BotSession.telegram_id == 5001)) == 2


def test_a_link_does_not_take_anothers_telegram(chat, acting, sign_in, seen_by):
    linked(acting, EVE, NINA)
    secret = re.search(r"/start ([\w-]+)", sign_in(ALICE).post("/me/security/telegram").text)[1]
    assert "another member" in chat(NINA, f"/start {secret}")
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(ForeignIdentity.user_id)) == EVE.id
        assert session.scalar(select(AuditEntry.object_id).where(AuditEntry.action == "telegram.claim")) == ALICE.id


def test_unlinking_asks_first(chat, acting, seen_by):
    linked(acting, ALICE, NINA)
    assert "Answer “yes”" in chat(NINA, "/unlink")
    assert "is linked" in chat(NINA, "no")
    assert "is linked" in chat(NINA, "yes")  # nothing is asked any more
    chat(NINA, "/unlink")
    assert "no longer opens" in chat(NINA, "Yes!")
    assert "To sign in" in chat(NINA, "/start")
    with seen_by(CIRCLE) as session:
        ended = session.scalars(select(BotDialog.end_reason).order_by(BotDialog.started_at)).all()
        assert ended == ["left", "answered"]
        assert session.scalar(select(TelegramAccount.id)) is None


def test_only_telegram_speaks_to_the_hook(chat, bot, visitor):  # noqa: F811
    assert chat(NINA, "/start", secret="") == 404
    assert chat(NINA, "/start", secret="guess") == 404
    secret = {"X-Telegram-Bot-Api-Secret-Token": bot.bots()[0]["secret"]}
    assert visitor().post(f"/hooks/telegram/{uuid4()}", json={}, headers=secret).status_code == 404


def test_what_is_no_private_message_is_left_alone(chat):
    group = {"chat": {"id": -7, "type": "supergroup"}, "from": NINA, "text": "/start"}
    for odd in (
        {"message": group},
        {"message": []},
        {"message": {"chat": {"id": 1}, "from": "x", "text": "x"}},
        {"message": {"chat": {"id": 5001, "type": "private"}, "from": {"id": True}, "text": "x"}},
        {"my_chat_member": "x"},
        {"poll": {}},
    ):
        assert chat(NINA, **odd) == 200


def test_a_code_comes_by_telegram_to_whoever_linked_it(bot, acting, deliver):  # noqa: F811
    linked(acting, ALICE, NINA)
    with acting(CIRCLE):
        assert codes.offered(codes.TELEGRAM)
        challenge = codes.issue(codes.OF_ACCOUNT, codes.TELEGRAM, ALICE.email)
        codes.issue(codes.OF_ACCOUNT, codes.TELEGRAM, EVE.email)  # she has none: nothing is said (S7)
        codes.issue(codes.OF_ACCOUNT, codes.TELEGRAM, "nobody@example.org")
    deliver()
    assert len(bot.messages()) == 1
    sent = bot.messages(5001)[0]["text"]
    with acting(CIRCLE):
        from portal.kernel.commands import command

        redeem = command("test.redeem")(codes.redeem)
        assert redeem(challenge, code_in(sent), purpose=codes.OF_ACCOUNT).member_id == ALICE.id


def test_who_stopped_the_bot_gets_no_code_and_the_page_says_so(chat, bot, acting, deliver, sign_in, seen_by):  # noqa: F811
    stopped = {"id": 7403, "first_name": "Lee", "username": "lee"}
    linked(acting, ALICE, stopped)
    with acting(CIRCLE):
        codes.issue(codes.OF_ACCOUNT, codes.TELEGRAM, ALICE.email)
    deliver()
    assert "The bot is stopped" in sign_in(ALICE).get("/me/security").text
    chat(stopped, "/start")
    assert "The bot is stopped" not in sign_in(ALICE).get("/me/security").text
    change = {"from": stopped, "chat": {"id": 7403}, "new_chat_member": {"status": "kicked"}}
    assert chat(stopped, my_chat_member=change) == 200
    assert "The bot is stopped" in sign_in(ALICE).get("/me/security").text


def test_telegrams_refusals_are_told_apart(telegram, monkeypatch):
    with pytest.raises(api.BotBlocked):
        api.send(TOKEN, 1403, "x")
    with pytest.raises(api.BotFailed):
        api.send(TOKEN, 1429, "x")
    with pytest.raises(api.BotRefused) as refused:
        api.get_me("4242:this-token-is-nobodys-and-wrong")
    assert "nobodys" not in str(refused.value)
    from portal.settings import settings

    monkeypatch.setenv("TELEGRAM_API_URL", "http://127.0.0.1:1")
    settings.cache_clear()
    with pytest.raises(api.BotFailed):
        api.get_me(TOKEN)


def test_the_standins_pages_speak_to_the_hook(telegram: TelegramServer, app, monkeypatch):
    """A chat page, a sign-in page and what was sent; foreign text is escaped."""
    from portal.settings import settings

    base = settings().TELEGRAM_API_URL
    api.get_me(TOKEN)
    api.send(TOKEN, 5001, "<b>hello</b>")
    assert "&lt;b&gt;hello" in requests.get(base, timeout=5).text
    asked = {"bot_id": 4242, "origin": "http://a.example", "return_to": "http://a.example/telegram/login?state=s"}
    assert "Nina" in requests.get(f"{base}/auth", params=asked, timeout=5).text
    back = requests.get(f"{base}/auth", params={**asked, "id": 5001}, timeout=5, allow_redirects=False)
    assert back.headers["Location"].startswith("http://a.example/telegram/login?state=s#tgAuthResult=")
    elsewhere = {**asked, "return_to": "http://evil.example/"}
    assert requests.get(f"{base}/auth", params=elsewhere, timeout=5).status_code == 404


def test_the_policys_exceptions_are_these():
    """D39: only Telegram's own page may frame the Mini App's first one."""
    assert {name: re.findall(r"frame-ancestors [^;]+", text) for name, text in EXCEPTIONS.items()} == {
        "telegram.mini_app": ["frame-ancestors https://web.telegram.org"]
    }


def test_a_link_that_ended_is_dropped_and_the_tie_stays(bot, acting, seed, seen_by):  # noqa: F811
    linked(acting, ALICE, NINA)
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    seed(CIRCLE, TelegramLogin(digest="old", expires_at=long_ago))
    seed(CIRCLE, BotSession(telegram_id=9, started_at=long_ago, last_at=long_ago, activity_count=1))
    with acting(CIRCLE, OLGA):
        service.forget_old()
        assert service.owner_of(5001) == ALICE.id
    with seen_by(CIRCLE) as session:
        assert session.scalar(select(TelegramLogin.id).where(TelegramLogin.digest == "old")) is None
        assert session.scalar(select(BotSession.id).where(BotSession.telegram_id == 9)) is None
