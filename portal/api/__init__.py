"""The versioned JSON API for tills and CRMs (G12)."""

from typing import Any


def init_app(app: Any) -> None:
    """Register the API on the application."""
    from portal.api.wire import init_app as wire

    wire(app)
