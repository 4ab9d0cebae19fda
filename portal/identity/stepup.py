"""Showing who one is once more before something that matters: `@fresh` (decisions.md, Step-up age 5 min)."""

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec
from urllib.parse import urlsplit

from flask import g, make_response, redirect, request, url_for
from flask import session as browser
from werkzeug.wrappers import Response

from portal.identity import onward
from portal.web.fragments import wants_fragment
from portal.web.security import host_of, reading

P = ParamSpec("P")
AGE = timedelta(minutes=5)
KEPT = "typed_before_confirming"  # where the session keeps a form that has to wait
LARGEST = 200_000  # characters of a form that waits: legal pages are long
NEVER_KEPT = {"csrf_token", "password", "current", "new", "token"}


def fresh(view: Callable[P, Any]) -> Callable[P, Any]:
    """A decorator for a view, under its route: whoever showed no factor for five minutes shows one first.

    They come back to where they were; a form that was sent is kept in the session (without its passwords and files)
    and offered again. A page asked for by htmx is sent there by HX-Redirect.
    """

    @wraps(view)
    def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        return view(*args, **kwargs) if is_fresh() else ask()

    run.fresh = True  # type: ignore[attr-defined]
    return run


def fresh_to_write(view: Callable[P, Any]) -> Callable[P, Any]:
    """Like `fresh`, for a view whose GET only shows a form: its POST asks."""

    @wraps(view)
    def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        return view(*args, **kwargs) if reading() or is_fresh() else ask()

    run.fresh = True  # type: ignore[attr-defined]
    return run


def is_fresh() -> bool:
    """Whether this session's person showed a factor within five minutes; nobody does who looks through another's eyes."""
    if g.get("ops"):
        from portal.platform import sessions as operators

        return operators.is_fresh(AGE)
    row = g.get("device_session")
    if row is None or row.state != "full" or row.impersonator_id is not None or row.proved_at is None:
        return False
    return bool(row.now - row.proved_at <= AGE)


def ask() -> Response:
    """Send the person to show a factor, remembering what they were about to do."""
    page = request.full_path.rstrip("?") if reading() and not wants_fragment() else _page()
    browser.pop(KEPT, None)
    if request.method == "POST" and not g.get("ops") and (fields := _typed()) is not None:
        browser[KEPT] = {"to": request.full_path.rstrip("?"), "fields": fields}
    url = url_for("platform.confirm" if g.get("ops") else "identity.confirm", next=onward.safe_path(page))
    if wants_fragment():
        answer = make_response("", 200)
        answer.headers["HX-Redirect"] = url
        return answer
    return redirect(url, code=303)


def kept() -> dict[str, Any] | None:
    """The form that waits: `to`, an address of this host, and `fields`, names with values."""
    waiting: dict[str, Any] | None = browser.get(KEPT)
    return waiting


def _page() -> str:
    """The page on which the person stands."""
    told = request.headers.get("HX-Current-URL") or request.referrer or ""
    if host_of(told) != request.host.lower():
        return "/tenants" if g.get("ops") else "/me"
    parts = urlsplit(told)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _typed() -> list[list[str]] | None:
    """What was sent, ready to be sent again; None when a secret or a file is part of it."""
    pairs = [[name, value] for name, values in request.form.lists() for value in values]
    secret = any(name in NEVER_KEPT - {"csrf_token"} and value for name, value in pairs)
    if secret or request.files or sum(len(name) + len(value) for name, value in pairs) > LARGEST:
        return None
    return [pair for pair in pairs if pair[0] not in NEVER_KEPT]
