"""The versioned JSON API for tills and CRMs."""

from typing import Any


def init_app(app: Any) -> None:
    """Register the API on the application."""
