"""Errors with stable codes: a page shows the text, the API a problem document (RFC 9457)."""

from typing import Any

from flask_babel import gettext


class PortalError(Exception):
    """Something a person or a program can act on. `code` is stable (WAL-10), `status` is HTTP's."""

    code = "error"
    status = 422

    def __init__(self, message: str = "", **extra: Any) -> None:
        super().__init__(message or self.code)
        self.extra = extra

    @property
    def message(self) -> str:
        """What happened and what to do, in the reader's language."""
        return str(self.args[0])


class NotFound(PortalError):
    """There is no such row for this caller."""

    code, status = "not_found", 404


class Conflict(PortalError):
    """The row has moved on since it was shown."""

    code, status = "conflict", 409


class Busy(PortalError):
    """Somebody else holds what is needed; the same request may be repeated."""

    code, status = "busy", 503

    def __init__(self) -> None:
        super().__init__(gettext("The same thing is being done right now. Try again in a few seconds."), retry_after=2)


class LookingOnly(PortalError):
    """Whoever looks through another's eyes changes nothing (S14)."""

    code, status = "session.looking_only", 403

    def __init__(self) -> None:
        super().__init__(gettext("You are looking at this account for its owner; nothing can be changed."))
