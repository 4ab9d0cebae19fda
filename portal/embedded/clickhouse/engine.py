"""Runs statements on chDB connections.

A connection costs under a millisecond, runs in parallel with others and keeps its database and settings to itself: each
request has its own, unless it belongs to a session.
"""

import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import chdb.state.sqlitelike as chdb

from .errors import NOT_IMPLEMENTED, READONLY, UNKNOWN_ELEMENT, ClickHouseError
from .statement import Statement

FIRST_ANSWER = 1 << 20  # up to here an error still becomes a status, as with ClickHouse's own buffer
FILE_DESCRIPTORS = "/proc/self/fd" if sys.platform == "linux" else "/dev/fd"
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# chDB makes a whole document of each piece of a stream: right only where documents put together are one document.
STREAMABLE = {
    "native", "tabseparated", "tsv", "tabseparatedraw", "tsvraw", "csv", "rowbinary",
    "jsoneachrow", "jsonlines", "ndjson", "jsoncompacteachrow", "lineasstring",
}  # fmt: skip
NOT_STREAMABLE_WITH = {"TOTALS", "EXTREMES", "OUTPUT_FORMAT_JSON_ARRAY_OF_ROWS", "OUTFILE"}


@dataclass(frozen=True)
class External:
    """A table sent along with a query; lives as long as the query."""

    name: str
    structure: str
    format: str
    data: bytes


@dataclass(frozen=True)
class Job:
    """One statement with all that a request says about it."""

    statement: Statement
    parameters: Mapping[str, str]
    settings: Mapping[str, str]
    database: str | None = None
    default_format: str = "TabSeparated"
    readonly: bool = False
    buffered: bool = False
    data: Iterable[bytes] = ()
    external: tuple[External, ...] = ()

    @property
    def format(self) -> str:
        return (None if self.statement.takes_data else self.statement.format) or self.default_format

    @property
    def streams(self) -> bool:
        blocked = NOT_STREAMABLE_WITH & (self.statement.words | {name.upper() for name in self.settings})
        readable = self.statement.verb in {"SELECT", "WITH"} and self.format.lower() in STREAMABLE
        return readable and not blocked and not self.buffered


@dataclass
class Answer:
    """The beginning of a result, and the rest while the engine still works on it."""

    first: bytes
    rest: Iterator[bytes] | None = None
    cancel: Callable[[], None] = lambda: None  # ends the work on the rest; nothing to do once all has been read
    summary: dict[str, str] = field(default_factory=dict)


class Engine:
    """The one owner of a data directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = str(directory)
        self._owner = self.connect()  # keeps the engine open between requests
        row = self._owner.query("SELECT version(), timezone()", "TabSeparated").bytes().decode().split()
        self.version, self.timezone = row

    def connect(self) -> chdb.Connection:
        return chdb.connect(self._directory)

    def run(self, connection: chdb.Connection, job: Job, *, in_session: bool) -> tuple[Answer, Callable[[], None]]:
        """The answer, and what to call when it has been read. Raises `ClickHouseError`."""
        if job.readonly and not job.statement.only_reads:
            raise ClickHouseError.of_ours(
                READONLY, "Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly"
            )
        try:
            undo = _prepare(connection, job, in_session=in_session)
            try:
                return _execute(connection, job), undo
            except BaseException:
                undo()
                raise
        except RuntimeError as error:
            raise ClickHouseError.of_engine(error) from error


def _prepare(connection: chdb.Connection, job: Job, *, in_session: bool) -> Callable[[], None]:
    """Bring the request's database, settings and tables into the connection; returns how to take them out again."""
    settings = dict(job.settings)
    if job.readonly and not in_session:
        settings |= {"readonly": "2"}
    if in_session:
        settings.pop("readonly", None)  # could not be taken back; `only_reads` has judged already
    undo: list[str] = []
    if job.database:
        undo += [f"USE {_identifier(_text(connection, 'SELECT currentDatabase()'))}"] if in_session else []
        connection.query(f"USE {_identifier(job.database)}")
    for table in job.external:
        undo.append(f"DROP TEMPORARY TABLE IF EXISTS {_identifier(table.name)}")
        connection.query(f"CREATE TEMPORARY TABLE {_identifier(table.name)} ({table.structure})")
        _insert(connection, f"INSERT INTO {_identifier(table.name)}", f"FORMAT {_name(table.format)}", [table.data], {})
    if settings:
        undo += _former(connection, settings) if in_session else []
        connection.query("SET " + ", ".join(f"{_name(name)} = {_literal(value)}" for name, value in settings.items()))

    def take_out() -> None:
        for statement in undo if in_session else ():
            connection.query(statement)

    return take_out


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
    statement, parameters = job.statement, dict(job.parameters)
    if statement.takes_data:
        if statement.format == "Values" and parameters:  # only the statement itself knows parameters
            text = f"{statement.before} {statement.after.removesuffix('FORMAT Values')} VALUES "
            result = connection.query(text + b"".join(job.data).decode(), job.default_format, params=parameters)
            return Answer(b"", summary=_written(result.storage_rows_read()))
        result = _insert(connection, statement.before, statement.after, job.data, parameters)
        return Answer(b"", summary=_written(result.rows_read()))
    if statement.verb == "INSERT" and {"SELECT", "INPUT", "FORMAT"} <= statement.words:
        raise ClickHouseError.of_ours(NOT_IMPLEMENTED, "This engine cannot read data in INSERT … SELECT FROM input()")
    if job.streams:
        return _stream(connection, job)
    result = connection.query(statement.text, job.format, params=parameters)
    return Answer(result.bytes() if result is not None else b"", summary=_read(result))


def _stream(connection: chdb.Connection, job: Job) -> Answer:
    stream = connection.send_query(job.statement.text, job.format, params=dict(job.parameters))
    first: list[bytes] = []
    size = rows = read = 0
    for piece in stream:
        first.append(piece.bytes())
        size += len(first[-1])
        rows += piece.rows_read()
        read = max(read, piece.storage_rows_read())
        if size > FIRST_ANSWER:
            return Answer(b"".join(first), (piece.bytes() for piece in stream), stream.cancel)
    return Answer(b"".join(first), summary={"read_rows": str(read), "result_rows": str(rows)})


def _insert(
    connection: chdb.Connection, before: str, after: str, data: Iterable[bytes], parameters: dict[str, str]
) -> Any:
    """Insert through a nameless file, which ends with the request however that ends."""
    file: IO[bytes]
    with tempfile.TemporaryFile() as file:
        file.writelines(data)
        file.flush()
        file.seek(0)
        source = f"FROM INFILE '{FILE_DESCRIPTORS}/{file.fileno()}' COMPRESSION 'none'"
        return connection.query(f"{before} {source} {after}", "TabSeparated", params=parameters)


def _written(rows: int) -> dict[str, str]:
    return {"written_rows": str(rows), "result_rows": str(rows)}


def _read(result: Any) -> dict[str, str]:
    if result is None:
        return {}
    return {
        "read_rows": str(result.storage_rows_read()),
        "read_bytes": str(result.storage_bytes_read()),
        "result_rows": str(result.rows_read()),
    }


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
