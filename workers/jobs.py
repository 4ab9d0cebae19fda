"""The one function that RQ calls."""

from functools import lru_cache
from importlib import import_module
from typing import Any

from portal import create_app
from portal.app import PortalApp
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
    """Run a task by its frozen name, in a fresh context."""
    load_tasks()
    with app().app_context():
        REGISTRY[name].run(*args)
