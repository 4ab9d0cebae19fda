"""What the operator sees of the tenants: counts, never a name (D2)."""

from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from portal.kernel.primaries import names
from portal.kernel.redis import redis
from portal.platform.database import connected, everywhere
from portal.settings import MAIN

HOURS, BARS = 24, 12
DOMAINS = 500  # on one page
LATE = timedelta(minutes=5)  # a delivery waiting longer than this is worth a look

_TENANTS = """
SELECT t.id, t.slug, t.name, t.kind, t.status, t.currency, t.locales, t.clock_offset, t.brand, %(primary)s::text AS primary_name,
       ARRAY(SELECT d.host FROM tenant_domains d WHERE d.tenant_id = t.id AND d.status = 'active'
              ORDER BY d.primary DESC, d.host) AS hosts,
       (SELECT count(*) FROM users u WHERE u.tenant_id = t.id AND u.archived_at IS NULL AND u.merged_into IS NULL) AS members,
       (SELECT count(*) FROM businesses b WHERE b.tenant_id = t.id AND b.archived_at IS NULL) AS businesses,
       (SELECT count(*) FROM purchases p WHERE p.tenant_id = t.id
           AND p.occurred_at > clock_timestamp() + t.clock_offset - interval '30 days'
           AND p.occurred_at <= clock_timestamp() + t.clock_offset) AS purchases,
       (SELECT count(*) FROM purchases p WHERE p.tenant_id = t.id
           AND p.occurred_at > clock_timestamp() + t.clock_offset - %(hours)s * interval '1 hour'
           AND p.occurred_at <= clock_timestamp() + t.clock_offset) AS purchases_day,
       ARRAY(SELECT count(p.id) FROM generate_series(0, %(bars)s - 1) AS n
               LEFT JOIN purchases p ON p.tenant_id = t.id
                AND p.occurred_at > clock_timestamp() + t.clock_offset - %(hours)s * interval '1 hour' * (%(bars)s - n) / %(bars)s
                AND p.occurred_at <= clock_timestamp() + t.clock_offset - %(hours)s * interval '1 hour' * (%(bars)s - n - 1) / %(bars)s
              GROUP BY n ORDER BY n) AS day,
       coalesce(w.pending, 0) AS pending, coalesce(w.dead, 0) AS dead, w.waiting
  FROM tenants t
  LEFT JOIN (SELECT tenant_id, count(*) FILTER (WHERE status IN ('pending', 'leased')) AS pending,
                    count(*) FILTER (WHERE status = 'dead') AS dead,
                    clock_timestamp() - min(available_at) FILTER (WHERE status = 'pending' AND available_at <= clock_timestamp()) AS waiting
               FROM outbox_deliveries WHERE open OR status = 'dead' GROUP BY tenant_id) w ON w.tenant_id = t.id
 WHERE %(q)s::text IS NULL OR starts_with(lower(t.name), %(q)s) OR starts_with(t.slug, %(q)s)
    OR EXISTS (SELECT 1 FROM tenant_domains d WHERE d.tenant_id = t.id AND starts_with(d.host, %(q)s))
 ORDER BY purchases DESC, t.name
"""
_TENANT = """
SELECT t.*, coalesce((SELECT d.host FROM tenant_domains d WHERE d.tenant_id = t.id ORDER BY d.primary DESC LIMIT 1), '') AS host,
       (SELECT count(*) FROM users u WHERE u.tenant_id = t.id AND u.archived_at IS NULL AND u.merged_into IS NULL) AS members,
       (SELECT count(*) FROM business_staff s WHERE s.tenant_id = t.id AND s.archived_at IS NULL) AS staff,
       (SELECT count(*) FROM businesses b WHERE b.tenant_id = t.id AND b.archived_at IS NULL) AS businesses,
       (SELECT count(*) FROM purchases p WHERE p.tenant_id = t.id) AS purchases,
       (SELECT coalesce(sum(f.size), 0)::bigint / 1048576 FROM stored_files f WHERE f.tenant_id = t.id AND f.state = 'ready') AS storage_mb,
       (SELECT count(*) FROM notification_states n WHERE n.tenant_id = t.id AND n.channel = 'email' AND n.state = 'sent'
           AND n.updated_at > clock_timestamp() - interval '1 day') AS mails_a_day,
       (SELECT coalesce(sum(k.uses), 0)::bigint FROM api_key_uses k WHERE k.tenant_id = t.id
           AND k.hour > clock_timestamp() - interval '30 days') AS calls
  FROM tenants t WHERE t.id = %(id)s
"""
_DOMAINS = (
    """SELECT host, status, "primary" FROM tenant_domains WHERE tenant_id = %(id)s ORDER BY "primary" DESC, host"""
)
_ALL_DOMAINS = """
SELECT t.id AS tenant_id, t.slug, t.name, d.status, d."primary", c.id AS claim_id, c.state, c.checked_at, c.failure,
       coalesce(d.host, c.host) AS host
  FROM tenant_domains d FULL JOIN domain_claims c ON c.tenant_id = d.tenant_id AND c.host = d.host
  JOIN tenants t ON t.id = coalesce(d.tenant_id, c.tenant_id)
 WHERE (%(tenant)s = '' OR t.slug = %(tenant)s) AND starts_with(coalesce(d.host, c.host), %(host)s)
 ORDER BY t.slug, d."primary" DESC NULLS LAST, host LIMIT %(most)s
"""
_DELIVERY = """
SELECT subscriber, count(*) FILTER (WHERE status IN ('pending', 'leased')) AS pending,
       count(*) FILTER (WHERE status = 'dead') AS dead,
       clock_timestamp() - min(available_at) FILTER (WHERE status = 'pending' AND available_at <= clock_timestamp()) AS waiting
  FROM outbox_deliveries WHERE open OR status = 'dead' GROUP BY subscriber ORDER BY subscriber
"""


def tenants(q: str = "") -> tuple[list[Any], list[str]]:
    """Every tenant of every primary with its figures, the busiest first; `q` begins a name, a slug or a host.

    Also the primaries that do not answer, whose tenants are missing.
    """
    rows, silent = everywhere(_TENANTS, {"bars": BARS, "hours": HOURS, "q": q.lower() or None})
    return sorted(rows, key=lambda row: (-row.purchases, row.name)), silent


def tenant(tenant_id: UUID) -> Any | None:
    """One tenant with what it uses; None for an unknown one."""
    rows, _ = everywhere(_TENANT, {"id": tenant_id})
    return rows[0] if rows else None


def domains(tenant_id: UUID) -> list[Any]:
    """The hosts of a tenant, the first address first."""
    return everywhere(_DOMAINS, {"id": tenant_id})[0]


def all_domains(*, tenant: str = "", host: str = "") -> tuple[list[Any], list[str]]:
    """Hosts that answer and hosts that are claimed, of one tenant by its slug or of all, `host` begins them.

    Rows: tenant_id, slug, name, host, status and primary where it answers, claim_id, state, checked_at and failure where
    it is claimed; one more than `DOMAINS` where there are more. Also the primaries that do not answer.
    """
    asked = {"tenant": tenant.strip().lower(), "host": host.strip().lower(), "most": DOMAINS + 1}
    rows, silent = everywhere(_ALL_DOMAINS, asked)
    return sorted(rows, key=lambda row: (row.slug, not row.primary, row.host))[: DOMAINS + 1], silent


def health_of(row: Any) -> str:
    """`bad` with dead deliveries, `near` when the oldest waits too long, else `yes`."""
    if row.dead:
        return "bad"
    return "near" if row.waiting is not None and row.waiting > LATE else "yes"


class Waiting(NamedTuple):
    """What one subscriber has before it, on all primaries."""

    subscriber: str
    pending: int
    dead: int
    waiting: timedelta | None


def deliveries() -> list[Waiting]:
    """What waits and what died, by subscriber."""
    found: dict[str, Waiting] = {}
    for row in everywhere(_DELIVERY, {})[0]:
        was = found.get(row.subscriber, Waiting(row.subscriber, 0, 0, None))
        oldest = max((span for span in (was.waiting, row.waiting) if span), default=None)
        found[row.subscriber] = Waiting(row.subscriber, was.pending + row.pending, was.dead + row.dead, oldest)
    return [found[name] for name in sorted(found)]


def versions() -> dict[str, str]:
    """What this installation runs on."""
    import platform as machine
    from importlib.metadata import PackageNotFoundError, version

    found = {"Python": machine.python_version()}
    for primary in names():
        label = "PostgreSQL" if primary == MAIN else f"PostgreSQL ({primary})"
        try:
            with connected(primary) as connection:
                row = connection.execute("SHOW server_version").fetchone()
            found[label] = row[0] if row else "?"
        except psycopg.OperationalError:
            found[label] = "?"
    for name in ("krug", "Flask", "SQLAlchemy", "psycopg", "rq"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    try:
        found["Redis"] = str(redis().info("server")["redis_version"])
    except Exception:  # noqa: BLE001  the page shows what can be reached
        found["Redis"] = "?"
    return found


def queues() -> dict[str, int] | None:
    """Jobs waiting in each queue; None when Redis does not answer."""
    try:
        client = redis()
        names = sorted(name if isinstance(name, str) else name.decode() for name in client.smembers("rq:queues"))
        return {name.removeprefix("rq:queue:"): int(client.llen(name)) for name in names}
    except Exception:  # noqa: BLE001  the page says so
        return None
