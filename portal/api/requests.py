"""The body of a call, before any model sees it: JSON of UTF-8, one object, small (B10)."""

import json
from typing import Any

from flask import abort, request
from flask_babel import gettext

from portal.web.errors import problem

LARGEST = 256 * 1024
WITH_BODY = {"POST", "PUT", "PATCH"}


class _NotJson(ValueError):
    """The text is no JSON, or JSON that says two things."""


def check_body() -> None:
    """Refuse what is no JSON object; keep what was read, so that nothing reads it a second time in another way."""
    if request.method not in WITH_BODY:
        return
    if request.mimetype != "application/json":
        abort(problem(415, "request.media_type", gettext("Send JSON with Content-Type: application/json.")))
    request.max_content_length = LARGEST
    raw = request.get_data(cache=True)
    try:
        text = raw.decode("utf-8-sig")
        body = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
        json.dumps(body, ensure_ascii=False).encode()  # a lone surrogate cannot be stored
    except (ValueError, RecursionError):
        abort(problem(400, "request.not_json", gettext("The body is no JSON. Nothing was changed.")))
    if not isinstance(body, dict):
        abort(problem(422, "request.invalid", gettext("The body must be a JSON object.")))
    request._cached_json = (body, body)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _NotJson("a name stands twice in one object")
    return found


def _constant(name: str) -> None:
    raise _NotJson(f"{name} is not JSON")
