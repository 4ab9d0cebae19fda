"""The ids of the queries that run now: no two at a time may have the same."""

import threading
from collections.abc import Callable

from .errors import SAME_QUERY_ID, ClickHouseError

WAIT_S = 5.0  # for a query to end that is to be replaced, as ClickHouse's `replace_running_query_max_wait_ms`


class Running:
    def __init__(self, kill: Callable[[str], None]) -> None:
        self._kill = kill
        self._ids: set[str] = set()
        self._changed = threading.Condition()

    def begin(self, query_id: str, *, replace: bool) -> None:
        """Take the id. Raises 216 while another query has it; with `replace` that one is ended first."""
        with self._changed:
            if replace and query_id in self._ids:
                self._kill(query_id)
                self._changed.wait_for(lambda: query_id not in self._ids, WAIT_S)
            if query_id in self._ids:
                raise ClickHouseError.of_ours(SAME_QUERY_ID, f"Query with id = {query_id} is already running")
            self._ids.add(query_id)

    def end(self, query_id: str) -> None:
        with self._changed:
            self._ids.discard(query_id)
            self._changed.notify_all()
