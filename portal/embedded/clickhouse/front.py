"""The HTTP interface as a WSGI application."""

import hmac
import json
import secrets
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack

from waitress.channel import ClientDisconnected
from werkzeug import Response

from . import USER
from .codec import Encoder, chosen_encoding
from .engine import Answer, Engine
from .errors import AUTHENTICATION_FAILED, REQUIRED_PASSWORD, ClickHouseError
from .request import Request, job_of
from .sessions import Sessions

CONTENT_TYPES = {
    "tabseparated": "text/tab-separated-values; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8; header=absent",
    "csvwithnames": "text/csv; charset=UTF-8; header=present",
    "json": "application/json; charset=UTF-8",
    "jsoneachrow": "application/x-ndjson; charset=UTF-8",
}
Undo = Callable[[], None]


class Front:
    """Answers ClickHouse's HTTP requests from an `Engine`."""

    def __init__(self, engine: Engine, password: str) -> None:
        self._engine = engine
        self._password = password
        self._sessions = Sessions(engine.connect)

    def __call__(self, environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
        request = Request(environ)
        response = self.respond(request)
        return response(environ, start_response)  # type: ignore[arg-type]  # typeshed's WSGI types and werkzeug's differ

    def respond(self, request: Request) -> Response:
        if request.path in {"/ping", "/replicas_status"} or (request.path == "/" and _asks_nothing(request)):
            return Response("Ok.\n", mimetype="text/html")
        if request.path != "/":
            return Response(f"There is no handle {request.path}\n", status=404, mimetype="text/plain")
        try:
            self._authenticate(request)
            return self._run(request)
        except ClickHouseError as error:
            return self._failure(error)

    def _authenticate(self, request: Request) -> None:
        basic = request.authorization
        user = request.argument("user", "User") or (basic.username if basic else None)
        password = request.argument("password", "Key") or (basic.password if basic else None)
        if user and not password:
            raise ClickHouseError.of_ours(REQUIRED_PASSWORD, f"{user}: Password required")
        if not (user and password):
            raise ClickHouseError.of_ours(AUTHENTICATION_FAILED, "default: Authentication failed: no user and password")
        if user != USER or not hmac.compare_digest(password.encode(), self._password.encode()):
            raise ClickHouseError.of_ours(
                AUTHENTICATION_FAILED, f"{user}: Authentication failed: password is incorrect, or there is no such user"
            )

    def _run(self, request: Request) -> Response:
        job = job_of(request)
        session_id = request.args.get("session_id")
        if session_id:
            session = self._sessions.acquire(
                session_id, timeout=request.args.get("session_timeout"), must_exist=request.switch("session_check")
            )
            connection = session.connection
        else:
            connection = self._engine.connect()

        def let_go() -> None:
            if session_id:
                self._sessions.release(session_id, close=request.switch("close_session"))
            else:
                connection.close()

        try:
            answer, undo = self._engine.run(connection, job, in_session=bool(session_id))
        except BaseException:
            let_go()
            raise
        return self._success(
            request, job.format if job.statement.answers or answer.first else None, answer, (undo, let_go)
        )

    def _success(self, request: Request, form: str | None, answer: Answer, after: tuple[Undo, ...]) -> Response:
        encoding = chosen_encoding(
            request.headers.get("Accept-Encoding", ""), enabled=request.switch("enable_http_compression")
        )
        tag = secrets.token_hex(8)
        if answer.rest is None:
            _call_all(after)
            body: bytes | Iterator[bytes] = _whole(answer.first, encoding)
        else:
            body = _pieces(answer.first, answer.rest, encoding, tag)
        response = Response(
            body, content_type=CONTENT_TYPES.get((form or "TabSeparated").lower(), "application/octet-stream")
        )
        if answer.rest is not None:
            response.call_on_close(lambda: _call_all(after))
            response.headers["X-ClickHouse-Exception-Tag"] = tag
        if encoding:
            response.headers["Content-Encoding"] = encoding
        if form:
            response.headers["X-ClickHouse-Format"] = form
        response.headers["X-ClickHouse-Timezone"] = self._engine.timezone
        response.headers["X-ClickHouse-Query-Id"] = request.args.get("query_id") or str(uuid.uuid4())
        response.headers["X-ClickHouse-Summary"] = json.dumps(answer.summary)
        return response

    def _failure(self, error: ClickHouseError) -> Response:
        response = Response(
            f"{error.text} (version {self._engine.version} (official build))\n",
            status=error.status,
            content_type="text/plain; charset=UTF-8",
        )
        response.headers["X-ClickHouse-Exception-Code"] = str(error.code)
        if error.code == REQUIRED_PASSWORD:
            response.headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
        return response


def _asks_nothing(request: Request) -> bool:
    return request.method == "GET" and not request.args.get("query")


def _whole(body: bytes, encoding: str) -> bytes:
    if not encoding:
        return body
    encoder = Encoder(encoding)
    return encoder.encode(body) + encoder.finish() if body else encoder.finish()


def _pieces(first: bytes, rest: Iterator[bytes], encoding: str, tag: str) -> Iterator[bytes]:
    """The answer as it comes. An error in the middle ends the body with its text, without the last chunk."""
    encoder = Encoder(encoding) if encoding else None
    encode = encoder.encode if encoder else bytes
    yield encode(first)
    try:
        for piece in rest:
            yield encode(piece)
    except RuntimeError as problem:
        text = ClickHouseError.of_engine(problem).text + "\n"
        size = len(text.encode())
        yield encode(f"\r\n__exception__\r\n{tag}\r\n{text}{size} {tag}\r\n__exception__\r\n".encode())
        raise ClientDisconnected from problem  # waitress then closes without the last chunk
    if encoder:
        yield encoder.finish()


def _call_all(functions: Iterable[Undo]) -> None:
    """All of them, the later ones also when an earlier one fails."""
    with ExitStack() as stack:
        for function in reversed(list(functions)):
            stack.callback(function)
