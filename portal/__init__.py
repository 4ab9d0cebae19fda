"""Krug: a portal where a community, its members and its partner businesses meet."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal.app import PortalApp


def create_app() -> "PortalApp":
    """The portal as a WSGI application, configured by the environment (portal/settings.py)."""
    from portal.app import create_app as create

    return create()
