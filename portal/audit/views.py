"""The audit log, for those who answer for the circle."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from flask import abort, request, url_for
from werkzeug.wrappers import Response

from portal.audit import queries
from portal.audit.labels import action_name, kind_name
from portal.extensions import db
from portal.kernel.audit import AuditEntry
from portal.kernel.authz import Permission, PortalBlueprint
from portal.kernel.commands import command
from portal.web import csv
from portal.web.fragments import render
from portal.web.paging import Sort, filters, page

blueprint = PortalBlueprint("audit_admin", __name__, room="admin")
FILTERS = ("action", "actor", "object", "from", "to")
MOST = 100_000


@blueprint.route("/admin/audit", permission=Permission.AUDIT_READ)
def entries() -> Response:
    """Who did what, newest first."""
    chosen = filters(*FILTERS)
    selected = queries.entries(chosen)
    if request.args.get("format") == "csv":
        return csv.download(
            "audit.csv", ("at", "actor", "action", "object", "id", "reason", "ip", "request"), _lines(_export(selected))
        )
    rows = page(selected, sorts={"seq": Sort(AuditEntry.seq, int)}, default="-seq", key=AuditEntry.id, filters=chosen)
    return render("audit/entries.html", page=rows, action_name=action_name, kind_name=kind_name, address=address)


@command("audit.export", reads=True)
def _export(selected: Any) -> list[Any]:
    return list(db.session.execute(selected.order_by(AuditEntry.seq.desc()).limit(MOST)).all())


def _lines(rows: list[Any]) -> Iterator[tuple[object, ...]]:
    for r in rows:
        yield (
            r.occurred_at.isoformat(),
            r.actor or r.actor_kind,
            r.action,
            r.object_type,
            r.object_id,
            r.reason,
            r.ip,
            r.request_id,
        )


@blueprint.route("/admin/audit/<uuid:audit_id>", permission=Permission.AUDIT_READ)
def entry(audit_id: UUID) -> Response:
    """One act and everything it changed."""
    row = queries.entry(audit_id)
    if row is None:
        abort(404)
    return render("audit/entry.html", row=row, action_name=action_name, kind_name=kind_name, address=address)


def address(kind: str | None, key: UUID | None) -> str:
    """Where the thing that an entry is about can be looked at; '' where it cannot."""
    pages = {"member": ("identity_admin.member", "member_id"), "business": ("partners_admin.business", "business_id")}
    if kind not in pages or key is None:
        return ""
    endpoint, name = pages[kind]
    values: dict[str, Any] = {name: key}
    return url_for(endpoint, **values)
