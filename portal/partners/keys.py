"""API keys of a business: made, renewed, withdrawn; the secret is shown once and only its hash is kept (security.md 9)."""

import hashlib
import hmac
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import select

from portal.extensions import db
from portal.identity.roles import refuse_more
from portal.kernel import clock
from portal.kernel.authz import Permission as P
from portal.kernel.commands import command, journal
from portal.kernel.driver import driver_sql, run
from portal.kernel.errors import NotFound, PortalError
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id
from portal.partners.models import ApiKey, Business

PREFIXES = {"live": "krug_live", "sandbox": "krug_test"}  # kind of tenant → what its keys begin with
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_LENGTH, SECRET_LENGTH = 8, 32
SCOPES: tuple[P, ...] = (P.MEMBERS_FIND, P.PURCHASES_CREATE, P.PURCHASES_READ, P.PURCHASES_REFUND, P.PURCHASES_IMPORT)
TILL_SCOPES: tuple[P, ...] = SCOPES[:-1]  # what a till needs; the last one only for bringing old sales
OVERLAP = timedelta(hours=24)  # the old key keeps working this long after it is renewed
LONGEST_NAME = 80
_NO_HASH = hashlib.sha256(b"").hexdigest()
_FIND = driver_sql("""
SELECT k.id, k.secret_hash, k.scopes, k.name, k.expires_at, k.revoked_at,
       b.id AS business_id, b.slug, b.name AS business, b.category, b.currency, b.max_bonus_share, b.spend_confirmation,
       b.archived_at
  FROM api_keys k JOIN businesses b ON b.tenant_id = k.tenant_id AND b.id = k.business_id
 WHERE k.tenant_id = :tenant AND k.prefix = :prefix
""")


class InvalidKeyRequest(PortalError):
    """The key asked for has no name, an unknown scope or an end in the past."""

    code = "key.invalid"


@dataclass(frozen=True, slots=True)
class KeyShop:
    """The business that a key speaks for, as far as a request needs it."""

    id: UUID
    slug: str
    name: str
    category: str
    currency: str
    max_bonus_share: int
    spend_confirmation: str


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """A key that was shown and holds."""

    id: UUID
    name: str
    scopes: frozenset[str]
    business: KeyShop


@command("key.create")
def create_key(
    business_id: UUID, name: str, scopes: Sequence[str] = TILL_SCOPES, *, expires_at: datetime | None = None
) -> tuple[UUID, str]:
    """A new key: its id, and the whole key, which is stored nowhere. Raises `InvalidKeyRequest`, `NotFound`."""
    label = " ".join(name.split())
    if not label or len(label) > LONGEST_NAME:
        raise InvalidKeyRequest(gettext("Name the key after the till or program that will use it."))
    if not scopes or set(scopes) - {str(scope) for scope in SCOPES}:
        raise InvalidKeyRequest(gettext("Choose at least one of the listed permissions."))
    refuse_more(scopes, business_id)
    if expires_at is not None and expires_at <= clock.now():
        raise InvalidKeyRequest(gettext("The key would be over before it begins."))
    if db.session.scalar(select(Business.id).where(Business.id == business_id)) is None:
        raise NotFound
    public, secret = _random(ID_LENGTH), _random(SECRET_LENGTH)
    row = ApiKey(
        id=new_id(),
        business_id=business_id,
        name=label,
        prefix=public,
        secret_hash=_hashed(secret),
        scopes=sorted(str(scope) for scope in scopes),
        created_by=g.get("actor_id") if g.get("actor_kind") == "member" else None,
        expires_at=expires_at,
    )
    db.session.add(row)
    journal().about("api_key", row.id)
    return row.id, assembled(public, secret)


@command("key.rotate")
def rotate_key(key_id: UUID) -> tuple[UUID, str]:
    """A successor with the same name, scopes and lifetime; the old key ends in 24 hours, so that tills change in turn."""
    old = _locked(key_id)
    if old.revoked_at is not None:
        raise InvalidKeyRequest(gettext("This key was withdrawn. Make a new one."))
    now = clock.now()
    lifetime = old.expires_at - old.created_at if old.expires_at else None
    made = create_key(
        old.business_id,
        old.name,
        [str(scope) for scope in old.scopes],
        expires_at=now + lifetime if lifetime else None,
    )
    ends = now + OVERLAP
    old.expires_at = min(old.expires_at, ends) if old.expires_at else ends
    journal().about("api_key", old.id)
    return made


@command("key.revoke")
def revoke_key(key_id: UUID) -> None:
    """Withdraw a key at once. A second time changes nothing."""
    row = _locked(key_id)
    if row.revoked_at is not None:
        journal().unchanged()
        return
    row.revoked_at = clock.now()
    row.revoked_by = g.get("actor_id")
    journal().about("api_key", row.id)


def holder_of(presented: str) -> KeyHolder | None:
    """Who shows this key on the acting tenant's host; None for unknown, foreign, expired and withdrawn ones alike."""
    parts = taken_apart(presented)
    if parts is None:
        return None
    prefix, public, secret = parts
    if prefix != own_prefix():
        return None
    row = run(_FIND, {"tenant": current_tenant_id(), "prefix": public}).fetchone()
    fits = hmac.compare_digest(_hashed(secret), row.secret_hash if row else _NO_HASH)
    if row is None or not fits or not _in_force(row):
        return None
    shop = KeyShop(
        row.business_id, row.slug, row.business, row.category, row.currency, row.max_bonus_share, row.spend_confirmation
    )
    return KeyHolder(row.id, row.name, frozenset(row.scopes), shop)


def own_prefix() -> str:
    """What the keys of the acting tenant begin with."""
    return PREFIXES[g.tenant.kind]


def taken_apart(presented: str) -> tuple[str, str, str] | None:
    """The prefix, the public and the secret part; None where the form or the check sum is wrong, so that typing errors cost nothing."""
    body, _, check = presented.rpartition("_")
    prefix = next((prefix for prefix in PREFIXES.values() if body.startswith(prefix + "_")), None)
    if not presented.isascii() or prefix is None or check != _check(body):
        return None
    parts = body.removeprefix(prefix + "_").split("_")
    if [len(part) for part in parts] != [ID_LENGTH, SECRET_LENGTH] or set("".join(parts)) - set(ALPHABET):
        return None
    return prefix, parts[0], parts[1]


def assembled(public: str, secret: str) -> str:
    """The key as it is shown: `krug_live_<8>_<32>_<crc32>`, `krug_test_…` in a sandbox."""
    body = f"{own_prefix()}_{public}_{secret}"
    return f"{body}_{_check(body)}"


def _in_force(row: Any) -> bool:
    return (
        row.revoked_at is None and row.archived_at is None and (row.expires_at is None or row.expires_at > clock.now())
    )


def _locked(key_id: UUID) -> ApiKey:
    row = db.session.scalars(select(ApiKey).where(ApiKey.id == key_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound
    return row


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _check(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
