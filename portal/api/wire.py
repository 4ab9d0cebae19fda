"""The API put on the application: its addresses, its description, and what holds for all of /api/."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from portal.api import describe, problems, purchases
from portal.api.views import blueprint
from portal.extensions import csrf

API = "/api/"
READS_COOKIES = ("/api/v1/docs",)  # a page for people: language and theme
PERSONAL = re.compile(r"(/api/v1/members/)[^/?]+")
SHOWN = "krug.shown_path"  # the path as our own log lines print it
KEY = re.compile(r"(krug_live|krug_test)_[^&/?#]*")
assert purchases.blueprint is blueprint  # noqa: S101  its routes are registered by the import


def init_app(app: Any) -> None:
    """Register the API on the application."""
    app.security_schemes = describe.SECURITY
    app.validation_error_callback = problems.on_invalid
    app.validation_error_model = problems.Problem
    csrf.exempt(blueprint)
    app.register_api(blueprint)
    describe.init_app(app)
    app.wsgi_app = ApiDoor(app.wsgi_app)


class ApiDoor:
    """Before anything reads a call: cookies do not reach the API, and what is personal does not reach the access log."""

    def __init__(self, inner: Callable[..., Iterable[bytes]]) -> None:
        self.inner = inner

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if path.startswith(API):
            if not path.startswith(READS_COOKIES):
                environ.pop("HTTP_COOKIE", None)
            environ[SHOWN] = masked(path)
            for name in ("RAW_URI", "REQUEST_URI"):  # what access logs print; routing reads PATH_INFO
                if name in environ:
                    environ[name] = masked(environ[name])
        return self.inner(environ, start_response)


def masked(address: str) -> str:
    """The address without the member's contact and without keys (G12)."""
    return KEY.sub(r"\1_***", PERSONAL.sub(r"\1***", address))
