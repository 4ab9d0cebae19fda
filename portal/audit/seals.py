"""Sealing the audit log (security.md 11, D20): apart from writing it, so that no command waits for another's hash.

A seal takes entries whose transactions are all settled, in the order `(xact_id, seq)`; so nothing can slip in among what
is sealed. What is not sealed yet is as old as the longest writing transaction and the pause of the sealer: 60 s at most
while none is longer than 30 s.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import select, text

from portal.audit import merkle
from portal.audit.events import AuditSigned
from portal.audit.models import AuditKey, AuditRoot, AuditSeal
from portal.extensions import db
from portal.identity.models import TenantRole
from portal.kernel.commands import command, emit, journal
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id
from portal.kernel.vault import seal as locked_away
from portal.kernel.vault import unseal

MOST = 1000  # entries a seal
NOTHING = "0" * 64  # what stands before the first seal
FORMAT = "krug-audit-root-1"
SIGNED = ("format", "tenant", "n", "entries", "hash", "signed_at")
_UTC = """to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS {0}"""
# All that an entry says, as text: `changes` as PostgreSQL writes it, since JSON's own numbers know no limits.
ROW = (
    "e.seq, e.id::text AS id, e.action, e.actor_id::text AS actor_id, e.actor_kind, e.on_behalf_of::text AS on_behalf_of,"
    " e.object_type, e.object_id::text AS object_id, e.changes::text AS changes, e.reason, e.ip, e.request_id,"
    f" {_UTC.format('occurred_at')}, {_UTC.format('recorded_at')}"
)
_NEXT = text(f"""
SELECT {ROW}, e.xact_id::text AS xact, clock_timestamp() AS sealed_at FROM audit_entries e
 WHERE e.tenant_id = :t AND (e.xact_id, e.seq) > (cast(:xact AS xid8), :seq)
   AND e.xact_id < pg_snapshot_xmin(pg_current_snapshot())
 ORDER BY e.xact_id, e.seq LIMIT :most""")
_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtextextended('audit:' || cast(:t AS text), 0))")
log = logging.getLogger(__name__)


def leaf_of(row: Mapping[str, Any]) -> bytes:
    """The leaf of an entry: the hash of its RFC 8785 form. `row` has the columns of `ROW`."""
    return merkle.leaf(rfc8785.dumps(dict(row)))


def hash_of(seal: Any) -> str:
    """h(n) = SHA-256(h(n-1) ‖ RFC 8785(the seal))."""
    told = {
        "tenant": str(seal.tenant_id),
        "n": seal.n,
        "from_seq": seal.from_seq,
        "to_seq": seal.to_seq,
        "count": seal.count,
        "entries": seal.entries,
        "leaf_root": seal.leaf_root,
        "sealed_at": _moment(seal.sealed_at),
    }
    return sha256(bytes.fromhex(seal.prev_hash) + rfc8785.dumps(told)).hexdigest()


@command("audit.seal")
def seal() -> int:
    """Seal the next entries that are settled; returns how many, 0 when another process is at it.

    It is no act of anybody and leaves no entry, which would have to be sealed in turn.
    """
    journal().unchanged()
    tenant = current_tenant_id()
    if not db.session.scalar(_ALONE, {"t": tenant}):
        return 0
    head = newest()
    values = {"t": tenant, "xact": head.through_xact if head else "0", "seq": head.to_seq if head else 0, "most": MOST}
    rows = [dict(row) for row in db.session.execute(_NEXT, values).mappings()]
    if not rows:
        return 0
    ends = [(row.pop("xact"), row.pop("sealed_at")) for row in rows]
    made = AuditSeal(
        tenant_id=tenant,
        n=head.n + 1 if head else 1,
        from_seq=rows[0]["seq"],
        to_seq=rows[-1]["seq"],
        count=len(rows),
        entries=(head.entries if head else 0) + len(rows),
        seqs=[row["seq"] for row in rows],
        leaf_root=merkle.root([leaf_of(row) for row in rows]).hex(),
        prev_hash=head.hash if head else NOTHING,
        through_xact=ends[-1][0],
        sealed_at=ends[-1][1],
    )
    made.hash = hash_of(made)
    db.session.add(made)
    log.info("audit log of %s: seal %s, %s entries, %s", tenant, made.n, made.entries, made.hash)
    return len(rows)


_HEAD = text("""
SELECT n, to_seq, through_xact::text AS through_xact, entries, hash, sealed_at FROM audit_seals
 WHERE tenant_id = :t ORDER BY n DESC LIMIT 1""")


def newest() -> Any:
    """The last seal, or None."""
    return db.session.execute(_HEAD, {"t": current_tenant_id()}).one_or_none()


@command("audit.sign", emits=(AuditSigned,))
def sign() -> bool:
    """Sign the newest seal and give it to the admins; whether there was anything new. Done once a day.

    That it was signed is an entry too: a day with nothing else in it is not signed again.
    """
    head, last = newest(), newest_root()
    if head is None or (last and head.entries - last.entries <= 1):
        journal().unchanged()
        return False
    key = _key()
    made = AuditRoot(n=head.n, entries=head.entries, hash=head.hash, public_key=key.public_key, signed_at=_now())
    made.tenant_id = current_tenant_id()
    private = Ed25519PrivateKey.from_private_bytes(unseal(key.sealed, table="audit_keys", column="sealed", row=key.id))
    made.signature = private.sign(_told(document(made))).hex()
    db.session.add(made)
    journal().about("tenant", current_tenant_id())
    for member_id in _admins():
        emit(AuditSigned(member_id=member_id, n=head.n, entries=head.entries, hash=head.hash, signature=made.signature))
    return True


def newest_root() -> AuditRoot | None:
    """The root signed last."""
    return db.session.scalars(select(AuditRoot).order_by(AuditRoot.n.desc()).limit(1)).one_or_none()


def document(root: Any) -> dict[str, Any]:
    """A signed root as a file: keep it outside, and no later rewriting passes it."""
    return {
        "format": FORMAT,
        "tenant": str(root.tenant_id),
        "n": root.n,
        "entries": root.entries,
        "hash": root.hash,
        "signed_at": _moment(root.signed_at),
        "public_key": root.public_key,
        "signature": root.signature,
    }


def is_signed(told: Mapping[str, Any]) -> bool:
    """Whether a document's signature is that of its key."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(told["public_key"])).verify(
            bytes.fromhex(told["signature"]), _told(told)
        )
    except (InvalidSignature, KeyError, TypeError, ValueError, rfc8785.CanonicalizationError):
        return False
    return True


def _told(told: Mapping[str, Any]) -> bytes:
    return rfc8785.dumps({name: told[name] for name in SIGNED})


def _key() -> AuditKey:
    found = db.session.scalars(select(AuditKey)).one_or_none()
    if found is None:
        private, made = Ed25519PrivateKey.generate(), new_id()
        found = AuditKey(id=made, public_key=private.public_key().public_bytes_raw().hex())
        found.sealed = locked_away(private.private_bytes_raw(), table="audit_keys", column="sealed", row=made)
        db.session.add(found)
        db.session.flush()
    return found


def _admins() -> Sequence[UUID]:
    return db.session.scalars(select(TenantRole.user_id).where(TenantRole.role == "admin")).all()


def _now() -> datetime:
    now: datetime = db.session.scalar(text("SELECT clock_timestamp()"))
    return now


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
