"""Redis: queues, rate limits, wake-ups and caches. Losing all of it loses nothing."""

from functools import lru_cache

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
