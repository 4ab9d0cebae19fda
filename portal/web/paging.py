"""Lists whose state is their address: `?q=&f.<name>=&sort=-date&after=` (G13)."""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import request, url_for
from sqlalchemy import Select, func, select, tuple_

from portal.extensions import db

SIZE = 50
COUNTED = 1000
PLAIN = "!$'()*,/:;?@"  # left as they are in an address, as url_for leaves them


@dataclass(slots=True)
class Sort:
    """A column that a list can be sorted by; `read` makes its value from the text in a cursor."""

    column: Any
    read: Callable[[Any], Any] = str
    default_down: bool = False


@dataclass(slots=True)
class Page:
    """What a list page shows; `rows` are Core rows."""

    rows: Sequence[Any]
    next_after: str | None
    total: int
    total_label: str
    q: str
    sort: str
    filters: Mapping[str, str] = field(default_factory=dict)


def when(text: str) -> datetime:
    """A moment out of a cursor."""
    return datetime.fromisoformat(text)


def filters(*names: str) -> dict[str, str]:
    """The filters of this address, `f.<name>=`, trimmed; empty ones are absent."""
    found = {name: request.args.get(f"f.{name}", "").strip()[:200] for name in names}
    return {name: value for name, value in found.items() if value and "\x00" not in value}


def query_text() -> str:
    """What was typed into the search box."""
    return request.args.get("q", "").replace("\x00", "").strip()[:200]


def page(
    statement: Select[Any],
    *,
    sorts: Mapping[str, Sort],
    default: str,
    key: Any,
    size: int = SIZE,
    filters: Mapping[str, str] | None = None,
) -> Page:
    """One page of `statement` by keyset: constant cost however far one goes. An unknown sort or cursor is ignored."""
    sort = request.args.get("sort", default)
    name = sort.removeprefix("-")
    if name not in sorts:
        sort, name = default, default.removeprefix("-")
    down, chosen = sort.startswith("-"), sorts[name]
    total = db.session.scalar(select(func.count()).select_from(statement.limit(COUNTED + 1).subquery())) or 0
    ordered = statement.add_columns(chosen.column.label("_sort"), key.label("_key"))
    order = (chosen.column.desc(), key.desc()) if down else (chosen.column.asc(), key.asc())
    if (found := cursor(chosen.read, UUID)) is not None:
        left, right = tuple_(chosen.column, key), tuple_(*found)
        ordered = ordered.where(left < right if down else left > right)
    rows = db.session.execute(ordered.order_by(*order).limit(size + 1)).all()
    return cut(rows, total=total, size=size, sort=sort, filters=filters)


def cut(rows: Sequence[Any], *, total: int, size: int, sort: str, filters: Mapping[str, str] | None = None) -> Page:
    """A page of rows that were asked for by key, one more than fit; their `_sort` and `_key` are where the next begins."""
    after = _write(rows[size - 1]) if len(rows) > size else None
    label = f"{COUNTED:,}+" if total > COUNTED else str(total)
    return Page(rows[:size], after, total, label, query_text(), sort, filters or {})


def cursor(sort: Callable[[Any], Any], key: Callable[[Any], Any]) -> tuple[Any, Any] | None:
    """Where this page begins: the last row of the one before, read from the address; None for the first page."""
    text = request.args.get("after", "")
    if not text:
        return None
    try:
        value, number = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return sort(value), key(number)
    except (ValueError, TypeError, AttributeError):
        return None


def _write(row: Any) -> str:
    value = row._sort
    plain = value.isoformat() if isinstance(value, datetime) else value
    return base64.urlsafe_b64encode(json.dumps([plain, str(row._key)], default=str).encode()).decode().rstrip("=")


def url_with(**changes: str | None) -> str:
    """This page's address with some arguments changed; None drops one, a dot in a name is written `f__name`."""
    arguments: dict[str, Any] = request.args.to_dict()
    if "after" not in changes:
        arguments.pop("after", None)
    for name, value in changes.items():
        arguments[name.replace("__", ".")] = value
    kept = {name: value for name, value in arguments.items() if value not in {None, ""}}
    view = dict(request.view_args or {})
    if request.path.split("/")[1:2] in (["till"], ["desk"]) and "business" not in view:
        view["business"] = request.path.split("/")[2]
    address = url_for(
        request.endpoint or "", **view
    )  # what was typed is no argument of url_for: it knows _scheme and the like
    return f"{address}?{urlencode(kept, safe=PLAIN)}" if kept else address
