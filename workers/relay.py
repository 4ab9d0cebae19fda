"""The relay: asks the outbox four times a second, at once when a command wakes it (D33). Any number may run."""

import logging
import signal
import time
from types import FrameType

import psycopg
from redis.exceptions import RedisError

from portal import nouns
from portal.kernel.outbox import WAKE_CHANNEL
from portal.kernel.redis import channel, redis
from portal.settings import settings
from portal.web.observe import configure_logs
from workers.outbox import relay_once

POLL_S = 0.25
REST_S = 2.0
log = logging.getLogger("workers.relay")
_stopping = False


def main() -> None:
    """Run until TERM."""
    configure_logs()
    nouns.load_models()
    nouns.load_handlers()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    while not _stopping:
        try:
            with psycopg.connect(
                settings().database_url("portal_relay"), autocommit=True, connect_timeout=5
            ) as connection:
                _carry(connection)
        except psycopg.OperationalError as error:
            log.warning("PostgreSQL does not answer: %s", error)
            _rest(REST_S)


def _carry(connection: psycopg.Connection[object]) -> None:
    while not _stopping:
        try:
            ears = redis().pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
            ears.subscribe(channel(WAKE_CHANNEL))
            while not _stopping:
                relay_once(connection)
                ears.get_message(timeout=POLL_S)
                while ears.get_message(timeout=0) is not None:
                    pass  # a burst of wake-ups is one look
        except RedisError as error:  # nothing is lost: leases are given back, or run out by themselves (F3)
            log.warning("Redis does not answer: %s", error)
            _rest(REST_S)


def _rest(seconds: float) -> None:
    until = time.monotonic() + seconds
    while not _stopping and time.monotonic() < until:
        time.sleep(0.1)


def _stop(_number: int, _frame: FrameType | None) -> None:
    global _stopping  # noqa: PLW0603  a signal handler has no other way
    _stopping = True


if __name__ == "__main__":
    main()
