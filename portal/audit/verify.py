"""I10: the audit log is what was sealed, from the first entry to the newest seal (security.md 11)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text

from portal.audit import merkle, seals
from portal.audit.models import AuditKey, AuditRoot, AuditSeal
from portal.extensions import db
from portal.kernel.tenancy import current_tenant_id

AT_ONCE = 20  # seals read together, up to 1,000 entries each
LATE = timedelta(
    hours=1
)  # longer than any transaction that writes: an entry recorded so long before its elders is false
_ROWS = text(f"SELECT {seals.ROW} FROM audit_entries e WHERE e.tenant_id = :t AND e.seq = ANY(:seqs)")
_BESIDE = text("""
WITH head AS (SELECT through_xact, to_seq FROM audit_seals WHERE tenant_id = :t ORDER BY n DESC LIMIT 1),
     sealed AS MATERIALIZED (SELECT unnest(seqs) AS seq FROM audit_seals WHERE tenant_id = :t)
SELECT e.seq FROM audit_entries e CROSS JOIN head LEFT JOIN sealed ON sealed.seq = e.seq
 WHERE e.tenant_id = :t AND (e.xact_id, e.seq) <= (head.through_xact, head.to_seq) AND sealed.seq IS NULL
 ORDER BY e.seq LIMIT 100""")


def broken(kept: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """What does not fit, in words. `kept` are signed roots from outside, as `seals.document` made them."""
    hashes: dict[int, tuple[str, int]] = {}
    found = list(_seals(hashes))
    if len(found) < 100:  # noqa: PLR2004  enough to know
        beside = db.session.execute(_BESIDE, {"t": current_tenant_id()})
        found += [f"entry {row.seq} was put among sealed ones" for row in beside]
    roots = [seals.document(root) for root in db.session.scalars(select(AuditRoot).order_by(AuditRoot.n))]
    keys = set(db.session.scalars(select(AuditKey.public_key)))
    for root in (*roots, *kept):
        found += _root(root, hashes, keys)
    return found


def _seals(hashes: dict[int, tuple[str, int]]) -> Iterator[str]:
    """Each seal against the one before and against its entries; fills `hashes`, number → hash and entries so far."""
    before, entries, newest = seals.NOTHING, 0, None
    n = 0
    while batch := list[Any](db.session.execute(_next(n))):
        rows: dict[int, list[dict[str, Any]]] = {}
        wanted = [seq for seal in batch for seq in seal.seqs]
        for row in db.session.execute(_ROWS, {"t": current_tenant_id(), "seqs": wanted}).mappings():
            rows.setdefault(row["seq"], []).append(dict(row))
        for seal in batch:
            if seal.n != n + 1:
                yield f"seals {n + 1} to {seal.n - 1} are missing"
            if seal.prev_hash != before or seal.hash != seals.hash_of(seal) or seal.entries != entries + seal.count:
                yield f"seal {seal.n} does not follow from the one before"
            n, before, entries = seal.n, seal.hash, seal.entries
            hashes[n] = (before, entries)
            yield from _leaves(seal, rows)
            newest, told = _in_time(seal, rows, newest)
            yield from told


def _next(n: int) -> Any:
    columns = [c for c in AuditSeal.__table__.columns if c.name not in {"id", "through_xact"}]
    return select(*columns).where(AuditSeal.tenant_id == current_tenant_id(), AuditSeal.n > n).order_by(AuditSeal.n).limit(AT_ONCE)  # fmt: skip


def _leaves(seal: Any, rows: Mapping[int, list[dict[str, Any]]]) -> Iterator[str]:
    missing = [seq for seq in seal.seqs if seq not in rows]
    twice = [seq for seq in seal.seqs if len(rows.get(seq, ())) > 1]
    if missing:
        yield f"seal {seal.n}: {len(missing)} entries are missing, the first is {missing[0]}"
    if twice:
        yield f"seal {seal.n}: entry {twice[0]} is there twice"
    if missing or twice:
        return
    if merkle.root([seals.leaf_of(rows[seq][0]) for seq in seal.seqs]).hex() != seal.leaf_root:
        yield f"seal {seal.n}: entries {seal.from_seq} to {seal.to_seq} are not as they were sealed"


def _in_time(
    seal: Any, rows: Mapping[int, list[dict[str, Any]]], newest: datetime | None
) -> tuple[datetime | None, list[str]]:
    """The newest moment so far, and entries that claim to be much older than those sealed before them."""
    moments = {seq: datetime.fromisoformat(rows[seq][0]["recorded_at"]) for seq in seal.seqs if seq in rows}
    late = [seq for seq, at in moments.items() if newest and at < newest - LATE]
    told = [f"seal {seal.n}: entry {late[0]} says it was recorded long before its elders"] if late else []
    return max((*moments.values(), *([newest] if newest else [])), default=None), told


def _root(root: Mapping[str, Any], hashes: Mapping[int, tuple[str, int]], keys: set[str]) -> Iterator[str]:
    n = root.get("n")
    if not seals.is_signed(root) or root["tenant"] != str(current_tenant_id()):
        yield f"the signed root of seal {n} is not this tenant's or its signature is false"
    elif root["public_key"] not in keys:
        yield f"the root of seal {n} was signed with a key that is not here"
    elif hashes.get(root["n"]) != (root["hash"], root["entries"]):
        yield f"seal {n} is not the one that was signed on {root['signed_at']}"


CHECKS: Mapping[str, Callable[[], list[str]]] = {"I10 the audit log is not what was sealed": broken}
