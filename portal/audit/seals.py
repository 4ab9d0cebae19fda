"""Sealing the audit log, and signing its newest seal once a day (security.md 11, D20)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import select, text

from portal.audit.events import AuditSigned
from portal.audit.models import AuditKey, AuditRoot, AuditSeal
from portal.extensions import db
from portal.identity.queries import admins
from portal.kernel.chain import Chain, moment, utc
from portal.kernel.commands import command, emit, journal
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id
from portal.kernel.vault import seal as locked_away
from portal.kernel.vault import unseal
from portal.wallets import seals as ledger

FORMAT = "krug-audit-root-1"
SIGNED = ("format", "tenant", "n", "entries", "hash", "signed_at")
CHAIN = Chain(
    name="audit",
    model=AuditSeal,
    table="audit_entries",
    # All that an entry says, as text: `changes` as PostgreSQL writes it, since JSON's own numbers know no limits.
    row="r.seq, r.id::text AS id, r.action, r.actor_id::text AS actor_id, r.actor_kind, r.on_behalf_of::text AS on_behalf_of,"
    " r.object_type, r.object_id::text AS object_id, r.business_id::text AS business_id, r.changes::text AS changes, r.reason, r.ip, r.request_id,"
    f" {utc('r.occurred_at')} AS occurred_at, {utc('r.recorded_at')} AS recorded_at",
    one="entry",
    many="entries",
    later=("business_id",),
)


@command("audit.seal")
def seal() -> int:
    """Seal the next entries that are settled; returns how many, 0 when another process is at it.

    It is no act of anybody and leaves no entry, which would have to be sealed in turn.
    """
    journal().unchanged()
    return CHAIN.add()


@command("audit.sign")  # no event where nobody is admin yet
def sign() -> bool:
    """Sign the newest seal and give it to the admins; whether there was anything new. Done once a day.

    That it was signed is an entry too: a day with nothing else in it is not signed again.
    """
    head, last = CHAIN.newest(), newest_root()
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
    if postings := ledger.CHAIN.newest():
        journal().note("ledger_seals", postings.n, {"hash": [None, postings.hash]})
    for member_id in admins():
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
        "signed_at": moment(root.signed_at),
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


def _now() -> datetime:
    now: datetime = db.session.scalar(text("SELECT clock_timestamp()"))
    return now
