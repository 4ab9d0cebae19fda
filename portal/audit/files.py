"""The audit log as a file: CSV, XLSX and JSON of the same rows, in one snapshot (AUD-1, REP-3)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from flask_babel import gettext
from sqlalchemy import func, select

from portal.audit import labels, queries
from portal.kernel.audit import AuditEntry
from portal.kernel.tenancy import current_tenant_id
from portal.reports.reading import MOST_ROWS, Reading, TooLong, compiled, digest

COLUMNS = (
    ("at", "moment", "e.occurred_at"),
    ("actor", "text", "coalesce(a.name, e.actor_kind)"),
    ("on_behalf_of", "text", "coalesce(o.name, '')"),
    ("action", "word", "e.action"),
    ("object", "word", "coalesce(e.object_type, '')"),
    ("object_id", "word", "coalesce(e.object_id::text, '')"),
    ("business", "text", "coalesce(b.name, '')"),
    ("fields", "text", "coalesce(f.names, '')"),
    ("changes", "text", "e.changes::text"),
    ("reason", "text", "coalesce(e.reason, '')"),
    ("ip", "text", "coalesce(e.ip, '')"),
    ("request", "text", "coalesce(e.request_id, '')"),
    ("entry_id", "word", "e.id"),
)
_FROM = """
  FROM ({chosen}) e
  LEFT JOIN users a ON a.tenant_id = e.tenant_id AND a.id = e.actor_id
  LEFT JOIN users o ON o.tenant_id = e.tenant_id AND o.id = e.on_behalf_of
  LEFT JOIN businesses b ON b.tenant_id = e.tenant_id AND b.id = e.business_id
  LEFT JOIN LATERAL (
       SELECT string_agg(DISTINCT n.name, ' ' ORDER BY n.name) AS names FROM jsonb_array_elements(e.changes) c
        CROSS JOIN LATERAL (
              SELECT jsonb_object_keys(CASE jsonb_typeof(c -> 'fields') WHEN 'object' THEN c -> 'fields' ELSE '{{}}' END)
              UNION ALL
              SELECT jsonb_array_elements_text(CASE jsonb_typeof(c -> 'fields') WHEN 'array' THEN c -> 'fields' ELSE '[]' END)
        ) n (name)) f ON true
"""


@dataclass(frozen=True)
class Asked:
    """The log as it is narrowed, of a business or of the whole circle; moments are told in `zone`."""

    zone: str
    q: str = ""
    filters: Mapping[str, str] = field(default_factory=dict)
    business_id: UUID | None = None

    @property
    def first(self) -> date | None:
        return queries.day(self.filters.get("from"))

    @property
    def last(self) -> date | None:
        return queries.day(self.filters.get("to"))

    @property
    def definition(self) -> dict[str, Any]:
        """The file as REP-1 writes it; the tenant is not a part of it."""
        filters = [{"col": name, "op": "=", "value": value} for name, value in sorted(self.filters.items())]
        if self.business_id:
            filters.append({"col": "business_id", "op": "=", "value": str(self.business_id)})
        if self.q:
            filters.append({"col": "q", "op": "matches", "value": self.q})
        return {
            "version": 1,
            "dataset": "audit",
            "columns": [name for name, *_ in COLUMNS],
            "filters": filters,
            "order_by": ["-seq"],
            "timezone": self.zone,
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the definition, hex."""
        return digest(self.definition)


class Snapshot(Reading):
    """The entries that are asked for, the newest first. Raises `AlreadyRunning`, `TooLong`."""

    COLUMNS, FROM, ORDER, BESIDE = COLUMNS, _FROM, "r.seq DESC", ("e.seq",)

    def __init__(self, asked: Asked) -> None:
        self._wanted = [
            AuditEntry.tenant_id == current_tenant_id(),
            *queries.conditions(asked.q, asked.filters, asked.business_id),
        ]
        self.sums = []
        super().__init__(asked, select(AuditEntry.__table__).where(*self._wanted))

    def measure(self) -> None:
        statement = compiled(select(func.count()).select_from(AuditEntry).where(*self._wanted))
        self._count: int
        (self._count,) = self.connection.execute(*statement).fetchone() or (0,)
        if self._count > MOST_ROWS:
            raise TooLong(
                gettext(
                    "These are %(count)s entries, and a file holds %(most)s at most. Choose a shorter period; nothing was left out in silence.",
                    count=f"{self._count:,}",
                    most=f"{MOST_ROWS:,}",
                )
            )

    @property
    def count(self) -> int:
        return self._count

    @property
    def title(self) -> str:
        return gettext("Audit log")

    @property
    def words(self) -> Mapping[str, str]:
        return labels.columns()
