"""Runs statements on chDB connections.

A connection costs under a millisecond, runs in parallel with others and keeps its database and settings to itself: each
request has its own, unless it belongs to a session.
"""

import io
import json
import re
import sys
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import chdb.state.sqlitelike as chdb

from . import wire
from .codec import CHUNK
from .errors import NOT_IMPLEMENTED, READONLY, UNKNOWN_ELEMENT, ClickHouseError
from .progress import FIELDS
from .statement import Statement, as_bytes, as_text, replaced

IN_MEMORY = 8 << 20  # of a buffered answer; more waits on disk
FILE_DESCRIPTORS = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
QUERY_ID = "Settings['log_comment']"  # of a running query: the engine gives it an id of its own
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

NOT_FOR_THE_ENGINE = {"database_atomic_wait_for_drop_and_detach_synchronously"}  # it would wait for ever
WAITING = re.compile(  # not a table of that name
    r"(?<!TABLE)(?<!VIEW)(?<!EXISTS)(?<!DATABASE)(?<!DICTIONARY)\s+(?:SYNC|NO\s+DELAY)\s*$", re.IGNORECASE
)

# chDB makes a whole document of each piece of a stream: right only where documents put together are one document.
STREAMABLE = {
    "native", "tabseparated", "tsv", "tabseparatedraw", "tsvraw", "csv", "rowbinary",
    "jsoneachrow", "jsonlines", "ndjson", "jsoncompacteachrow", "lineasstring",
}  # fmt: skip
NOT_STREAMABLE_WITH = {"TOTALS", "EXTREMES", "OUTPUT_FORMAT_JSON_ARRAY_OF_ROWS"}


@dataclass(frozen=True)
class External:
    """A table sent along with a query; lives as long as the query."""

    name: str
    structure: str
    format: str
    data: bytes

    def __post_init__(self) -> None:
        _name(self.format)


@dataclass(frozen=True)
class Job:
    """One statement with all that a request says about it."""

    query_id: str
    statement: Statement
    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    database: str | None = None
    default_format: str = "TabSeparated"
    readonly: bool = False
    buffered: bool = False
    data: Iterable[bytes] = ()
    external: tuple[External, ...] = ()
    protocol: int = 0  # what the client knows of the format Native

    @property
    def format(self) -> str:
        return (None if self.statement.takes_data else self.statement.format) or self.default_format

    @property
    def streams(self) -> bool:
        blocked = NOT_STREAMABLE_WITH & (self.statement.words | {name.upper() for name in self.settings})
        if self.format == "Native":  # has no place for totals and extremes
            return self.statement.selects
        return self.statement.selects and self.format.lower() in STREAMABLE and not blocked


@dataclass
class Answer:
    """A result. While it is `live` the engine still works on its later pieces."""

    body: Iterable[bytes] = ()
    live: bool = False
    cancel: Callable[[], None] = lambda: None  # ends the work; nothing to do once all has been read
    summary: dict[str, int] = field(default_factory=dict)


class Engine:
    """The one owner of a data directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = str(directory)
        self._owner = self.connect()  # keeps the engine open between requests
        row = self._owner.query("SELECT version(), timezone()", "TabSeparated").bytes().decode().split()
        self.version, self.timezone = row

    def connect(self) -> chdb.Connection:
        return chdb.connect(self._directory)

    def kill(self, query_id: str) -> None:
        """End a running query, if there is one."""
        with closing(self.connect()) as connection:
            connection.query(f"KILL QUERY WHERE {QUERY_ID} = {_literal(query_id)} ASYNC")

    def progress(self, query_id: str) -> dict[str, int]:
        """How far a running query is, in the names of `progress.FIELDS`; nothing before it has begun."""
        columns = ", ".join(f"toUInt64({source})" for source in FIELDS.values())
        asked = f"SELECT {columns} FROM system.processes WHERE {QUERY_ID} = {_literal(query_id)} LIMIT 1"
        with closing(self.connect()) as connection:
            try:
                found = _text(connection, asked)
            except RuntimeError as error:
                raise ClickHouseError.of_engine(error) from error
        return dict(zip(FIELDS, map(int, found.split("\t")), strict=True)) if found else {}

    def run(self, connection: chdb.Connection, job: Job, *, in_session: bool) -> tuple[Answer, Callable[[], None]]:
        """The answer, and what to call when it has been read. Raises `ClickHouseError`."""
        readonly = job.readonly or job.settings.get("readonly", "0") != "0"
        if readonly and not job.statement.only_reads:
            raise ClickHouseError.of_ours(
                READONLY, "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly"
            )
        if job.statement.verb == "CREATE" and {"NAMED", "COLLECTION"} <= job.statement.words:
            raise ClickHouseError.of_ours(NOT_IMPLEMENTED, "This engine would not survive a named collection")
        undo: list[str] = []  # a session outlives the request; any other connection ends with it

        def take_out() -> None:
            for statement in reversed(undo) if in_session else ():
                connection.query(statement)

        try:
            try:
                _prepare(connection, job, undo, in_session=in_session)
                return _execute(connection, job), take_out
            except BaseException:
                take_out()
                raise
        except RuntimeError as error:
            raise ClickHouseError.of_engine(error) from error


def _prepare(connection: chdb.Connection, job: Job, undo: list[str], *, in_session: bool) -> None:
    """Bring the request's database, settings and tables into the connection; `undo` gets what takes them out again."""
    settings = {name: value for name, value in job.settings.items() if name not in NOT_FOR_THE_ENGINE}
    readonly = settings.pop("readonly", "2" if job.readonly else "0")
    if job.database:
        if in_session:
            undo.append(f"USE {_identifier(_text(connection, 'SELECT currentDatabase()'))}")
        connection.query(f"USE {_identifier(job.database)}")
    if in_session and settings:
        undo += _former(connection, settings)
    _set(connection, {"log_comment": job.query_id} | settings)
    for table in job.external:
        undo.append(f"DROP TEMPORARY TABLE IF EXISTS {_identifier(table.name)}")
        connection.query(f"CREATE TEMPORARY TABLE {_identifier(table.name)} ({table.structure})")
        into = Statement("", "INSERT", before=f"INSERT INTO {_identifier(table.name)}", after=f"FORMAT {table.format}")
        _insert(connection, into, [table.data], {})
    if readonly != "0" and not in_session:  # last, as it forbids the above; a session could not take it back
        _set(connection, {"readonly": readonly})


def _set(connection: chdb.Connection, settings: Mapping[str, str]) -> None:
    connection.query("SET " + ", ".join(f"{_name(name)} = {_literal(value)}" for name, value in settings.items()))


def _former(connection: chdb.Connection, settings: Mapping[str, str]) -> list[str]:
    names = ", ".join(_literal(name) for name in settings)
    rows = _text(
        connection,
        f"SELECT name, changed, hex(value) FROM system.settings WHERE name IN ({names}) FORMAT TabSeparated",
    )
    former = [row.split("\t") for row in rows.splitlines()]
    return [
        f"SET {name} = {_literal(bytes.fromhex(value).decode()) if changed == '1' else 'DEFAULT'}"
        for name, changed, value in former
    ]


def _execute(connection: chdb.Connection, job: Job) -> Answer:
    statement, parameters = job.statement, job.parameters
    if statement.takes_data:
        if statement.format == "Values" and parameters and not statement.through_input:
            # Only the statement itself knows parameters.
            text = f"{statement.before} {statement.after.removesuffix('FORMAT Values')} VALUES "
            result = _ask(connection, text + as_text(b"".join(job.data)), job.default_format, parameters)
            return Answer(summary=_written(result.storage_rows_read()))
        result = _insert(connection, statement, job.data, parameters)
        return Answer(summary=_written(result.storage_rows_read() if statement.through_input else result.rows_read()))
    if job.streams:
        return _stream(connection, job)
    if statement.selects:
        return _through_file(connection, job)
    if statement.verb == "SHOW" and "POLICIES" in statement.words:  # the engine can have none, and refuses to say so
        return Answer()
    result = _ask(connection, _without_waiting(statement), job.format, parameters)
    if statement.verb == "INSERT":
        return Answer(summary=_written(result.storage_rows_read()) | _read(result))
    body = result.bytes() if result is not None else b""
    return Answer([_block_head(job) + body] if body else [], summary=_read(result))


def _stream(connection: chdb.Connection, job: Job) -> Answer:
    """An answer whose first block is still in work has no status yet, and so can fail with one."""
    summary = {"read_rows": 0, "read_bytes": 0, "result_rows": 0}
    pieces = _pieces(connection, job, summary)
    if job.buffered:
        return Answer(_kept(pieces), summary=summary)
    first = list(islice(pieces, 2))
    if len(first) < 2:  # noqa: PLR2004  that was all
        return Answer(first, summary=summary)
    return Answer(chain(first, pieces), live=True, cancel=pieces.close, summary=dict(summary))


def _through_file(connection: chdb.Connection, job: Job) -> Answer:
    """A document that is one whole however long it is: the engine writes it to disk as it makes it."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "answer"
        text = f"{job.statement.bare}\nINTO OUTFILE {_literal(str(path))} COMPRESSION 'none' FORMAT {_name(job.format)}"
        result = _ask(connection, text, job.format, job.parameters)
        file = path.open("rb") if path.exists() else io.BytesIO()
    first = file.read(IN_MEMORY)
    body = [first] if len(first) < IN_MEMORY else chain([first], _rest_of(file))
    return Answer(body, summary=_read(result))


def _rest_of(file: IO[bytes]) -> Iterator[bytes]:
    return iter(lambda: file.read(CHUNK), b"")  # closed with the last reference to it


def _pieces(connection: chdb.Connection, job: Job, summary: dict[str, int]) -> Generator[bytes]:
    columns = _columns_with_zones(connection, job)
    text, form = (job.statement.bare, "Buffers") if columns else (job.statement.text, job.format)
    send: Any = connection.send_query  # declared for text, takes bytes as well
    stream = send(as_bytes(text), form, params=dict(job.parameters))
    try:
        for piece in stream:
            summary["read_rows"] += piece.storage_rows_read()
            summary["read_bytes"] += piece.storage_bytes_read()
            summary["result_rows"] += piece.rows_read()
            block = piece.bytes()
            yield _block_head(job) + (wire.native_of_buffers(block, columns) if columns else block)
    finally:
        stream.cancel()


def _block_head(job: Job) -> bytes:
    return wire.BLOCK_HEAD if job.format == "Native" and job.protocol >= wire.WITH_BLOCK_HEAD else b""


def _columns_with_zones(connection: chdb.Connection, job: Job) -> list[tuple[str, str]]:
    """The answer's names and types, if the client wants time zones that plain Native would leave out.

    Takes a millisecond, and as long again as the statement's scalar subqueries.
    """
    if job.format != "Native" or job.protocol < wire.WITH_TIME_ZONES:
        return []
    try:
        described = _ask(connection, f"DESCRIBE ({job.statement.bare}\n)", "JSONCompactEachRow", job.parameters)
    except RuntimeError:
        return []  # the statement itself will tell what is wrong with it
    columns = [(name, kind) for name, kind, *_ in map(json.loads, described.bytes().splitlines())]
    return columns if any("DateTime('" in kind for _, kind in columns) else []


def _kept(pieces: Iterator[bytes]) -> Iterable[bytes]:
    """All of the pieces, read now and kept until they are sent: in memory, or on disk if they are many."""
    kept, size = [], 0
    for piece in pieces:
        kept.append(piece)
        size += len(piece)
        if size > IN_MEMORY:
            return _on_disk(chain(kept, pieces))
    return kept


def _on_disk(pieces: Iterable[bytes]) -> Iterator[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115  see `_rest_of`
    file.writelines(pieces)
    file.seek(0)
    return _rest_of(file)


def _insert(
    connection: chdb.Connection, statement: Statement, data: Iterable[bytes], parameters: Mapping[str, str]
) -> Any:
    """Insert through a nameless file, which ends with the request however that ends."""
    file: IO[bytes]
    with tempfile.TemporaryFile() as file:
        file.writelines(data)
        file.flush()
        file.seek(0)
        path = f"'{FILE_DESCRIPTORS}/{file.fileno()}'"
        if statement.through_input:
            text = f"{statement.before} file({path}, {_name(statement.format or '')}, {statement.after}"
        else:
            text = f"{statement.before} FROM INFILE {path} COMPRESSION 'none' {statement.after}"
        return _ask(connection, text, "TabSeparated", parameters)


def _without_waiting(statement: Statement) -> str:
    """The engine never ends a KILL or a DROP that waits for its end: without SYNC they do the same, a moment later.

    KILL QUERY also names the ids of the interface's requests; those of the engine are its own.
    """
    if statement.verb not in {"KILL", "DROP", "DETACH"}:
        return statement.text
    text = WAITING.sub("", statement.bare)
    return replaced(text, {"QUERY_ID": QUERY_ID}) if statement.verb == "KILL" else text


def _written(rows: int) -> dict[str, int]:
    return {"written_rows": rows, "result_rows": rows}


def _read(result: Any) -> dict[str, int]:
    if result is None:
        return {}
    return {
        "read_rows": result.storage_rows_read(),
        "read_bytes": result.storage_bytes_read(),
        "result_rows": result.rows_read(),
    }


def _ask(connection: chdb.Connection, text: str, form: str, parameters: Mapping[str, str]) -> Any:
    query: Any = connection.query  # declared for text, takes bytes as well
    return query(as_bytes(text), form, params=dict(parameters))


def _text(connection: chdb.Connection, query: str) -> str:
    return str(connection.query(query, "TabSeparated").bytes().decode().rstrip("\n"))


def _name(text: str) -> str:
    if not NAME.fullmatch(text):
        raise ClickHouseError.of_ours(UNKNOWN_ELEMENT, f"{text!r} is no name of a setting or format")
    return text


def _identifier(text: str) -> str:
    return "`" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
