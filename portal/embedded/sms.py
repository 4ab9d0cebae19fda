"""The demo's SMS provider: takes every text message over Twilio's HTTP and shows it in the browser.

`python -m portal.embedded.sms PORT DIRECTORY`
"""

import argparse
import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import waitress
from jinja2 import Environment, PackageLoader, StrictUndefined
from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from .mailbox_pages import CSP, HERE
from .ports import LOOPBACK

URLS = Map([
    Rule("/2010-04-01/Accounts/<account>/Messages.json", endpoint="take", methods=["POST"]),
    Rule("/", endpoint="list_messages", methods=["GET"]),
    Rule("/messages.json", endpoint="list_as_json", methods=["GET"]),
    Rule("/mailbox.css", endpoint="style", methods=["GET"]),
])  # fmt: skip
NUMBER = re.compile(r"\+[1-9]\d{6,14}")
LONGEST = 1600  # Twilio's own limit


class SmsProvider:
    """A WSGI application. Numbers that end in 0000 do not exist: 21211, as Twilio says it."""

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
        response.headers["Content-Security-Policy"] = CSP
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response(environ, start_response)  # type: ignore[arg-type]  # typeshed's WSGI types and werkzeug's differ

    def messages(self, number: str = "") -> list[dict[str, Any]]:
        """What was taken, newest first; of one number when given."""
        kept = [json.loads(file.read_text()) for file in self._directory.glob("SM*.json")]
        wanted = [one for one in kept if not number or one["to"] == number]
        return sorted(wanted, key=lambda one: str(one["received_at"]), reverse=True)

    def _take(self, request: Request, account: str) -> Response:
        known = request.authorization
        if known is None or known.username != account or not known.password:
            return _refusal(401, 20003, "Authenticate")
        to, body = request.form.get("To", ""), request.form.get("Body", "")
        if not NUMBER.fullmatch(to) or to.endswith("0000"):
            return _refusal(400, 21211, "Invalid 'To' Phone Number")
        if not body or len(body) > LONGEST:
            return _refusal(400, 21617, "The concatenated message body exceeds the 1600 character limit")
        sid = f"SM{uuid4().hex}"
        kept = {
            "sid": sid,
            "to": to,
            "from": request.form.get("From", ""),
            "body": body,
            "received_at": datetime.now(UTC).isoformat(),
        }
        draft = self._directory / f"{sid}.draft"
        draft.write_text(json.dumps(kept, ensure_ascii=False))
        draft.rename(self._directory / f"{sid}.json")
        answer = {"sid": sid, "status": "queued", "to": to, "from": kept["from"], "body": body, "error_code": None}
        return Response(json.dumps(answer), status=201, mimetype="application/json")

    def _list_messages(self, request: Request) -> Response:
        number = request.args.get("to", "").strip()
        number = f"+{number}" if number.isdigit() else number
        page = self._templates.get_template("sms.html").render(messages=self.messages(number), to=number)
        return Response(page, mimetype="text/html")

    def _list_as_json(self, request: Request) -> Response:
        number = request.args.get("to", "").strip()  # a plus in an address is a space
        kept = self.messages(f"+{number}" if number.isdigit() else number)
        return Response(json.dumps(kept, ensure_ascii=False), mimetype="application/json")

    def _style(self, _request: Request) -> Response:
        return Response((HERE / "mailbox.css").read_text(), mimetype="text/css")


def _refusal(status: int, code: int, words: str) -> Response:
    told = {"code": code, "message": words, "status": status}
    return Response(json.dumps(told), status=status, mimetype="application/json")


def main() -> None:
    parser = argparse.ArgumentParser(description="An SMS provider that keeps everything")
    parser.add_argument("port", type=int)
    parser.add_argument("directory", type=Path)
    options = parser.parse_args()
    waitress.serve(SmsProvider(options.directory), host=LOOPBACK, port=options.port, threads=4, ident="sms")


if __name__ == "__main__":
    main()
