"""The operator's host shows the operator's room and nothing else; a tenant's host never shows it (D10)."""

from flask import abort, current_app, g, request
from werkzeug.routing import Rule

OPEN = {"static"}


def keep_apart() -> None:
    """Before each request: 404 for a page of the other kind of host.

    `/login`, `/logout`, `/passkeys/options`, `/language` and `/theme` exist in both rooms; on the operator's host the
    address leads to the operator's own.
    """
    endpoint = request.endpoint
    if endpoint is None or endpoint in OPEN or endpoint in current_app.extensions["any_host"]:
        return
    if not g.get("ops"):
        if _room(endpoint) == "ops":
            abort(404)
        return
    if _room(endpoint) != "ops":
        twin = _twin(request.url_rule)
        if twin is None:
            abort(404)
        request.url_rule = twin


def _room(endpoint: str) -> str:
    return getattr(current_app.view_functions.get(endpoint), "room", "")


def _twin(rule: Rule | None) -> Rule | None:
    """The operator's rule for the same address and method."""
    if rule is None:
        return None
    return next(
        (
            other
            for other in current_app.url_map.iter_rules()
            if other.rule == rule.rule and request.method in (other.methods or ()) and _room(other.endpoint) == "ops"
        ),
        None,
    )
