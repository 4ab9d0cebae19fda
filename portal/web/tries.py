"""Where the limits on tries are counted: in Redis, and in this process while Redis does not answer (S10).

Flask-Limiter has such a fallback too, but of two threads whose calls fail together it answers the second with a 500.
"""

import logging
import time
from typing import Any

from limits.storage import MemoryStorage, RedisStorage
from redis.exceptions import RedisError

REST_S = 2.0  # between two looks whether Redis is back: each may cost a request its time to connect
PREFIX = "krug+"
SCHEMES = [f"{PREFIX}{scheme}" for scheme in RedisStorage.STORAGE_SCHEME or ()]
log = logging.getLogger(__name__)


class Tries(RedisStorage):
    """The moving windows of `krug+redis://…`; while Redis is away each process counts for itself."""

    STORAGE_SCHEME = SCHEMES

    def __init__(self, uri: str, **options: Any) -> None:
        super().__init__(uri.removeprefix(PREFIX), **options)
        self.meanwhile = MemoryStorage()
        self.back_at = 0.0
        # Until Redis has counted again: one that is full or read-only still answers what it knew.
        self.counts_here = False

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a try, unless there were `limit` of them within `expiry` seconds."""
        if time.monotonic() >= self.back_at:
            try:
                counted = super().acquire_entry(key, limit, expiry, amount)
            except RedisError as error:
                self.counts_here = True
                self._rest(error)
            else:
                self.counts_here = False
                return bool(counted)
        return self.meanwhile.acquire_entry(key, limit, expiry, amount)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the first try was that counts, and how many there are."""
        if not self.counts_here and time.monotonic() >= self.back_at:
            try:
                return super().get_moving_window(key, limit, expiry)
            except RedisError as error:
                self._rest(error)
        return self.meanwhile.get_moving_window(key, limit, expiry)

    def _rest(self, error: RedisError) -> None:
        self.back_at = time.monotonic() + REST_S
        log.warning("Redis does not count tries, this process does: %s", error)
