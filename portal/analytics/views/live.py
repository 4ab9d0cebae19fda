"""Pages that are looked at for hours: parts ask again, and get an answer only when something has changed."""

import hashlib
from typing import Any

from flask import g, make_response, request
from werkzeug.wrappers import Response

from portal.web.fragments import render, wants_fragment
from portal.web.locale import current

PARTS = {"today": ("recent",), "period": ()}  # a part's block, and the blocks that come along


def wanted() -> frozenset[str]:
    """Which parts this request has to show: all for a page, one for a part that asks again."""
    part = request.args.get("part", "")
    return frozenset({part}) if wants_fragment() and part in PARTS else frozenset(PARTS)


def answer(template: str, facts: dict[str, Any], **context: Any) -> Response:
    """The page, or its part; 204 when the part shows already what is to be shown (`facts`), so that nothing moves.

    The mark of what is shown stands in the part's own address as `seen`, and is the answer's ETag.
    """
    marks = {name: _mark(context["period"], facts.get(name)) for name in PARTS}
    parts = wanted()
    if len(parts) == len(PARTS):
        return render(template, marks=marks, **context)
    (part,) = parts
    if request.args.get("seen") == marks[part]:
        return make_response("", 204)
    shown = render(template, fragment=part, oob=PARTS[part], marks=marks, **context)
    shown.set_etag(marks[part])
    shown.headers["Cache-Control"] = "private, no-cache"
    shown.make_conditional(request)
    return shown


def _mark(period: str, shown: Any) -> str:
    return hashlib.sha256(f"{g.tenant_id} {period} {current()} {shown!r}".encode()).hexdigest()[:16]
