"""Redis: queues, rate limits, wake-ups and caches. Losing all of it loses nothing."""

import os
import threading
from functools import lru_cache
from typing import Any

from redis import ConnectionPool, Redis

from portal.settings import settings


@lru_cache(maxsize=1)
def redis() -> Redis:
    """The process's client; 2 s to connect, 5 s to answer."""
    return Redis.from_url(settings().REDIS_URL, socket_connect_timeout=2, socket_timeout=5)


@lru_cache(maxsize=1)
def redis_quick() -> Redis:
    """A client that gives up at once, for signals that may be lost."""
    pool = ConnectionPool.from_url(settings().REDIS_URL, socket_connect_timeout=0.05, socket_timeout=0.05)
    return Redis(connection_pool=pool)


def key(*parts: str) -> str:
    """A key under this installation's prefix."""
    return ":".join((settings().REDIS_PREFIX, *parts))


def channel(name: str) -> str:
    """A publish/subscribe channel under this installation's prefix."""
    return key(name)


class Bell:
    """Publishes without waiting for an answer: the server is told to send none on this one connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._line: Any = None
        self._process = 0

    def ring(self, to: str, said: str) -> None:
        """Publish a message; it may be lost. Raises what connecting or sending raises, and connects anew next time."""
        with self._lock:
            if self._line is None or self._process != os.getpid():
                self._line, self._process = self._connected(), os.getpid()
            try:
                self._line.send_packed_command((_packed(to, said),), check_health=False)
            except BaseException:
                self._line.disconnect()
                self._line = None
                raise

    def forget(self) -> None:
        """Connect anew next time, to whatever the settings name then."""
        with self._lock:
            self._line = None

    @staticmethod
    def _connected() -> Any:
        line: Any = redis_quick().connection_pool.make_connection()
        line.connect()
        line.send_command("CLIENT", "REPLY", "OFF")
        return line


@lru_cache(maxsize=64)
def _packed(to: str, said: str) -> bytes:
    name, words = to.encode(), said.encode()
    return b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(name), name, len(words), words)


bell = Bell()
