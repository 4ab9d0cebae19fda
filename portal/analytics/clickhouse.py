"""ClickHouse: facts for dashboards and reports, always rebuildable from PostgreSQL. Pages wait two seconds for it, no more."""

import logging
import time
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError
from flask_babel import gettext

from portal.kernel.errors import PortalError
from portal.settings import settings

PAGE_S, LOAD_S = 2, 60
DOWN = (OperationalError, OSError)  # it does not answer; any other error is about the question
REST_S = 3.0  # after a failure pages are told at once, without asking again
_clients: dict[int, Client] = {}
_resting = {"until": 0.0}
log = logging.getLogger(__name__)


class AnalyticsDown(PortalError):
    """ClickHouse does not answer; everything that rests on PostgreSQL goes on."""

    code, status = "analytics.unavailable", 503


def client(timeout: int = LOAD_S) -> Client:
    """The process's client for this patience in seconds; made at the first use, again after a failure."""
    if timeout not in _clients:
        _clients[timeout] = clickhouse_connect.get_client(
            dsn=settings().CLICKHOUSE_URL,
            database=settings().CLICKHOUSE_DATABASE,
            connect_timeout=min(2, timeout),
            send_receive_timeout=timeout,
            autogenerate_session_id=False,
            query_limit=0,
            query_retries=0,
        )
    return _clients[timeout]


def ask(statement: str, **parameters: Any) -> list[dict[str, Any]]:
    """Rows of a page's question, as dictionaries. Raises `AnalyticsDown` within two seconds (F4)."""
    if time.monotonic() < _resting["until"]:
        raise _down()
    try:
        return list(client(PAGE_S).query(statement, parameters=parameters).named_results())
    except (ClickHouseError, OSError) as error:
        _clients.pop(PAGE_S, None)
        _resting["until"] = time.monotonic() + REST_S
        log.warning("ClickHouse: %s", error)
        raise _down() from error


def _down() -> AnalyticsDown:
    return AnalyticsDown(
        gettext("The statistics are not reachable just now. Sales go on; this page fills again by itself.")
    )


def forget_clients() -> None:
    """After a fork: the parent's connections are not ours."""
    _clients.clear()
    _resting["until"] = 0.0


def ping() -> bool:
    """Whether ClickHouse answers; raises what went wrong."""
    try:
        if not client(PAGE_S).ping():
            raise ConnectionError("no answer to /ping")
    except Exception:
        _clients.pop(PAGE_S, None)
        raise
    return True
