"""Signs of life of processes without a port, and what their tasks did: in Redis, for `/metrics`. Lost calls do no harm."""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

from redis.exceptions import RedisError

from portal.kernel.redis import key, redis

FRESH_S = 150.0  # longer than the longest short task
EVERY_S = 5.0
KINDS = ("relay", "worker fast", "worker long", "cron")
_last: dict[str, float] = {}


def beat(kind: str) -> None:
    """This process is alive, as one of `KINDS`; tells it at most every five seconds."""
    now = time.monotonic()
    if now - _last.get(kind, -EVERY_S) < EVERY_S:
        return
    _last[kind] = now
    with suppress(RedisError):
        redis().zadd(key("alive", kind), {f"{socket.gethostname()}:{os.getpid()}": _now()})


def living() -> Mapping[str, int]:
    """How many processes of each kind live; what is older is forgotten."""
    found = {}
    for kind in KINDS:
        redis().zremrangebyscore(key("alive", kind), 0, _now() - FRESH_S)
        found[kind] = int(redis().zcard(key("alive", kind)))
    return found


def count(task: str, *, failed: bool, seconds: float) -> None:
    """A task has ended."""
    with suppress(RedisError), redis().pipeline(transaction=False) as pipe:
        pipe.hincrby(key("tasks", "failed" if failed else "done"), task, 1)
        pipe.hincrbyfloat(key("tasks", "seconds"), task, seconds)
        pipe.execute()


def counted() -> Mapping[str, tuple[int, int, float]]:
    """Done, failed and seconds by task, since Redis was empty."""
    done, failed, seconds = (
        {_text(name): float(value) for name, value in redis().hgetall(key("tasks", part)).items()}
        for part in ("done", "failed", "seconds")
    )
    return {name: (int(done.get(name, 0)), int(failed.get(name, 0)), seconds[name]) for name in sorted(seconds)}


def _now() -> int:
    """Redis' own time, the same for all machines."""
    return int(redis().time()[0])


def _text(name: str | bytes) -> str:
    return name if isinstance(name, str) else name.decode()
