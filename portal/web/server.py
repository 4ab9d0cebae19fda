"""gunicorn's configuration: threads, since a request waits for stores, and a short farewell (R2)."""

import os
import shutil
from pathlib import Path
from typing import Any

bind = f"{os.environ.get('BIND', '0.0.0.0')}:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.get("WEB_WORKERS", "2"))
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS", "16"))
graceful_timeout = int(os.environ.get("WEB_GRACE", "3"))
timeout = 90
keepalive = 5
limit_request_line = 8190
max_requests = 20_000
max_requests_jitter = 2_000
accesslog = None
errorlog = "-"
loglevel = "warning"
logger_class = "portal.web.logs.GunicornLogger"
control_socket_disable = True


def on_starting(server: Any) -> None:  # noqa: ARG001
    """Figures of the last run are not this run's."""
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if directory:
        shutil.rmtree(directory, ignore_errors=True)
        Path(directory).mkdir(parents=True, exist_ok=True)


def child_exit(server: Any, worker: Any) -> None:  # noqa: ARG001
    """What a worker that is gone has counted is added to that of those before it."""
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if directory:
        from portal.web.figures import bury

        bury(Path(directory), worker.pid)
