"""How far a query is, told in the head of its answer while the engine still works (`send_progress_in_http_headers`).

Keeps proxies and clients waiting that would otherwise give up on a silent connection. WSGI has no place for half a
head, so waitress's task lends the request a function that begins it: status 200, then one line for each tick.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.task import WSGITask

from .errors import ClickHouseError

BEGIN = "krug.begin_head"
HEADER = "X-ClickHouse-Progress"
FIELDS = {
    "read_rows": "read_rows",
    "read_bytes": "read_bytes",
    "written_rows": "written_rows",
    "written_bytes": "written_bytes",
    "total_rows_to_read": "total_rows_approx",
    "elapsed_ns": "elapsed * 1e9",
    "memory_usage": "greatest(memory_usage, 0)",
}  # as the header says it: as system.processes has it
SHORTEST_S = 0.01

Tell = Callable[[str, str], None]


class Task(WSGITask):
    _begun = False

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        environ[BEGIN] = self.begin_head
        return environ

    def begin_head(self, name: str, value: str) -> None:
        """Send one header now. From then on the status is 200: an error is told by its headers and text alone."""
        start = "" if self._begun else f"HTTP/{self.version} 200 OK\r\n"
        self._begun = True
        self.channel.write_soon(f"{start}{name}: {value}\r\n".encode("latin-1"))

    def build_response_header(self) -> bytes:
        head: bytes = super().build_response_header()
        return head.partition(b"\r\n")[2] if self._begun else head


class Channel(HTTPChannel):
    task_class = Task


@contextmanager
def told(tell: Tell, state: Callable[[], Mapping[str, int]], interval_s: float) -> Iterator[None]:
    """Tell every so many seconds, until the block is left, what the state last was."""
    over, known = threading.Event(), dict.fromkeys(FIELDS, 0)

    def watch() -> None:
        while not over.wait(max(interval_s, SHORTEST_S)):
            try:
                known.update(state())
                tell(HEADER, json.dumps({name: str(number) for name, number in known.items()}))
            except ClickHouseError:  # nothing to tell at this tick
                continue
            except ClientDisconnected:  # the answer will find out for itself
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
