"""Secrets at rest: AES-256-GCM under keys that are wrapped twice (security.md 12, D43).

The installation's master key wraps one key a tenant, the tenant's key wraps one key a person; dropping a person's key
makes whatever was sealed for them unreadable, in backups too. Each value is bound to its tenant, table, column and row,
so that a ciphertext copied elsewhere opens nowhere.
"""

import hmac
import os
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import UniqueConstraint, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped

from portal.kernel.errors import PortalError
from portal.kernel.model import Model, TenantOwned, new_id, recorded_at
from portal.kernel.tenancy import current_tenant_id
from portal.settings import settings

FORMAT = b"\x01"
NONCE, KEY_ID = 12, 16


class DataKey(TenantOwned, Model):
    """A wrapped key: the tenant's own (`subject_id` is the tenant) or a person's."""

    __tablename__ = "data_keys"
    __table_args__ = (UniqueConstraint("tenant_id", "subject_id"),)

    subject_id: Mapped[UUID]
    wrapped: Mapped[bytes]
    recorded_at: Mapped[datetime] = recorded_at()


class Unreadable(PortalError):
    """A sealed value does not open: another master key, another row, or its key was dropped."""

    code, status = "vault.unreadable", 410


def seal(value: str | bytes, *, table: str, column: str, row: UUID, subject: UUID | None = None) -> bytes:
    """Encrypt a value for its place; `subject` is whose it is (None: the tenant's). Inside a command."""
    key_id, key = _key_for(subject or current_tenant_id())
    nonce = os.urandom(NONCE)
    plain = value.encode() if isinstance(value, str) else value
    return FORMAT + key_id.bytes + nonce + AESGCM(key).encrypt(nonce, plain, _place(table, column, row))


def unseal(sealed: bytes, *, table: str, column: str, row: UUID) -> bytes:
    """Decrypt what `seal` made for the same place. Raises `Unreadable`."""
    body = len(FORMAT) + KEY_ID
    if sealed[:1] != FORMAT or len(sealed) <= body + NONCE:
        raise Unreadable("this value was not sealed here")
    key = _opened(UUID(bytes=bytes(sealed[1:body])))
    try:
        return AESGCM(key).decrypt(sealed[body : body + NONCE], sealed[body + NONCE :], _place(table, column, row))
    except InvalidTag:
        raise Unreadable("this value was sealed for another place") from None


def seal_for_operator(value: str, *, table: str, row: UUID) -> bytes:
    """Encrypt a value of the platform's own tables, which belong to no tenant, under a key of the master's."""
    nonce = os.urandom(NONCE)
    key = _derived(settings().master_keys[0], "operator")
    return nonce + AESGCM(key).encrypt(nonce, value.encode(), f"{table}|{row}".encode())


def unseal_for_operator(sealed: bytes, *, table: str, row: UUID) -> str:
    """Decrypt what `seal_for_operator` made, also under a master key of before. Raises `Unreadable`."""
    for secret in settings().master_keys:
        try:
            plain = AESGCM(_derived(secret, "operator")).decrypt(
                sealed[:NONCE], sealed[NONCE:], f"{table}|{row}".encode()
            )
        except InvalidTag:
            continue
        return plain.decode()
    raise Unreadable("no master key opens this: was MASTER_KEY changed without MASTER_KEY_FALLBACKS?")


def shred(subject: UUID) -> None:
    """Drop a person's key: what was sealed for them is gone for good, in every copy. Inside a command."""
    from portal.extensions import db

    db.session.execute(delete(DataKey).where(DataKey.subject_id == subject))


def blind(value: str, purpose: str) -> str:
    """A keyed hash by which an encrypted value is found again; the same in one tenant for one purpose only. Inside a
    command, since a tenant's key is made when it is first needed.
    """
    key = _derived(_key_for(current_tenant_id())[1].hex(), f"blind/{purpose}")
    return hmac.new(key, value.encode(), sha256).hexdigest()


def rewrap() -> int:
    """Wrap the acting tenant's key with the newest master key; returns 1 when it was another's. Inside a command."""
    from portal.extensions import db

    tenant = current_tenant_id()
    row = db.session.execute(select(DataKey.id, DataKey.wrapped).where(DataKey.subject_id == tenant)).one_or_none()
    if row is None or _unwrap(row.wrapped, [_master()], row.id) is not None:
        return 0
    key = _master_opened(row.wrapped, row.id)
    db.session.execute(update(DataKey).where(DataKey.id == row.id).values(wrapped=_wrap(key, _master(), row.id)))
    return 1


def _key_for(subject: UUID) -> tuple[UUID, bytes]:
    from portal.extensions import db

    find = select(DataKey.id).where(DataKey.subject_id == subject)
    found = db.session.scalar(find)
    if found is None:
        tenant, made = current_tenant_id(), new_id()
        outer = _master() if subject == tenant else _key_for(tenant)[1]
        wrapped = _wrap(AESGCM.generate_key(256), outer, made)
        values = {"tenant_id": tenant, "id": made, "subject_id": subject, "wrapped": wrapped}
        db.session.execute(insert(DataKey).values(**values).on_conflict_do_nothing())
        found = db.session.scalar(find)
        if found is None:
            raise Unreadable("the key of this person was just dropped")
    return found, _opened(found)


def _opened(key_id: UUID) -> bytes:
    from portal.extensions import db

    row = db.session.execute(select(DataKey.subject_id, DataKey.wrapped).where(DataKey.id == key_id)).one_or_none()
    if row is None:
        raise Unreadable("the key of this value was dropped")
    if row.subject_id == current_tenant_id():
        return _master_opened(row.wrapped, key_id)
    key = _unwrap(row.wrapped, [_key_for(current_tenant_id())[1]], key_id)
    if key is None:
        raise Unreadable("the tenant's key does not open this one")
    return key


def _master_opened(wrapped: bytes, key_id: UUID) -> bytes:
    key = _unwrap(wrapped, [_derived(secret, "master") for secret in settings().master_keys], key_id)
    if key is None:
        raise Unreadable("no master key opens the tenant's key: was MASTER_KEY changed without MASTER_KEY_FALLBACKS?")
    return key


def _wrap(key: bytes, outer: bytes, key_id: UUID) -> bytes:
    nonce = os.urandom(NONCE)
    return nonce + AESGCM(outer).encrypt(nonce, key, key_id.bytes)


def _unwrap(wrapped: bytes, outers: list[bytes], key_id: UUID) -> bytes | None:
    for outer in outers:
        try:
            return AESGCM(outer).decrypt(wrapped[:NONCE], wrapped[NONCE:], key_id.bytes)
        except InvalidTag:
            continue
    return None


def _master() -> bytes:
    return _derived(settings().master_keys[0], "master")


def _derived(secret: str, purpose: str) -> bytes:
    kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"krug/vault/{purpose}".encode())
    return kdf.derive(secret.encode())


def _place(table: str, column: str, row: UUID) -> bytes:
    return f"{current_tenant_id()}|{table}|{column}|{row}".encode()
