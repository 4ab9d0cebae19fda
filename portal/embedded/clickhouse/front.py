"""The HTTP interface as a WSGI application."""

import hmac
import json
import secrets
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any

import chdb.state.sqlitelike as chdb
from waitress.channel import ClientDisconnected
from werkzeug import Response

from . import USER
from .blocks import LZ4, METHODS, pack
from .codec import Encoder, chosen_encoding
from .engine import Answer, Engine, Job
from .errors import AUTHENTICATION_FAILED, REQUIRED_PASSWORD, ClickHouseError
from .log import Log, reads_log
from .progress import BEGIN, Tell, told
from .request import Request, job_of
from .running import Running
from .sessions import Sessions

CONTENT_TYPES = {
    "tabseparated": "text/tab-separated-values; charset=UTF-8",
    "csv": "text/csv; charset=UTF-8; header=absent",
    "csvwithnames": "text/csv; charset=UTF-8; header=present",
    "json": "application/json; charset=UTF-8",
    "jsoneachrow": "application/x-ndjson; charset=UTF-8",
}
LOGGED = {"read_rows", "read_bytes", "written_rows", "result_rows"}
SUMMED = (
    "read_rows",
    "read_bytes",
    "written_rows",
    "written_bytes",
    "total_rows_to_read",
    "result_rows",
    "result_bytes",
)
PROGRESS_INTERVAL_MS = 100
HTTP_METHODS = {"GET": 1, "POST": 2}  # as in the query log


class Front:
    """Answers ClickHouse's HTTP requests from an `Engine`."""

    def __init__(self, engine: Engine, password: str) -> None:
        self._engine = engine
        self._password = password
        self._sessions = Sessions(engine.connect)
        self._running = Running(engine.kill)
        self._log = Log()

    def __call__(self, environ: dict[str, object], start_response: Callable[..., object]) -> Iterable[bytes]:
        request = Request(environ)
        response = self.respond(request)
        return response(environ, start_response)  # type: ignore[arg-type]  # typeshed's WSGI types and werkzeug's differ

    def respond(self, request: Request) -> Response:
        if request.path in {"/ping", "/replicas_status"} or (request.path == "/" and _asks_nothing(request)):
            return Response("Ok.\n", mimetype="text/html")
        if request.path != "/":
            return Response(f"There is no handle {request.path}\n", status=404, mimetype="text/plain")
        query_id = request.args.get("query_id") or str(uuid.uuid4())
        try:
            self._authenticate(request)
            response = self._run(request, query_id)
        except ClickHouseError as error:
            response = self._failure(error)
        response.headers["X-ClickHouse-Query-Id"] = query_id
        response.headers["X-ClickHouse-Timezone"] = request.args.get("session_timezone") or self._engine.timezone
        return response

    def _authenticate(self, request: Request) -> None:
        basic = request.authorization
        user = request.argument("user", "User") or (basic.username if basic else None)
        password = request.argument("password", "Key") or (basic.password if basic else None)
        if user and not password:
            raise ClickHouseError.of_ours(REQUIRED_PASSWORD, f"{user}: Password required")
        if not (user and password):
            raise ClickHouseError.of_ours(AUTHENTICATION_FAILED, "default: Authentication failed: no user and password")
        if user != USER or not hmac.compare_digest(password.encode(), self._password.encode()):
            self._log.note("session_log", type="LoginFailure", user=user)
            raise ClickHouseError.of_ours(
                AUTHENTICATION_FAILED, f"{user}: Authentication failed: password is incorrect, or there is no such user"
            )

    def _run(self, request: Request, query_id: str) -> Response:
        started = time.time()
        entry: dict[str, Any] = {
            "query_id": query_id,
            "query_start_time_microseconds": f"{started:.6f}",
            "user": USER,
            "http_method": HTTP_METHODS.get(request.method, 0),
            "http_user_agent": request.headers.get("User-Agent", ""),
        }
        with ExitStack() as after:  # what to undo when the answer has been read, or at once if there is none
            self._running.begin(query_id, replace=request.switch("replace_running_query"))
            after.callback(self._running.end, query_id)
            after.callback(self._finished, entry, started)
            try:
                job = job_of(request, query_id)
                entry |= {"query": job.statement.shown, "query_kind": job.statement.verb.capitalize()}
                connection, in_session = self._connection(request, after)
                if reads_log(job.statement.text):
                    self._log.write(connection)
                with self._telling(request, query_id):
                    answer, undo = self._engine.run(connection, job, in_session=in_session)
            except ClickHouseError as error:
                entry |= {"exception_code": error.code, "exception": error.text}
                raise
            after.callback(undo)
            after.callback(answer.cancel)
            answer.summary["elapsed_ns"] = int((time.time() - started) * 1e9)
            entry |= {name: number for name, number in answer.summary.items() if name in LOGGED}
            return _success(request, job, answer, entry, after.pop_all())

    def _connection(self, request: Request, after: ExitStack) -> tuple[chdb.Connection, bool]:
        """A connection, and whether it belongs to a session."""
        session_id = request.args.get("session_id")
        if not session_id:
            connection = self._engine.connect()
            after.callback(connection.close)
            return connection, False
        session = self._sessions.acquire(
            session_id, timeout=request.args.get("session_timeout"), must_exist=request.switch("session_check")
        )
        after.callback(self._sessions.release, session_id, close=request.switch("close_session"))
        self._log.note("session_log", type="LoginSuccess", session_id=session_id, user=USER)
        return session.connection, True

    def _telling(self, request: Request, query_id: str) -> AbstractContextManager[None]:
        """Progress in the head of the answer, as long as there is nothing else to send, if it is wanted."""
        tell: Tell | None = request.environ.get(BEGIN)
        if not tell or not request.switch("send_progress_in_http_headers"):
            return nullcontext()
        interval_ms = request.number("http_headers_progress_interval_ms", PROGRESS_INTERVAL_MS)
        return told(tell, lambda: self._engine.progress(query_id), interval_ms / 1000)

    def _finished(self, entry: dict[str, Any], started: float) -> None:
        kind = "ExceptionWhileProcessing" if "exception" in entry else "QueryFinish"
        self._log.note("query_log", type=kind, query_duration_ms=int((time.time() - started) * 1000), **entry)

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


def _success(request: Request, job: Job, answer: Answer, entry: dict[str, Any], after: ExitStack) -> Response:
    if not answer.live:
        after.close()
    encoding = chosen_encoding(
        request.headers.get("Accept-Encoding", ""), enabled=request.switch("enable_http_compression")
    )
    method = METHODS.get(request.args.get("network_compression_method", "").upper(), LZ4)
    tag = secrets.token_hex(8)
    body = _sent(answer, Encoder(encoding), method if request.switch("compress") else None, tag, entry, after)
    form = job.format if job.statement.answers else None
    response = Response(
        b"".join(body) if isinstance(answer.body, list) else body,
        content_type=CONTENT_TYPES.get((form or "TabSeparated").lower(), "application/octet-stream"),
    )
    if answer.live:
        response.call_on_close(after.close)
        response.headers["X-ClickHouse-Exception-Tag"] = tag
    if encoding:
        response.headers["Content-Encoding"] = encoding
    if form:
        response.headers["X-ClickHouse-Format"] = form
    summary = dict.fromkeys(SUMMED, 0) | answer.summary
    response.headers["X-ClickHouse-Summary"] = json.dumps({name: str(n) for name, n in summary.items()})
    return response


def _sent(
    answer: Answer, encoder: Encoder, method: int | None, tag: str, entry: dict[str, Any], after: ExitStack
) -> Iterator[bytes]:
    """The answer as it comes. An error in the middle ends the body with its text, without the last chunk."""

    def wrapped(piece: bytes) -> bytes:
        return encoder.encode(pack(piece, method) if method else piece)

    try:
        yield from map(wrapped, answer.body)
    except RuntimeError as problem:
        error = ClickHouseError.of_engine(problem)
        entry |= {"exception_code": error.code, "exception": error.text}
        after.close()
        text = error.text + "\n"
        size = len(text.encode())
        yield wrapped(f"\r\n__exception__\r\n{tag}\r\n{text}{size} {tag}\r\n__exception__\r\n".encode())
        raise ClientDisconnected from problem  # waitress then closes without the last chunk
    after.close()  # before the reader can know that it has read all: its next request may need the same session
    yield encoder.finish()
