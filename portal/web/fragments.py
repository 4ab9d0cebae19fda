"""A page, or only a part of it: the part is a named block of the page's own template (style.md 16, 17)."""

from typing import Any

from flask import current_app, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response


def render(
    template: str, *, fragment: str = "main", oob: tuple[str, ...] = (), status: int = 200, **context: Any
) -> Response:
    """The whole page for a browser; for htmx the `fragment`, if the page has one, then the `oob` blocks."""
    partial = wants_fragment() and fragment in current_app.jinja_env.get_template(template).blocks
    context["oob"] = frozenset(oob) if partial else frozenset()
    if partial:
        body = "".join(_block(template, name, context) for name in (fragment, *oob))
    else:
        body = render_template(template, **context)
    return make_response(body, status)


def saved(template: str, *, or_redirect: tuple[str, dict[str, Any]], **rendering: Any) -> Response:
    """After a write: fragments for htmx, Post/Redirect/Get for everybody else."""
    if wants_fragment():
        return render(template, **rendering)
    endpoint, values = or_redirect
    return redirect(url_for(endpoint, **values), code=303)


def wants_fragment() -> bool:
    """Whether htmx asks for a part of the page rather than for a page."""
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and headers.get("HX-Boosted") != "true"
        and headers.get("HX-History-Restore-Request") != "true"
        and headers.get("HX-Request-Type") != "full"
    )


def _block(template: str, name: str, context: dict[str, Any]) -> str:
    current_app.update_template_context(context)
    page = current_app.jinja_env.get_template(template)
    return "".join(page.blocks[name](page.new_context(context)))
