"""Files of a tenant: one way in, one way out (B9).

The row comes first (`uploading`), then the bytes under a random path, then the row again (`ready`). Whatever dies in
between leaves an `uploading` row, and `purge` takes it away with its bytes.
"""

import hashlib
import logging
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import IO, Any
from uuid import UUID

from flask import g, url_for
from flask_babel import gettext
from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from sqlalchemy import func, or_, select

from portal.extensions import db
from portal.files import storage
from portal.files.kinds import UNKNOWN, WINDOW, kind_of
from portal.files.models import StoredFile
from portal.kernel import clock
from portal.kernel.commands import command, journal
from portal.kernel.errors import NotFound, PortalError
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id
from portal.settings import settings
from portal.tenants.limits import LimitReached, keep_within, refuse_full

log = logging.getLogger(__name__)
MIB = 1024 * 1024
CHUNK = 256 * 1024
LARGEST: dict[str, int] = {"import": 64 * MIB, "avatar": MIB, "brand": 2 * MIB}
LARGEST_OTHER = 512 * MIB
ACCEPTED: dict[str, frozenset[str]] = {
    "import": frozenset({"text/plain", "text/plain; charset=utf-16", "application/x-xz", "application/gzip"}),
    "avatar": frozenset({"image/webp"}),
    "brand": frozenset({"image/png"}),
}
NOBODYS = {"brand"}  # the community's own: who sent it may leave, the file stays
LINK_LIVES = timedelta(hours=24)
ABANDONED_AFTER = timedelta(hours=2)
LONGEST_NAME = 150


class FileRefused(PortalError):
    """Empty, too large or of another kind than is taken here."""

    code = "file.refused"


class FileTooLarge(FileRefused):
    """More bytes than this purpose allows."""

    code, status = "file.too_large", 413


class NoRoom(PortalError):
    """The store cannot take it: it is full, or out of reach (F8)."""

    code, status = "file.no_room", 503

    def __init__(self) -> None:
        super().__init__(
            gettext("There is no room to keep the file just now. Nothing was saved; try again in a few minutes."),
            retry_after=60,
        )


class LinkExpired(PortalError):
    """A download link is good for a day."""

    code, status = "file.link_expired", 410


def store(
    stream: IO[bytes] | Iterable[bytes],
    name: str,
    purpose: str,
    *,
    business_id: UUID | None = None,
    owner_id: UUID | None = None,
    expires_at: datetime | None = None,
    mime: str | None = None,
) -> UUID:
    """Keep a file and return its id. Raises `FileRefused`, `NoRoom` and `LimitReached`; then nothing of it is left.

    `mime` is for files that the portal itself wrote; what people send is looked at.
    """
    refuse_full("storage_mb", lambda: _megabytes(1), 0)
    file_id, path = _begin(name, purpose, business_id, owner_id, expires_at)
    measured = _Measured(_chunks(stream), LARGEST.get(purpose, LARGEST_OTHER), ACCEPTED.get(purpose))
    try:
        storage.write(path, measured)
    except FileRefused:
        _drop(file_id)
        raise
    except OSError as error:
        log.exception("the store of files does not take %s", path)
        _drop(file_id)
        raise NoRoom from error
    try:
        _ready(file_id, measured.sha256.hexdigest(), measured.size, mime or measured.mime)
    except LimitReached:
        _drop(file_id)
        raise
    return file_id


def _megabytes(more: int) -> int:
    """What the tenant's files would take with `more` bytes, a begun megabyte counted whole."""
    kept = select(func.coalesce(func.sum(StoredFile.size), 0)).where(StoredFile.state == "ready")
    return -(-(int(db.session.scalar(kept) or 0) + more) // MIB)


class _Measured:
    """The chunks on their way to the store: counted, hashed, and stopped at the first thing wrong."""

    def __init__(self, chunks: Iterable[bytes], largest: int, accepted: frozenset[str] | None) -> None:
        self.chunks, self.largest, self.accepted = chunks, largest, accepted
        self.sha256, self.size, self.mime = hashlib.sha256(), 0, UNKNOWN

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.chunks:
            if not self.size and chunk:
                self.mime = kind_of(chunk[:WINDOW])
                if self.accepted is not None and self.mime not in self.accepted:
                    raise FileRefused(gettext("This kind of file is not taken here. Nothing was saved."))
            self.size += len(chunk)
            if self.size > self.largest:
                raise FileTooLarge(
                    gettext("The file is larger than %(size)s MB. Nothing was saved.", size=self.largest // MIB)
                )
            self.sha256.update(chunk)
            yield chunk
        if not self.size:
            raise FileRefused(gettext("The file is empty."))


def _chunks(stream: IO[bytes] | Iterable[bytes]) -> Iterator[bytes]:
    read = getattr(stream, "read", None)
    if read is None:
        yield from stream
        return
    while chunk := read(CHUNK):
        yield chunk


@command("file.begin")
def _begin(
    name: str, purpose: str, business_id: UUID | None, owner_id: UUID | None, expires_at: datetime | None
) -> tuple[UUID, str]:
    file_id = new_id()
    path = f"{current_tenant_id()}/{secrets.token_hex(2)}/{secrets.token_hex(24)}"
    db.session.add(
        StoredFile(
            id=file_id,
            owner_id=None if purpose in NOBODYS else owner_id or _acting_person(),
            business_id=business_id,
            purpose=purpose,
            name=plain_name(name),
            path=path,
            mime=UNKNOWN,
            expires_at=expires_at,
        )
    )
    journal().about("file", file_id)
    return file_id, path


@command("file.store")
def _ready(file_id: UUID, sha256: str, size: int, mime: str) -> None:
    keep_within("storage_mb", lambda: _megabytes(size), 0)
    row = _row(file_id)
    row.sha256, row.size, row.mime, row.state = sha256, size, mime, "ready"
    journal().about("file", file_id)


@command("file.drop")
def _drop(file_id: UUID) -> None:
    row = _row(file_id)
    row.state = "deleted"
    journal().about("file", file_id)


@command("file.keep")
def keep_until(file_id: UUID, moment: datetime | None) -> None:
    """When the file may go; None keeps it. `purge` takes it away after that."""
    _row(file_id).expires_at = moment
    journal().about("file", file_id)


def discard(file_id: UUID) -> None:
    """Nobody needs the file any more; `purge` takes it away once this is committed."""
    keep_until(file_id, clock.now())


def open_file(file_id: UUID) -> IO[bytes]:
    """The bytes of a file that is ready. Raises `NotFound`."""
    path = db.session.scalar(select(StoredFile.path).where(StoredFile.id == file_id, StoredFile.state == "ready"))
    if path is None or not storage.storage().exists(path):
        raise NotFound
    return storage.storage().open(path, "rb")


def signed_url(file_id: UUID) -> str:
    """An address that downloads the file for the next 24 hours, for whoever may see it; it opens nothing by itself."""
    return url_for("files.download", token=_signer().dumps(str(file_id)))


def file_of(token: str) -> UUID:
    """The file behind a link. Raises `NotFound` for a forged one and `LinkExpired` for an old one."""
    try:
        return UUID(_signer().loads(token, max_age=int(LINK_LIVES.total_seconds())))
    except SignatureExpired:
        raise LinkExpired(gettext("This link was good for a day. Open the page it came from for a new one.")) from None
    except (BadSignature, ValueError):
        raise NotFound from None


def purge() -> int:
    """Take away what expired and what never became ready, of the acting tenant; returns how many files."""
    return _take_away(_doomed())


def remove(file_ids: Iterable[UUID]) -> int:
    """Take these discarded files away now instead of at the next purge; returns how many. Raises `OSError`."""
    wanted = select(StoredFile.id, StoredFile.path).where(StoredFile.id.in_(list(file_ids)))
    return _take_away(list(db.session.execute(wanted.where(StoredFile.state != "deleted"))))


def _take_away(doomed: list[Any]) -> int:
    for file_id, path in doomed:
        storage.remove(path)
        _drop(file_id)
    return len(doomed)


def _doomed() -> list[Any]:
    now = clock.now()
    stuck = (StoredFile.state == "uploading") & (StoredFile.created_at < now - ABANDONED_AFTER)
    over = (StoredFile.state == "ready") & (StoredFile.expires_at <= now)
    return list(db.session.execute(select(StoredFile.id, StoredFile.path).where(or_(stuck, over)).limit(1000)))


def plain_name(name: str) -> str:
    """The last part of what somebody called the file, without what a file system or a header could trip over."""
    last = PurePosixPath(name.replace("\\", "/")).name
    clean = "".join(c for c in last if c.isprintable() and c not in '"/\\:*?<>|').strip(" .")
    return clean[-LONGEST_NAME:] or "file"


def _row(file_id: UUID) -> StoredFile:
    return db.session.scalars(select(StoredFile).where(StoredFile.id == file_id).with_for_update()).one()


def _acting_person() -> UUID | None:
    return g.get("actor_id") if g.get("actor_kind") == "member" else None


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings().SECRET_KEY, salt=f"file/{current_tenant_id()}")
