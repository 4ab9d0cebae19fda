"""Validation errors as problem documents: which field, what is wrong, in the caller's language where it is ours."""

from typing import Any

from flask import Response
from flask_babel import gettext
from pydantic import BaseModel, ConfigDict, ValidationError

from portal.web.errors import problem

MOST = 50
INPUT_KINDS = {"header", "query", "path"}


class FieldError(BaseModel):
    """A field that could not be taken."""

    field: str
    code: str
    message: str


class Problem(BaseModel):
    """An error as RFC 9457 describes it; `code` is stable, `detail` is for people."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": True})

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str | None = None
    errors: list[FieldError] = []


def on_invalid(error: ValidationError) -> Response:
    """422 with every field that is wrong; the value itself is not repeated, since it may be personal."""
    fields = [
        {"field": ".".join(str(part) for part in e["loc"]) or "body", "code": e["type"], "message": _said(e)}
        for e in error.errors(include_url=False, include_input=False, include_context=True)[:MOST]
    ]
    return problem(422, "request.invalid", gettext("Some fields cannot be taken. Nothing was changed."), errors=fields)


def _said(error: Any) -> str:
    texts = {
        "missing": gettext("This field is required."),
        "extra_forbidden": gettext("There is no such field."),
        "string_type": gettext("This must be a text."),
        "string_too_long": gettext("This is too long."),
        "string_too_short": gettext("This is too short."),
    }
    return texts.get(error["type"], str(error["msg"]).removeprefix("Value error, "))
