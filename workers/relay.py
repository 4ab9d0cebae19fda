"""The relay: asks the outbox four times a second, at once when a command wakes it (D33). Any number may run.

A thread for each PostgreSQL primary, so that one that is down holds nobody else's messages back.
"""

import logging
import os
import signal
import sys
import threading
import time
from types import FrameType

import psycopg
from redis.client import PubSub
from redis.exceptions import RedisError

from portal import nouns
from portal.kernel import primaries
from portal.kernel.beat import beat
from portal.kernel.outbox import WAKE_CHANNEL
from portal.kernel.redis import channel, redis
from portal.web.observe import configure_logs
from workers.outbox import relay_once

POLL_S = 0.25
REST_S = 2.0
log = logging.getLogger("workers.relay")
_stopping = threading.Event()


def main() -> None:
    """Run until TERM; what is claimed by then is handed over."""
    configure_logs()
    nouns.load_models()
    nouns.load_handlers()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    threads = [threading.Thread(target=_serve, args=(name,), name=name) for name in primaries.names()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.exit(0 if _stopping.is_set() else 1)


def _serve(primary: str) -> None:
    try:
        while not _stopping.is_set():
            try:
                with primaries.connect("portal_relay", primary, autocommit=True) as connection:
                    _carry(connection)
            except psycopg.OperationalError as error:
                log.warning("PostgreSQL %s does not answer: %s", primary, error)
                _stopping.wait(REST_S)
    except BaseException:
        log.exception("the relay of %s broke", primary)
        os.kill(os.getpid(), signal.SIGABRT)  # all live, or none: whoever started us starts us anew
        raise


def _carry(connection: psycopg.Connection[object]) -> None:
    while not _stopping.is_set():
        try:
            ears = redis().pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
            ears.subscribe(channel(WAKE_CHANNEL))
            named, looked = None, -POLL_S
            while not _stopping.is_set():
                beat("relay")
                looked = look(connection, named, looked)
                named = called(ears, looked + POLL_S - time.monotonic())
        except RedisError as error:  # nothing is lost: leases are given back, or run out by themselves (F3)
            log.warning("Redis does not answer: %s", error)
            _stopping.wait(REST_S)


def look(connection: psycopg.Connection[object], named: set[str] | None, looked: float) -> float:
    """Serve who is named at once, and everybody where nobody is or a poll is due since `looked`; returns when that was last."""
    if named:
        relay_once(connection, named)
    if named and time.monotonic() - looked < POLL_S:
        return looked
    looked = time.monotonic()
    relay_once(connection)
    return looked


def called(ears: PubSub, patience: float) -> set[str] | None:
    """Wait so many seconds; the subscribers for whom somebody has something by now, None where all are to be looked at."""
    message, names = ears.get_message(timeout=max(patience, 0)), set()
    while message is not None:  # a burst of wake-ups is one look
        names.add(message["data"].decode())
        message = ears.get_message(timeout=0)
    return None if not names or "" in names else {name for some in names for name in some.split(",")}


def _stop(_number: int, _frame: FrameType | None) -> None:
    _stopping.set()


if __name__ == "__main__":
    main()
