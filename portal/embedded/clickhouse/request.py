"""Reads ClickHouse's HTTP request: where the statement, its data, parameters and settings may stand."""

from collections.abc import Iterable, Iterator
from itertools import chain

from werkzeug import Request as WerkzeugRequest

from .blocks import unpacked
from .codec import decoded
from .engine import External, Job
from .errors import UNKNOWN_ELEMENT, UNKNOWN_ROLE, ClickHouseError
from .statement import Statement, begins_with_insert, parse

HEAD = 1 << 16  # the statement of an insert ends within this many bytes
UNCHECKED = "http_native_compression_disable_checksumming_on_decompress"

# Arguments of the interface; any other is the name of a setting.
PROTOCOL = {
    "query", "database", "query_id", "session_id", "session_timeout", "session_check", "close_session",
    "user", "password",
    "client_protocol_version", "compress", "decompress", "default_format", "role", "quota_key", "buffer_size",
    "wait_end_of_query", "stacktrace", "cancel_http_readonly_queries_on_client_close",
    "send_progress_in_http_headers", "http_headers_progress_interval_ms", "enable_http_compression",
}  # fmt: skip


class Request(WerkzeugRequest):
    max_form_memory_size = 1 << 30  # a large query may travel as a form field
    max_form_parts = 1 << 20

    def argument(self, name: str, header: str | None = None) -> str | None:
        return self.args.get(name) or (self.headers.get(f"X-ClickHouse-{header}") if header else None)

    def switch(self, name: str) -> bool:
        return self.args.get(name, "0") not in {"0", "false", ""}

    def number(self, name: str, default: int = 0) -> int:
        """Raises `BAD_ARGUMENTS`."""
        text = self.args.get(name, str(default))
        if not text.isdecimal():
            raise ClickHouseError.of_ours(UNKNOWN_ELEMENT, f"{name} is no number: {text!r}")
        return int(text)


def job_of(request: Request, query_id: str) -> Job:
    """The work that a request asks for. Raises `ClickHouseError`."""
    if role := request.args.get("role"):
        raise ClickHouseError.of_ours(UNKNOWN_ROLE, f"Role {role!r} is not found: this engine has no roles")
    is_form = request.mimetype == "multipart/form-data"
    fields = dict(request.form) if is_form else {}
    arguments = dict(request.args) | fields
    external = tuple(_external(request)) if is_form else ()
    consumed = {f"{table.name}_{part}" for table in external for part in ("format", "structure", "types")}
    body = iter(()) if is_form else decoded(request.stream, request.headers.get("Content-Encoding", "").lower())
    if request.switch("decompress"):
        body = unpacked(body, verify=not request.switch(UNCHECKED))
    query = "\n".join(filter(None, [request.args.get("query"), fields.get("query")]))
    statement, data = _statement(query.encode(), body)
    return Job(
        query_id=query_id,
        statement=statement,
        data=data,
        parameters={name[6:]: value for name, value in arguments.items() if name.startswith("param_")},
        settings={
            name: value
            for name, value in request.args.items()
            if name not in PROTOCOL and name not in consumed and not name.startswith("param_")
        },
        database=request.argument("database", "Database"),
        default_format=request.argument("default_format", "Format") or "TabSeparated",
        readonly=request.method != "POST",
        buffered=request.switch("wait_end_of_query"),
        external=external,
        protocol=request.number("client_protocol_version"),
    )


def _statement(query: bytes, body: Iterable[bytes]) -> tuple[Statement, Iterable[bytes]]:
    """The statement and the data behind it: the body continues the query argument."""
    pieces: Iterator[bytes] = iter(chain([query + b"\n"], body) if query.strip() else body)
    raw = b""
    for piece in pieces:
        raw += piece
        if len(raw) >= HEAD:
            break
    if begins_with_insert(raw):
        statement = parse(raw)
        if statement.data is not None:
            return statement, chain([statement.data], pieces)
    rest = b"".join(pieces)
    return parse(raw + rest), ()


def _external(request: Request) -> Iterator[External]:
    for name, file in request.files.items():
        structure = request.args.get(f"{name}_structure")
        if not structure and (types := request.args.get(f"{name}_types")):
            structure = ", ".join(f"_{number} {kind}" for number, kind in enumerate(types.split(","), 1))
        if not structure:
            raise ClickHouseError.of_ours(UNKNOWN_ELEMENT, f"External table {name!r} needs a structure")
        yield External(name, structure, request.args.get(f"{name}_format", "TabSeparated"), file.read())
