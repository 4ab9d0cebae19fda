"""HTTP sessions: a connection that keeps its temporary tables and settings from one request to the next."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import chdb.state.sqlitelike as chdb

from .errors import INVALID_SESSION_TIMEOUT, SESSION_IS_LOCKED, SESSION_NOT_FOUND, ClickHouseError

DEFAULT_TIMEOUT_S = 60
LONGEST_TIMEOUT_S = 3600


@dataclass
class Session:
    connection: chdb.Connection
    timeout: int = DEFAULT_TIMEOUT_S
    expires_at: float = 0.0
    busy: threading.Lock = field(default_factory=threading.Lock)


class Sessions:
    """The sessions of all clients. One request at a time may use one; expired ones are closed at the next request."""

    def __init__(self, connect: Callable[[], chdb.Connection]) -> None:
        self._connect = connect
        self._by_id: dict[str, Session] = {}
        self._lock = threading.Lock()

    def acquire(self, session_id: str, *, timeout: str | None, must_exist: bool) -> Session:
        """The session, locked for this request. SESSION_IS_LOCKED, SESSION_NOT_FOUND, INVALID_SESSION_TIMEOUT."""
        seconds = _seconds(timeout)
        with self._lock:
            self._close_expired()
            session = self._by_id.get(session_id)
            if session is None:
                if must_exist:
                    raise ClickHouseError.of_ours(SESSION_NOT_FOUND, "Session not found")
                session = self._by_id[session_id] = Session(self._connect())
            if not session.busy.acquire(blocking=False):
                raise ClickHouseError.of_ours(SESSION_IS_LOCKED, "Session is locked by a concurrent client")
            session.timeout = seconds
            return session

    def release(self, session_id: str, *, close: bool = False) -> None:
        with self._lock:
            session = self._by_id[session_id]
            session.expires_at = time.monotonic() + session.timeout
            session.busy.release()
            if close:
                self._by_id.pop(session_id).connection.close()

    def _close_expired(self) -> None:
        now = time.monotonic()
        for session_id, session in list(self._by_id.items()):
            if not session.busy.locked() and session.expires_at < now:
                self._by_id.pop(session_id).connection.close()


def _seconds(timeout: str | None) -> int:
    if timeout is None:
        return DEFAULT_TIMEOUT_S
    if not timeout.isdecimal() or int(timeout) > LONGEST_TIMEOUT_S:
        raise ClickHouseError.of_ours(
            INVALID_SESSION_TIMEOUT, f"Invalid session timeout: '{timeout}', maximum is {LONGEST_TIMEOUT_S}"
        )
    return int(timeout)
