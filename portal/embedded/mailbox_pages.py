"""The demo's mailbox in the browser: what the portal has sent, to whom, in full. A WSGI application.

Mail is foreign text: everything is escaped, links are made of http addresses only, and the HTML part of a message is
shown without scripts and without loading anything.
"""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from werkzeug import Request, Response
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import Map, Rule

from .mailbox import Mail, Mailbox

URLS = Map([
    Rule("/", endpoint="list_messages", methods=["GET"]),
    Rule("/messages.json", endpoint="list_as_json", methods=["GET"]),
    Rule("/messages/<id>", endpoint="show", methods=["GET"]),
    Rule("/messages/<id>/html", endpoint="show_html", methods=["GET"]),
    Rule("/messages/<id>/source", endpoint="show_source", methods=["GET"]),
    Rule("/mailbox.css", endpoint="style", methods=["GET"]),
])  # fmt: skip
CSP = "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
CSP_OF_MAIL = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-popups; frame-ancestors 'self'"
)
ADDRESS = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]}]")
SHOWN_HEADERS = ("From", "To", "Subject", "Date", "Reply-To", "List-Unsubscribe", "Message-ID")
HERE = Path(__file__).parent / "mailbox_templates"


class MailboxPages:
    def __init__(self, directory: Path) -> None:
        self._mailbox = Mailbox(directory)
        self._templates = Environment(
            loader=PackageLoader("portal.embedded", "mailbox_templates"), autoescape=True, undefined=StrictUndefined
        )
        self._templates.filters["linked"] = linked

    def __call__(self, environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
        request = Request(environ)
        try:
            endpoint, values = URLS.bind_to_environ(environ).match()
            response: Response = getattr(self, f"_{endpoint}")(request, **values)
        except HTTPException as error:
            response = Response(f"{error.code} {error.name}\n", status=error.code, mimetype="text/plain")
        response.headers.setdefault("Content-Security-Policy", CSP)
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response(environ, start_response)  # type: ignore[arg-type]  # typeshed's WSGI types and werkzeug's differ

    def _list_messages(self, request: Request) -> Response:
        recipient = request.args.get("to", "")
        return self._page(
            "list.html", mails=self._mailbox.mails(recipient), to=recipient, known=self._mailbox.recipients()
        )

    def _list_as_json(self, request: Request) -> Response:
        mails = [mail.as_dict() for mail in self._mailbox.mails(request.args.get("to", ""))]
        return Response(json.dumps(mails, ensure_ascii=False), mimetype="application/json")

    def _show(self, _request: Request, id: str) -> Response:  # noqa: A002  the name in the address
        mail = self._mail(id)
        headers = [(name, value) for name in SHOWN_HEADERS if (value := mail.header(name))]
        return self._page("show.html", mail=mail, headers=headers)

    def _show_html(self, _request: Request, id: str) -> Response:  # noqa: A002
        html = self._mail(id).html
        if html is None:
            raise NotFound
        return Response(html, mimetype="text/html", headers={"Content-Security-Policy": CSP_OF_MAIL})

    def _show_source(self, _request: Request, id: str) -> Response:  # noqa: A002
        return Response(self._mail(id).source, mimetype="text/plain")

    def _style(self, _request: Request) -> Response:
        return Response((HERE / "mailbox.css").read_text(), mimetype="text/css")

    def _mail(self, mail_id: str) -> Mail:
        mail = self._mailbox.find(mail_id)
        if mail is None:
            raise NotFound
        return mail

    def _page(self, template: str, **context: object) -> Response:
        return Response(self._templates.get_template(template).render(context), mimetype="text/html")


def linked(text: str) -> Markup:
    """The text, escaped, its http addresses as links."""
    parts: list[Markup] = []
    end = 0
    for match in ADDRESS.finditer(text):
        address = escape(match[0])
        parts += [
            escape(text[end : match.start()]),
            Markup('<a href="{0}" target="_blank" rel="noreferrer noopener">{0}</a>').format(address),
        ]
        end = match.end()
    return Markup("").join([*parts, escape(text[end:])])
