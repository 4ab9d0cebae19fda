"""`system.query_log` and `system.session_log`, which the engine does not keep itself.

What has happened waits in memory until a statement reads one of the tables: a request costs nothing more for them.
"""

import json
import threading
import time
from collections import deque
from typing import Any

import chdb.state.sqlitelike as chdb

KEPT = 10_000  # of the latest, in each table

COLUMNS = {
    "query_log": (
        "type Enum8('QueryStart' = 1, 'QueryFinish' = 2, 'ExceptionBeforeStart' = 3, 'ExceptionWhileProcessing' = 4),"
        " event_date Date DEFAULT toDate(event_time_microseconds), event_time DateTime DEFAULT event_time_microseconds,"
        " event_time_microseconds DateTime64(6), query_start_time DateTime DEFAULT query_start_time_microseconds,"
        " query_start_time_microseconds DateTime64(6), query_duration_ms UInt64, read_rows UInt64, read_bytes UInt64,"
        " written_rows UInt64, result_rows UInt64, current_database String, query String, query_kind String,"
        " exception_code Int32, exception String, is_initial_query UInt8 DEFAULT 1, user String, query_id String,"
        " initial_user String DEFAULT user, initial_query_id String DEFAULT query_id, interface UInt8 DEFAULT 2,"
        " http_method UInt8, http_user_agent String, log_comment String"
    ),
    "session_log": (
        "type Enum8('LoginFailure' = 0, 'LoginSuccess' = 1, 'Logout' = 2), session_id String,"
        " event_date Date DEFAULT toDate(event_time_microseconds), event_time DateTime DEFAULT event_time_microseconds,"
        " event_time_microseconds DateTime64(6), user String, failure_reason String,"
        " interface Enum8('TCP' = 1, 'HTTP' = 2) DEFAULT 'HTTP'"
    ),
}


class Log:
    """What was asked, of whom, and how it ended."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[dict[str, Any]]] = {table: deque(maxlen=KEPT) for table in COLUMNS}
        self._lock = threading.Lock()

    def note(self, table: str, **entry: Any) -> None:
        self._waiting[table].append(entry | {"event_time_microseconds": f"{time.time():.6f}"})

    def write(self, connection: chdb.Connection) -> None:
        """Bring the tables up to date."""
        with self._lock:
            for table, waiting in self._waiting.items():
                connection.query(
                    f"CREATE TABLE IF NOT EXISTS system.{table} ({COLUMNS[table]})"
                    f" ENGINE = Memory SETTINGS min_rows_to_keep = {KEPT}, max_rows_to_keep = {2 * KEPT}"
                )
                rows = [json.dumps(waiting.popleft()) for _ in range(len(waiting))]
                if rows:
                    connection.query(f"INSERT INTO system.{table} FORMAT JSONEachRow\n" + "\n".join(rows))


def reads_log(statement: str) -> bool:
    return any(table in statement for table in COLUMNS)
