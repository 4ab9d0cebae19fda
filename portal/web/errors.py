"""What a person sees when something is refused or broken: what happened, what was kept, what to do."""

import errno
import logging
from typing import Any

import psycopg
from flask import Flask, Response, g, jsonify, make_response, redirect, render_template, request, url_for
from flask_babel import gettext
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from portal.extensions import db
from portal.kernel.errors import Busy, PortalError
from portal.web.fragments import wants_fragment
from portal.web.security import reading

log = logging.getLogger(__name__)
LOCKED = {"55P03", "57014"}  # lock not available, statement cancelled
STORE_DOWN = 503
RETRY = {"Retry-After": "5"}
OUT_OF_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC}


def init_app(app: Flask) -> None:
    """Turn every failure into a page, a problem document or a fragment."""
    app.register_error_handler(PortalError, on_portal_error)
    app.register_error_handler(HTTPException, on_http)
    app.register_error_handler(CSRFError, on_csrf)
    app.register_error_handler(DBAPIError, on_database)
    app.register_error_handler(PoolTimeout, on_database)
    app.register_error_handler(psycopg.OperationalError, on_database)  # of statements that go past SQLAlchemy
    app.register_error_handler(Exception, on_crash)


def on_http(error: HTTPException) -> Response:
    """A refusal by status. A stranger who needs to sign in is sent to the door."""
    status = error.code or 500
    if error.response is not None and status < 400:  # noqa: PLR2004  a redirect raised
        return error.response  # type: ignore[return-value]
    if status == 401 and not _is_api() and not g.get("unknown_host"):  # noqa: PLR2004
        return _to_the_door()
    headers = {k: v for k, v in error.get_headers() if k.lower() in {"allow", "retry-after"}}
    return answer(status, "http." + str(status), "", headers)


def on_csrf(_: CSRFError) -> Response:
    """The page was open too long or was not ours."""
    return answer(
        400, "csrf", gettext("This page had gone stale. Load it again and repeat; what you typed is still in the form.")
    )


def on_portal_error(error: PortalError) -> Response:
    """A named refusal that no view caught."""
    headers = {"Retry-After": str(error.extra["retry_after"])} if "retry_after" in error.extra else {}
    return answer(
        error.status, error.code, error.message, headers, **{k: v for k, v in error.extra.items() if k != "retry_after"}
    )


def on_database(error: Exception) -> Response:
    """A lock that took too long is 503 with Retry-After, and so is a database that does not answer."""
    _give_up()
    sqlstate = getattr(getattr(error, "orig", error), "sqlstate", None)
    if sqlstate in LOCKED:
        return on_portal_error(Busy())
    if isinstance(error, PoolTimeout) or (
        isinstance(error, OperationalError | psycopg.OperationalError) and (sqlstate or "08")[:2] in {"08", "57", "53"}
    ):
        log.warning("the database does not answer: %s", error)
        return _unavailable()
    return on_crash(error)


def on_crash(error: Exception) -> Response:
    """A defect of ours: logged with the request's id, told without details. A machine without room is no defect (F13)."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) in OUT_OF_ROOM:
        return _without_room(error)
    log.exception("%s %s failed", request.method, request.environ.get("krug.shown_path", request.path), exc_info=error)
    _give_up()
    return answer(500, "internal", "")


def _give_up() -> None:
    """Leave the transaction; a connection that is lost cannot even roll back, and the page must still be answered."""
    try:
        db.session.rollback()
    except Exception:  # noqa: BLE001
        db.session.remove()


def _without_room(error: Exception) -> Response:
    """No memory, no file, no disk: what was begun is given up, and the next caller finds the room that it took."""
    db.session.remove()
    log.error("the machine has no room: %s", error)
    try:
        return _unavailable()
    except (MemoryError, OSError):  # too little even for the page
        return Response("Busy. Nothing was lost; try again in a minute.\n", STORE_DOWN, RETRY, mimetype="text/plain")


def _unavailable() -> Response:
    return answer(
        STORE_DOWN,
        "unavailable",
        gettext("The service is busy or restarting. Nothing was lost; try again in a minute."),
        RETRY,
    )


def answer(status: int, code: str, message: str, headers: dict[str, str] | None = None, **extra: Any) -> Response:
    """The failure in the form that the caller reads."""
    if _is_api():
        response = problem(status, code, message, **extra)
    elif g.get("unknown_host"):
        response = make_response(render_template("errors/unknown_host.html"), status)
    elif wants_fragment():
        response = make_response(
            render_template("errors/_toast.html", status=status, message=message or _what(status)), status
        )
        response.headers["HX-Retarget"], response.headers["HX-Reswap"] = "#toasts", "innerHTML"
    else:
        response = make_response(
            render_template(
                "errors/error.html",
                status=status,
                code=code,
                message=message or _what(status),
                request_id=g.get("request_id"),
            ),
            status,
        )
    response.headers.update(headers or {})
    return response


def problem(status: int, code: str, message: str, **extra: Any) -> Response:
    """An RFC 9457 document with the stable code (G12)."""
    from http import HTTPStatus

    body = {
        "type": f"{request.scheme}://{request.host}/problems/{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": message or _what(status),
        "request_id": g.get("request_id"),
        **extra,
    }
    response = jsonify(body)
    response.status_code, response.mimetype = status, "application/problem+json"
    return response


def _is_api() -> bool:
    return request.path.startswith("/api/")


def _to_the_door() -> Response:
    room = "platform" if g.get("ops") else "identity"
    endpoint = f"{room}.second_factor" if g.get("half") else f"{room}.sign_in"
    back = request.full_path.rstrip("?") if reading() else ""
    url = url_for(endpoint, next=back or None)
    if wants_fragment():
        response = make_response("", 401)
        response.headers["HX-Redirect"] = url
        return response
    return redirect(url, code=303)  # type: ignore[return-value]


def _what(status: int) -> str:
    texts = {
        400: gettext("The request could not be read. Nothing was changed."),
        403: gettext("Your role does not open this page. Nothing was changed."),
        404: gettext("There is nothing at this address, or it is not yours to see."),
        405: gettext("This address does not take that kind of request."),
        409: gettext("Somebody changed this in the meantime. Load the page again."),
        413: gettext("That is larger than what is accepted here. Nothing was saved."),
        429: gettext("Too many tries. Wait a little and try again."),
        503: gettext("The service is busy or restarting. Nothing was lost; try again in a minute."),
    }
    return texts.get(status, gettext("Something broke on our side. What was saved before is safe; please try again."))
