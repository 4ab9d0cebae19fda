"""The one function that RQ calls."""

import time
from functools import lru_cache
from importlib import import_module
from typing import Any

from flask import g
from rq import get_current_job

from portal import create_app
from portal.app import PortalApp
from portal.kernel import beat
from workers.tasks import REGISTRY

MODULES = ("workers.delivery", "workers.imports", "workers.periodic")


def load_tasks() -> None:
    """Register every task."""
    for module in MODULES:
        import_module(module)


@lru_cache(maxsize=1)
def app() -> PortalApp:
    """The process's application; made at the first job."""
    return create_app()


def run(name: str, *args: Any) -> None:
    """Run a task by its frozen name, in a fresh context; its lines in the log carry the job's id and the task's name."""
    load_tasks()
    job = get_current_job()
    began, failed = time.perf_counter(), True
    with app().app_context():
        g.request_id, g.task = job.id if job else None, name
        try:
            REGISTRY[name].run(*args)
            failed = False
        finally:
            beat.count(name, failed=failed, seconds=time.perf_counter() - began)
