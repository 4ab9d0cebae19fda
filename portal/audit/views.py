"""The audit log, for those who answer for the circle."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from flask import abort, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.audit import labels, queries, seals
from portal.audit.models import AuditRoot
from portal.extensions import db
from portal.kernel.audit import AuditEntry
from portal.kernel.authz import Permission, PortalBlueprint
from portal.kernel.commands import command, journal
from portal.wallets import seals as ledger
from portal.web import csv
from portal.web.fragments import render
from portal.web.lookup import get_or_404
from portal.web.paging import Sort, filters, page

blueprint = PortalBlueprint("audit_admin", __name__, room="admin")
P = Permission
FILTERS = ("action", "actor", "by", "object", "id", "from", "to")
SORTS = {"seq": Sort(AuditEntry.seq.expression, int)}
MOST = 100_000
HEADER = ("at", "actor", "action", "object", "object_id", "fields", "reason", "ip", "request")
PAGES = {
    "member": ("identity_admin.member", "member_id", P.MEMBERS_READ),
    "business": ("partners_admin.business", "business_id", P.BUSINESSES_READ),
    "tenant": ("tenants_admin.settings", "", P.SETTINGS_UPDATE),
    "tier_program": ("loyalty_admin.tiers", "", P.TIERS_READ),
}


@blueprint.route("/admin/audit", permission=P.AUDIT_READ)
def entries() -> Response:
    """Who did what, newest first."""
    chosen = filters(*FILTERS)
    selected = queries.entries(chosen)
    if request.args.get("format") == "csv":
        return csv.download("audit.csv", HEADER, _lines(_taken(selected, chosen)))
    shown = page(selected, sorts=SORTS, default="-seq", key=AuditEntry.id.expression, filters=chosen)
    return render(
        "audit/entries.html",
        fragment="audit_entries",
        page=shown,
        names=queries.names_of(shown.rows),
        actions=sorted(labels.actions().items(), key=lambda item: item[1].casefold()),
        kinds=labels.kinds().items(),
        **_words(),
    )


@blueprint.route("/admin/audit/<uuid:audit_id>", permission=P.AUDIT_READ)
def entry(audit_id: UUID) -> Response:
    """One act and everything it changed."""
    row = queries.entry(audit_id)
    if row is None:
        abort(404)
    return render("audit/entry.html", row=row, names=queries.names_of([row]), changes=changes(row.changes), **_words())


@blueprint.route("/admin/audit/chain", permission=P.AUDIT_READ)
def chain() -> Response:
    """The seals over the log and the ledger, what is not sealed yet, the roots that were signed (security.md 11, WAL-9)."""
    return render(
        "audit/chain.html",
        head=seals.CHAIN.newest(),
        open=seals.CHAIN.unsealed(),
        postings=ledger.CHAIN.newest(),
        open_postings=ledger.CHAIN.unsealed(),
        shown=queries.last_seals(),
        roots=queries.signed_roots(),
        public_key=queries.public_key(),
    )


@blueprint.route("/admin/audit/roots/<uuid:root_id>.json", permission=P.AUDIT_READ)
def root(root_id: UUID) -> Response:
    """A signed root to keep outside; `portal audit verify --root` takes it."""
    found = get_or_404(AuditRoot, root_id)
    response = Response(json.dumps(seals.document(found), indent=2) + "\n", mimetype="application/json")
    response.headers["Content-Disposition"] = f'attachment; filename="audit-root-{found.n}.json"'
    return response


def _words() -> dict[str, Any]:
    return {
        "action_name": labels.action_name,
        "actor_name": labels.actor_name,
        "kind_name": labels.kind_name,
        "field_name": labels.field_name,
        "told": told,
        "address": address,
    }


@command("audit.export", reads=True)
def _taken(selected: Any, chosen: Mapping[str, str]) -> list[Any]:
    """The rows of a download; that somebody took them is written down (AUD-2)."""
    journal().reason(", ".join(f"{name}={value}" for name, value in chosen.items() if name != "actor") or "all")
    return list(db.session.execute(selected.order_by(AuditEntry.seq.desc()).limit(MOST)).all())


def _lines(rows: list[Any]) -> Iterator[tuple[object, ...]]:
    for r in rows:
        who = r.actor or r.actor_kind
        fields = " ".join(fields_of(r.changes))
        yield r.occurred_at.isoformat(), who, r.action, r.object_type, r.object_id, fields, r.reason, r.ip, r.request_id


def fields_of(changed: list[dict[str, Any]]) -> list[str]:
    """The names of all fields that an entry's act changed, each once."""
    return list(dict.fromkeys(name for change in changed for name in change.get("fields") or ()))


def told(changed: list[dict[str, Any]]) -> str:
    """The changed fields that have words, in a line; technical ones are on the entry's own page."""
    words = labels.fields()
    return ", ".join(dict.fromkeys(words[name] for name in fields_of(changed) if name in words))


def changes(changed: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """A line a field: `table`, `key`, `field`, `before`, `after`; `hidden` where the value is personal (D42)."""
    for change in changed:
        line = {"table": change.get("table", ""), "key": change.get("key") or change.get("bulk") or ""}
        fields = change.get("fields") or {}
        if not isinstance(fields, Mapping):
            fields = dict.fromkeys(fields)
        for name, pair in fields.items():
            before, after = pair if isinstance(pair, list) and len(pair) == 2 else (None, None)  # noqa: PLR2004
            hidden = isinstance(pair, Mapping)
            yield {**line, "field": name, "before": before, "after": after, "hidden": hidden}
        if not fields:
            yield {**line, "field": "", "before": None, "after": None, "hidden": False}


def address(kind: str | None, key: UUID | None) -> str:
    """Where the thing that an entry is about can be looked at by this reader; '' where it cannot."""
    endpoint, name, permission = PAGES.get(kind or "", ("", "", None))
    if permission is None or key is None or not current_user.may(permission):
        return ""
    values: dict[str, Any] = {name: key} if name else {}
    return url_for(endpoint, **values)
