"""The demo's Telegram: the Bot API, the sign-in page and a chat with each bot, so that every way can be walked here.

`python -m portal.embedded.telegram PORT DIRECTORY`. It plays Telegram's part by Telegram's own rules: it signs with the
token that the bot showed it, sends updates with the secret that `setWebhook` gave, and takes the answer in the reply.
"""

import argparse
import hashlib
import hmac
import json
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from uuid import uuid4

import requests
import waitress
from jinja2 import Environment, PackageLoader, StrictUndefined
from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import Map, Rule
from werkzeug.utils import redirect

from .mailbox_pages import CSP, HERE
from .ports import LOOPBACK

URLS = Map([
    Rule("/", endpoint="list_messages", methods=["GET"]),
    Rule("/messages.json", endpoint="list_as_json", methods=["GET"]),
    Rule("/mailbox.css", endpoint="style", methods=["GET"]),
    Rule("/say", endpoint="say", methods=["POST"]),
    Rule("/auth", endpoint="auth", methods=["GET"]),
    Rule("/app/<int:bot_id>", endpoint="app", methods=["GET"]),
    Rule("/bot<token>/<method>", endpoint="call", methods=["GET", "POST"]),
    Rule("/<username>", endpoint="chat", methods=["GET"]),
])  # fmt: skip
TOKEN = re.compile(r"([1-9][0-9]{2,15}):[A-Za-z0-9_-]{20,80}")
PEOPLE = ((5001, "Nina", "Petrova", "nina"), (5002, "Sam", "Lee", "samlee"), (5003, "Ольга", "", "olga_o"))
STOPPED, FLOODED = 403, 429  # a chat whose number ends so behaves so
CSP_OF_AUTH = CSP.replace("form-action 'self'; ", "")  # its form leads to the portal by a redirect


class TelegramServer:
    """A WSGI application. Tokens that end in `wrong` are nobody's; chats ending in 403 stopped the bot, in 429 are busy."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._templates = Environment(
            loader=PackageLoader("portal.embedded", "mailbox_templates"), autoescape=True, undefined=StrictUndefined
        )

    def __call__(self, environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
        request = Request(environ)
        try:
            endpoint, values = URLS.bind_to_environ(environ).match()
            response: Response = getattr(self, f"_{endpoint}")(request, **values)
        except HTTPException as error:
            response = Response(f"{error.code} {error.name}\n", status=error.code, mimetype="text/plain")
        response.headers.setdefault("Content-Security-Policy", CSP)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response(environ, start_response)  # type: ignore[arg-type]  # typeshed's WSGI types and werkzeug's differ

    def messages(self, chat: int | None = None) -> list[dict[str, Any]]:
        """What bots wrote, newest first; to one person when given."""
        kept = [json.loads(file.read_text()) for file in self._directory.glob("message-*.json")]
        wanted = [one for one in kept if chat is None or one["chat_id"] == chat]
        return sorted(wanted, key=lambda one: str(one["at"]), reverse=True)

    def bots(self) -> list[dict[str, Any]]:
        """The bots that have spoken to this server: id, token, hook, secret."""
        return [json.loads(file.read_text()) for file in sorted(self._directory.glob("bot-*.json"))]

    def adopt(self, token: str, hook: str, secret: str) -> None:
        """Know a bot as if it had called `setWebhook`."""
        self._remember(int(token.partition(":")[0]), token=token, hook=hook, secret=secret)

    def update(self, bot_id: int, content: Mapping[str, Any]) -> int:
        """Send an update to the bot's webhook; returns the status of its answer. What the answer says is kept."""
        bot = self._bot(bot_id)
        parts = urlsplit(bot.get("hook", ""))
        if not parts.hostname:
            raise NotFound
        local = parts.hostname == "localhost" or parts.hostname.endswith(".localhost")
        host = LOOPBACK if local else parts.hostname
        port = parts.port or (443 if parts.scheme == "https" else 80)
        answer = requests.post(
            f"{parts.scheme}://{host}:{port}{parts.path}",
            json={"update_id": time.time_ns() % 2**31, **content},
            headers={"Host": parts.netloc, "X-Telegram-Bot-Api-Secret-Token": bot.get("secret", "")},
            timeout=10,
            allow_redirects=False,
        )
        if answer.ok and answer.content:
            told = answer.json()
            if told.get("method") == "sendMessage":
                self._keep(bot_id, int(told["chat_id"]), str(told["text"]))
        return answer.status_code

    def says(self, bot_id: int, person: Mapping[str, Any], text: str) -> int:
        """Somebody writes to the bot."""
        chat = {"id": person["id"], "type": "private"}
        message = {"message_id": 1, "date": int(time.time()), "chat": chat, "from": person, "text": text}
        return self.update(bot_id, {"message": message})

    def word(self, bot_id: int, person: Mapping[str, Any]) -> str:
        """What Telegram's sign-in page puts behind the # for this person: base64url of signed fields."""
        fields = {
            name: value
            for name, value in person.items()
            if value and name in {"id", "first_name", "last_name", "username"}
        }
        fields |= {"photo_url": f"https://t.me/i/userpic/320/{uuid4().hex}.svg", "auth_date": int(time.time())}
        secret = hashlib.sha256(self._bot(bot_id)["token"].encode()).digest()
        fields["hash"] = hmac.new(secret, _lines(fields), hashlib.sha256).hexdigest()
        return urlsafe_b64encode(json.dumps(fields).encode()).decode().rstrip("=")

    def init_data(self, bot_id: int, person: Mapping[str, Any]) -> str:
        """The initData with which the Mini App is opened for this person."""
        fields = {
            "query_id": uuid4().hex,
            "user": json.dumps(dict(person), ensure_ascii=False),
            "auth_date": str(int(time.time())),
        }
        secret = hmac.new(b"WebAppData", self._bot(bot_id)["token"].encode(), hashlib.sha256).digest()
        fields["hash"] = hmac.new(secret, _lines(fields), hashlib.sha256).hexdigest()
        return urlencode(fields, quote_via=quote)

    def _call(self, request: Request, token: str, method: str) -> Response:
        known = TOKEN.fullmatch(token)
        if known is None or token.endswith("wrong"):
            return _answer(401, description="Unauthorized")
        bot_id, sent = int(known[1]), request.values
        if method == "getMe":
            self._remember(bot_id, token=token)
            return _answer(
                200,
                result={"id": bot_id, "is_bot": True, "first_name": "Krug", "username": f"krug_{bot_id}_bot"},
            )
        if method in {"setWebhook", "deleteWebhook"}:
            hook = sent.get("url", "") if method == "setWebhook" else ""
            self._remember(bot_id, token=token, hook=hook, secret=sent.get("secret_token", ""))
            return _answer(200, result=True)
        if method == "sendMessage":
            return self._send(bot_id, sent)
        return _answer(404, description="Not Found")

    def _send(self, bot_id: int, sent: Mapping[str, str]) -> Response:
        chat, words = sent.get("chat_id", ""), sent.get("text", "")
        if not chat.isdigit() or not words or len(words) > 4096:  # noqa: PLR2004  Telegram's own limit
            return _answer(400, description="Bad Request: message text is empty")
        number = int(chat)
        if number % 1000 == STOPPED:
            return _answer(403, description="Forbidden: bot was blocked by the user")
        if number % 1000 == FLOODED:
            return _answer(429, description="Too Many Requests: retry after 3", parameters={"retry_after": 3})
        self._keep(bot_id, number, words)
        message = {"message_id": 1, "date": int(time.time()), "chat": {"id": number, "type": "private"}, "text": words}
        return _answer(200, result=message)

    def _say(self, request: Request) -> Response:
        person = _person(request.form)
        self.says(int(request.form.get("bot_id", "0")), person, request.form.get("text", ""))
        return redirect(f"/?chat={person['id']}", code=303)

    def _auth(self, request: Request) -> Response:
        """Telegram's sign-in page: who are you?"""
        back = request.args.get("return_to", "")
        bot_id = int(request.args.get("bot_id", "0"))
        if not back.startswith(request.args.get("origin", "-") + "/"):
            raise NotFound
        if "id" in request.args:
            return redirect(f"{back}#tgAuthResult={self.word(bot_id, _person(request.args))}")
        page = self._page("telegram_auth.html", people=PEOPLE, asked=request.args, host=urlsplit(back).netloc)
        page.headers["Content-Security-Policy"] = CSP_OF_AUTH
        return page

    def _app(self, request: Request, bot_id: int) -> Response:
        """Open the Mini App as somebody."""
        parts = urlsplit(self._bot(bot_id).get("hook", ""))
        data = quote(self.init_data(bot_id, _person(request.args)), safe="")
        return redirect(f"{parts.scheme}://{parts.netloc}/telegram/app#tgWebAppData={data}&tgWebAppVersion=9.0")

    def _chat(self, request: Request, username: str) -> Response:
        bot = next((bot for bot in self.bots() if f"krug_{bot['id']}_bot" == username), None)
        if bot is None:
            raise NotFound
        return self._list_messages(request, f"/start {request.args.get('start', '')}".strip(), bot["id"])

    def _list_messages(self, request: Request, words: str = "", bot_id: int = 0) -> Response:
        chat = request.args.get("chat", "")
        return self._page(
            "telegram.html",
            messages=self.messages(int(chat) if chat.isdigit() else None),
            chat=chat,
            bots=self.bots(),
            people=PEOPLE,
            words=words,
            bot_id=bot_id,
        )

    def _list_as_json(self, request: Request) -> Response:
        chat = request.args.get("chat", "")
        kept = self.messages(int(chat) if chat.isdigit() else None)
        return Response(json.dumps(kept, ensure_ascii=False), mimetype="application/json")

    def _style(self, _request: Request) -> Response:
        return Response((HERE / "mailbox.css").read_text(), mimetype="text/css")

    def _page(self, template: str, **context: object) -> Response:
        return Response(self._templates.get_template(template).render(context), mimetype="text/html")

    def _bot(self, bot_id: int) -> dict[str, Any]:
        bot = next((bot for bot in self.bots() if bot["id"] == bot_id), None)
        if bot is None:
            raise NotFound
        return bot

    def _remember(self, bot_id: int, **values: str) -> None:
        known = next((bot for bot in self.bots() if bot["id"] == bot_id), {"id": bot_id})
        self._write(f"bot-{bot_id}", {**known, **values})

    def _keep(self, bot_id: int, chat: int, words: str) -> None:
        kept = {"bot_id": bot_id, "chat_id": chat, "text": words, "at": datetime.now(UTC).isoformat()}
        self._write(f"message-{uuid4().hex}", kept)

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        draft = self._directory / f"{name}.{uuid4().hex}.draft"
        draft.write_text(json.dumps(content, ensure_ascii=False))
        draft.rename(self._directory / f"{name}.json")


def _person(asked: Mapping[str, str]) -> dict[str, Any]:
    number = asked.get("id", "")
    if not number.isdigit():
        raise NotFound
    known = next(((n, *rest) for n, *rest in PEOPLE if n == int(number)), (int(number), "Guest", "", ""))
    names = dict(zip(("id", "first_name", "last_name", "username"), known, strict=True))
    return {**names, "is_bot": False, "language_code": "en"}


def _lines(fields: Mapping[str, Any]) -> bytes:
    return "\n".join(f"{name}={fields[name]}" for name in sorted(fields)).encode()


def _answer(status: int, **values: Any) -> Response:
    fine = status == 200  # noqa: PLR2004
    told = {"ok": fine, **values} if fine else {"ok": False, "error_code": status, **values}
    return Response(json.dumps(told), status=status, mimetype="application/json")


def main() -> None:
    parser = argparse.ArgumentParser(description="A Telegram that keeps everything")
    parser.add_argument("port", type=int)
    parser.add_argument("directory", type=Path)
    options = parser.parse_args()
    waitress.serve(TelegramServer(options.directory), host=LOOPBACK, port=options.port, threads=4, ident="telegram")


if __name__ == "__main__":
    main()
