"""`/healthz`, `/readyz`, `/metrics`: on any host, for machines (D10, D11)."""

import hmac
import ipaddress
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Flask, Response, abort, jsonify, request
from sqlalchemy import text

from portal.extensions import limiter
from portal.kernel import primaries
from portal.kernel.authz import PUBLIC, guarded
from portal.kernel.redis import redis
from portal.settings import MAIN, settings
from portal.web import figures


def init_app(app: Flask) -> None:
    """Add the three addresses; they answer on hosts of no tenant too."""
    for path, view in (("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics)):
        name = path[1:]
        app.add_url_rule(path, name, limiter.exempt(guarded(view, PUBLIC, room="public")))
        app.extensions["any_host"].add(name)


def healthz() -> Response:
    """The process answers."""
    return jsonify(status="ok")


def readyz() -> Response:
    """503 only when no PostgreSQL primary can serve its tenants; whatever else is missing degrades the answer (D11)."""
    databases = {
        "postgresql" if name == MAIN else f"postgresql {name}": _ask(partial(_postgres, name))
        for name in primaries.names()
    }
    stores = {**databases, "redis": _ask(redis().ping), "clickhouse": _ask(_clickhouse)}
    ready = "ok" in databases.values()
    status = "ready" if all(s == "ok" for s in stores.values()) else "degraded" if ready else "down"
    response = jsonify(status=status, stores=stores)
    response.status_code = 200 if ready else 503
    return response


def metrics() -> Response:
    """Prometheus' figures, for whoever has METRICS_TOKEN, and for loopback unless a proxy there speaks for somebody else."""
    token = settings().METRICS_TOKEN
    forwarded = {"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"} & set(request.headers.keys())
    local = not forwarded and ipaddress.ip_address(request.remote_addr or "0.0.0.0").is_loopback
    given = request.headers.get("Authorization", "")
    if not local and not (token and hmac.compare_digest(given.encode(), f"Bearer {token}".encode())):
        abort(404)
    return Response(figures.metrics(), content_type="text/plain; version=0.0.4; charset=utf-8")


def _ask(question: Callable[[], Any]) -> str:
    try:
        answer = question()
    except Exception as error:  # noqa: BLE001  whatever is wrong with a store, the page says so
        return f"unreachable: {type(error).__name__}"
    return answer if isinstance(answer, str) else "ok"


def _postgres(primary: str) -> str:
    from portal.cli.database import pending_migrations

    with primaries.own_transaction(primary) as connection:
        current = connection.execute(text("SELECT version_num FROM alembic_version")).scalars().all()
    return "migrations are pending: run portal db upgrade" if pending_migrations(current) else "ok"


def _clickhouse() -> Any:
    from portal.analytics.clickhouse import ping

    return ping()
