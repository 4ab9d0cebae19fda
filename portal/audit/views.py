"""The audit log, for those who answer for the circle."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from uuid import UUID

from flask import abort, g, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from portal.audit import labels, queries, seals
from portal.audit.files import Asked, Snapshot
from portal.audit.models import AuditRoot
from portal.extensions import limiter
from portal.identity.stepup import fresh
from portal.kernel.audit import AuditEntry
from portal.kernel.authz import Permission, PortalBlueprint
from portal.kernel.reads import written_down
from portal.partners.queries import named
from portal.reports.formats import FORMATS, sent
from portal.wallets import seals as ledger
from portal.web.fragments import render
from portal.web.lookup import get_or_404
from portal.web.paging import Sort, filters, page, query_text

blueprint = PortalBlueprint("audit_admin", __name__, room="admin")
audit_desk = PortalBlueprint("audit_desk", __name__, room="desk", url_prefix="/desk/<business>/audit")
P = Permission
FILTERS = ("action", "actor", "by", "object", "id", "from", "to", "business")
SORTS = {"seq": Sort(AuditEntry.seq.expression, int)}
FILES_AN_HOUR = "5 per hour"  # security.md 14
PAGES = {
    "member": ("identity_admin.member", "member_id", P.MEMBERS_READ),
    "business": ("partners_admin.business", "business_id", P.BUSINESSES_READ),
    "role": ("roles_admin.role", "role_id", P.ROLES_MANAGE),
    "tenant": ("tenants_admin.settings", "", P.SETTINGS_UPDATE),
    "tier_program": ("loyalty_admin.tiers", "", P.TIERS_READ),
}


@blueprint.route("/admin/audit", permission=P.AUDIT_READ)
def entries() -> Response:
    """Who did what, newest first."""
    return _page("layouts/admin.html")


@audit_desk.route("", permission=P.AUDIT_READ)
def entries_here() -> Response:
    """Who did what at a business: at its till, its desk, with its keys, and to itself."""
    return _page("layouts/partner.html")


@blueprint.route("/admin/audit/<uuid:audit_id>", permission=P.AUDIT_READ)
def entry(audit_id: UUID) -> Response:
    """One act and everything it changed."""
    return _entry("layouts/admin.html", audit_id)


@audit_desk.route("/<uuid:audit_id>", permission=P.AUDIT_READ)
def entry_here(audit_id: UUID) -> Response:
    """One act at a business and everything it changed."""
    return _entry("layouts/partner.html", audit_id)


def _limited(view: Callable[..., Any]) -> Any:
    key = lambda: f"{g.get('tenant_id')}|{g.get('actor_id')}|{request.path}"  # noqa: E731
    return limiter.limit(FILES_AN_HOUR, key_func=key, deduct_when=lambda answer: answer.status_code == 200)(view)  # noqa: PLR2004


@blueprint.route("/admin/audit/entries.<any(csv, xlsx, json):kind>", permission=P.AUDIT_READ)
@_limited
@fresh
def file(kind: str) -> Response:
    """The log as it is narrowed, as a file; who took it is in the log (AUD-2)."""
    return _file(kind)


@audit_desk.route("/entries.<any(csv, xlsx, json):kind>", permission=P.AUDIT_READ)
@_limited
@fresh
def file_here(kind: str) -> Response:
    """The log of a business as a file."""
    return _file(kind)


def _shop() -> UUID | None:
    return g.business.id if g.get("business") else None


def _here(name: str, **values: Any) -> str:
    if g.get("business"):
        return url_for(f"audit_desk.{name}_here", business=g.business.slug, **values)
    return url_for(f"audit_admin.{name}", **values)


def _page(layout: str) -> Response:
    chosen, q = filters(*FILTERS), query_text()
    selected = queries.entries(q, chosen, _shop())
    shown = page(selected, sorts=SORTS, default="-seq", key=AuditEntry.id.expression, filters=chosen)
    names = queries.names_of(shown.rows)
    about = next((name for thing, name in names.items() if str(thing) == chosen.get("id")), chosen.get("id"))
    asked = {"q": q} if q else {}
    asked |= {f"f.{name}": value for name, value in chosen.items()}
    return render(
        "audit/entries.html",
        fragment="audit_entries",
        layout=layout,
        here=_here("entries"),
        files={kind: _here("file", kind=kind, **asked) for kind in FORMATS},
        page=shown,
        chain="" if g.get("business") else url_for("audit_admin.chain"),
        shops=[] if g.get("business") else named(),
        names=names,
        about=about,
        actions=sorted(labels.actions().items(), key=lambda item: item[1].casefold()),
        kinds=labels.kinds().items(),
        **_words(),
    )


def _entry(layout: str, audit_id: UUID) -> Response:
    row = queries.entry(audit_id, _shop())
    if row is None:
        abort(404)
    names = queries.names_of([row])
    return render("audit/entry.html", layout=layout, row=row, names=names, changes=changes(row.changes), **_words())


def _file(kind: str) -> Response:
    snapshot = Snapshot(Asked(g.tenant.timezone, query_text(), filters(*FILTERS), _shop()))
    return sent(snapshot, kind, "audit", lambda: _taken(snapshot.asked, kind, snapshot.count))


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
        "place": _here,
    }


def _taken(asked: Any, kind: str, count: int) -> None:
    """Who took which rows is written down before the first of them leaves (AUD-2); names that were looked for are not."""
    about = ("business", asked.business_id) if asked.business_id else ("tenant", g.tenant_id)
    narrowed = [f"{name}={value}" for name, value in asked.filters.items() if name != "actor"]
    written_down("audit.export", kind, f"{count} rows", *narrowed, about=about)


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
