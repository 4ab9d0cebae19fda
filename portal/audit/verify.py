"""I10: the audit log is what was sealed, from the first entry to the newest seal (security.md 11)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from portal.audit import seals
from portal.audit.models import AuditKey, AuditRoot
from portal.extensions import db
from portal.kernel.tenancy import current_tenant_id


def broken(kept: Sequence[Mapping[str, Any]] = ()) -> list[str]:
    """What does not fit, in words. `kept` are signed roots from outside, as `seals.document` made them."""
    found, hashes = seals.CHAIN.broken()
    roots = [seals.document(root) for root in db.session.scalars(select(AuditRoot).order_by(AuditRoot.n))]
    keys = set(db.session.scalars(select(AuditKey.public_key)))
    for root in (*roots, *kept):
        found += _root(root, hashes, keys)
    return found


def _root(root: Mapping[str, Any], hashes: Mapping[int, tuple[str, int]], keys: set[str]) -> Iterator[str]:
    n = root.get("n")
    if not seals.is_signed(root) or root["tenant"] != str(current_tenant_id()):
        yield f"the signed root of seal {n} is not this tenant's or its signature is false"
    elif root["public_key"] not in keys:
        yield f"the root of seal {n} was signed with a key that is not here"
    elif hashes.get(root["n"]) != (root["hash"], root["entries"]):
        yield f"seal {n} is not the one that was signed on {root['signed_at']}"


CHECKS: Mapping[str, Callable[[], list[str]]] = {"I10 the audit log is not what was sealed": broken}
