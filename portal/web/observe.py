"""What an operator sees of a running portal: a request id, structured log lines, Prometheus figures."""

import logging
import time
from typing import Any

import structlog
from flask import Flask, Response, current_app, g, request
from prometheus_client import Counter, Histogram

from portal.kernel.model import new_id
from portal.settings import settings

REQUESTS = Counter("krug_requests_total", "Answers sent", ["room", "method", "status"])
SECONDS = Histogram(
    "krug_request_seconds", "Time to an answer", ["room"], buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
)
LONGEST_ID = 64


def init_app(app: Flask) -> None:
    """Give each request an id and count it."""
    configure_logs()
    app.before_request(_begin)
    app.after_request(_end)


def configure_logs() -> None:
    """One line an event, JSON or text, with the request's and the tenant's id also on foreign lines."""
    config = settings()
    shared: list[Any] = [structlog.stdlib.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True), _who]
    renderer = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if config.LOG_FORMAT == "json"
        else structlog.dev.ConsoleRenderer(colors=False)
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    if not any(isinstance(h.formatter, structlog.stdlib.ProcessorFormatter) for h in root.handlers):
        root.addHandler(handler)
    root.setLevel(config.LOG_LEVEL)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _who(_logger: Any, _name: str, fields: dict[str, Any]) -> dict[str, Any]:
    try:
        if g.get("request_id"):
            fields["request_id"] = g.request_id
        if g.get("task"):
            fields["task"] = g.task
        if g.get("tenant_id"):
            fields["tenant_id"] = str(g.tenant_id)
    except RuntimeError:  # no application context
        pass
    return fields


def _begin() -> None:
    given = request.headers.get("X-Request-Id", "")
    clean = given.isascii() and given.replace("-", "").replace("_", "").isalnum() and len(given) <= LONGEST_ID
    g.request_id = given if clean else str(new_id())
    g.began = time.perf_counter()


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id", "")
    view: Any = None
    if request.endpoint:
        view = current_app.view_functions.get(request.endpoint)
    room = getattr(view, "room", "other")
    REQUESTS.labels(room, request.method, response.status_code).inc()
    if "began" in g:
        SECONDS.labels(room).observe(time.perf_counter() - g.began)
    return response
