"""A file's rows, read in one snapshot: a REPEATABLE READ, read-only transaction on a connection of its own (REP-3)."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import date
from itertools import islice
from typing import Any, Protocol

from flask import g
from flask_babel import gettext
from psycopg import IsolationLevel
from sqlalchemy import Select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from portal.kernel import clock, primaries
from portal.kernel.errors import PortalError
from portal.kernel.tenancy import current_tenant_id

MOST_ROWS = 1_000_000  # REP-2; more is refused before the first byte, never cut
READING = "60s"  # REP-2: for the sums, and so for the scan behind them
SENDING = "30min"  # the rows leave no faster than the reader's line carries them
AMOUNT = "CASE WHEN {0} = 0 THEN zero ELSE {0} * unit END"  # most of a sale's seven are zero, and a product costs
ROWS_AT_ONCE = 256
SORTING = "16MB"  # of PostgreSQL's memory, where the rows are put in order; what is more goes to its disk
DIALECT: Any = PGDialect_psycopg()  # type: ignore[no-untyped-call]


class TooLong(PortalError):
    """The period has more rows than a file may hold."""

    code = "report.too_long"


class AlreadyRunning(PortalError):
    """The same person is still downloading."""

    code, status = "report.running", 409


class Definition(Protocol):
    """What is asked for: its days in `zone`, and itself as REP-1 writes it, with its SHA-256."""

    @property
    def zone(self) -> str: ...
    @property
    def first(self) -> date | None: ...
    @property
    def last(self) -> date | None: ...
    @property
    def definition(self) -> dict[str, Any]: ...
    @property
    def digest(self) -> str: ...


def digest(definition: Mapping[str, Any]) -> str:
    """SHA-256 of a definition, hex."""
    plain = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(plain.encode()).hexdigest()


class Reading:
    """The rows of `chosen`, as portal_app under the tenant's policies; sums and rows agree, whatever is written meanwhile.

    A person has one at a time. `close` it; the connection's end is the end of all it held. Raises `AlreadyRunning`.
    `COLUMNS` are name, kind and SQL of each column over the aliases of `FROM`, in which `{chosen}` stands for the rows;
    kinds are `moment`, `text` that people wrote, `word` of ours, `money` in minor units, of which `unit` is one and `zero` none:
    `BESIDE` are columns that go with them. `ORDER` is by the names of both.
    """

    COLUMNS: tuple[tuple[str, str, str], ...]
    FROM: str
    ORDER: str
    BESIDE: tuple[str, ...] = ()
    sums: list[Any]

    def __init__(self, asked: Definition, chosen: Select[Any]) -> None:
        self.asked, self.as_of = asked, clock.now()
        self._chosen, self._values = compiled(chosen)
        holder = f"report:{current_tenant_id()}:{g.get('actor_id')}"
        self.connection = primaries.connect("portal_app", primaries.acting())
        try:
            self.connection.isolation_level = IsolationLevel.REPEATABLE_READ
            self.connection.read_only = True
            self.connection.execute(
                "SELECT set_config('app.tenant_id', %s, true), set_config('timezone', %s, true), set_config('statement_timeout', %s, true)",
                (str(current_tenant_id()), asked.zone, READING),
            )
            held = self.connection.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", (holder,))
            if held.fetchone() != (True,):
                raise AlreadyRunning(
                    gettext("Your last download is still running. Let it finish, or stop it, and try again.")
                )
            self.measure()
        except BaseException:
            self.close()
            raise

    def measure(self) -> None:
        """Count and sum the rows. Raises `TooLong`."""
        raise NotImplementedError

    @property
    def count(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    @property
    def title(self) -> str:
        """The name of a workbook's sheet, in the reader's language."""
        raise NotImplementedError

    @property
    def words(self) -> Mapping[str, str]:
        """The headings of a workbook, by column, and of its sums."""
        raise NotImplementedError

    def more(self) -> dict[str, Any]:
        """What `FROM` needs besides the values of the chosen rows."""
        return {}

    def rows(self, columns: str, how: str, *, long: bool = False) -> Iterator[list[Any]]:
        """COPY of `columns`, SQL over the names of COLUMNS, some rows at a time; each is bytes with its line feed.

        What is said of a row is made by several processes at once, and then put in order. Where it is `long`, the rows are put
        in order and it is made as they leave: to sort it would cost more.
        Raises RuntimeError when there are not as many as were counted: a file is whole or it is an error.
        """
        inner = ", ".join([*(f"{sql} AS {name}" for name, _, sql in self.COLUMNS), *self.BESIDE])
        ordered = f"(SELECT {inner} {self.FROM.format(chosen=self._chosen)}) AS r ORDER BY {self.ORDER}"
        if long:
            ordered = f"(SELECT * FROM {ordered} OFFSET 0) AS r"
        statement = f"COPY (SELECT {columns} FROM {ordered}) TO STDOUT ({how})"
        rows = 0
        self.connection.execute(
            "SELECT set_config('statement_timeout', %s, true), set_config('work_mem', %s, true),"
            " set_config('enable_parallel_hash', 'off', true)",  # its memory is shared memory, of which a container has little
            (SENDING, SORTING),
        )
        with self.connection.cursor() as cursor, cursor.copy(statement, {**self._values, **self.more()}) as copy:
            some = list(islice(copy, ROWS_AT_ONCE))
            while more := list(islice(copy, ROWS_AT_ONCE)):  # the last ones leave when all is known to be well
                rows += len(some)
                yield some
                some = more
        rows += len(some)
        if rows != self.count:
            raise RuntimeError(f"{rows} rows were sent of {self.count}")
        self.close()  # whoever has the last byte may ask for the next file
        if some:
            yield some

    def close(self) -> None:
        """Give everything up; harmless twice."""
        self.connection.close()


def compiled(statement: Select[Any]) -> tuple[str, dict[str, Any]]:
    """A statement as the driver takes it."""
    made = statement.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
    return str(made), dict(made.params)
