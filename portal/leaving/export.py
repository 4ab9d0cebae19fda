"""All that is kept about a member, as a ZIP of JSON, CSV, pictures and unsealed documents, packed by a worker (security.md 13)."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from tempfile import TemporaryFile
from typing import IO, Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import LargeBinary, func, select, text

from portal.extensions import db
from portal.files import service as files
from portal.files.models import StoredFile
from portal.identity.models import User
from portal.identity.queries import whose
from portal.identity.service import locked
from portal.jobs import service as jobs
from portal.jobs.models import Job
from portal.jobs.registry import job_kind
from portal.jobs.running import Run
from portal.kernel import clock, vault
from portal.kernel.commands import command, journal
from portal.kernel.errors import Conflict, NotFound, PortalError
from portal.kyc import service as kyc
from portal.leaving.registry import LINKS, Link, exported
from portal.web import csv

KIND = "data.export"
PURPOSE = "own_data"
LIVES = timedelta(hours=24)
EACH_HOUR = 5
BLOCK = 500


class TooManyExports(PortalError):
    """Five an hour are enough (security.md 14)."""

    code, status = "data.too_many", 429


class AlreadyTaken(Conflict):
    """The link was good once and for a day."""

    code, status = "data.taken", 410


@command("data.export")
def request_export(member_id: UUID) -> UUID:
    """Put the packing in line; returns the job's id. One that waits or runs is given again. Raises `TooManyExports`."""
    locked(member_id)
    own = select(Job.id).where(Job.kind == KIND, Job.owner_id == member_id)
    if running := db.session.scalar(own.where(Job.state.in_(("queued", "running"))).limit(1)):
        journal().unchanged()
        return running
    lately = select(func.count()).select_from(
        own.where(Job.created_at > func.clock_timestamp() - LIVES / 24).subquery()
    )
    if db.session.execute(lately).scalar_one() >= EACH_HOUR:
        raise TooManyExports(gettext("You asked for it often within the last hour. Try again later."), retry_after=3600)
    journal().about("member", member_id)
    return jobs.start(KIND)


@job_kind(KIND)
def pack(run: Run) -> None:
    """The work behind the button. Killed anywhere it begins anew: half a ZIP is in a nameless file of that process."""
    owner = db.session.scalar(select(Job.owner_id).where(Job.id == run.job_id))
    if owner is None:
        raise NotFound
    run.report(0, len(LINKS) + 1)
    with TemporaryFile() as made:
        rows = _packed(run, owner, made)
        made.seek(0)
        name = f"{g.tenant.slug}-{clock.now().date()}.zip"
        until = clock.now() + LIVES
        file_id = files.store(made, name, PURPOSE, owner_id=owner, expires_at=until, mime="application/zip")
    _hand_over(owner, file_id)
    run.result = {"tables": sum(1 for count in rows.values() if count), "rows": sum(rows.values())}


@command("data.ready")
def _hand_over(owner: UUID, file_id: UUID) -> None:
    """Whoever left meanwhile gets nothing, and nothing of them stays (the lock that an erasure takes)."""
    gone = select(User.id).where(User.id == owner, User.archived_at.is_(None)).with_for_update()
    if db.session.scalar(gone) is None:
        files.discard(file_id)
    journal().about("member", owner)
    journal().note("stored_files", file_id, {"purpose": [None, PURPOSE]})


@command("data.take")
def take(member_id: UUID, file_id: UUID) -> tuple[str, IO[bytes]]:
    """The name and the bytes of a packed file, once. Raises `NotFound` and `AlreadyTaken`."""
    statement = (
        select(StoredFile)
        .where(StoredFile.id == file_id, StoredFile.owner_id == member_id, StoredFile.purpose == PURPOSE)
        .with_for_update()
    )
    row = db.session.scalars(statement, execution_options={"populate_existing": True}).one_or_none()
    if row is None:
        raise NotFound
    if row.state != "ready" or row.expires_at is None or row.expires_at <= clock.now():
        raise AlreadyTaken(gettext("This file was downloaded already, or its day is over. Ask for a new one."))
    stream = _with_documents(member_id, file_id)
    row.expires_at = clock.now()
    journal().about("member", member_id)
    return row.name, stream


def _with_documents(member_id: UUID, file_id: UUID) -> IO[bytes]:
    """The pack, and in it what was sent to be verified: unsealed for this answer alone, never where files are kept."""
    whole: IO[bytes] = TemporaryFile()  # noqa: SIM115  the answer closes it
    with closing(files.open_file(file_id)) as stream:
        shutil.copyfileobj(stream, whole, files.CHUNK)
    with zipfile.ZipFile(whole, "a") as pack:
        for name, body in kyc.own_documents(member_id):
            pack.writestr(name, body, zipfile.ZIP_STORED)  # pictures are packed already
    whole.seek(0)
    return whole


def waiting(member_id: UUID) -> list[StoredFile]:
    """What is packed and not yet taken."""
    statement = select(StoredFile).where(
        StoredFile.owner_id == member_id,
        StoredFile.purpose == PURPOSE,
        StoredFile.state == "ready",
        StoredFile.expires_at > clock.now(),
    )
    return list(db.session.scalars(statement.order_by(StoredFile.created_at.desc())))


def counted(member_id: UUID) -> dict[str, int]:
    """How many rows each table holds of this member, those that hold none left out."""
    found: dict[str, int] = {}
    for link in LINKS:
        count = db.session.execute(select(func.count()).select_from(link.rows).where(link.of(member_id))).scalar_one()
        if count:
            found[link.table] = found.get(link.table, 0) + count
    return found


def _packed(run: Run, owner: UUID, made: IO[bytes]) -> dict[str, int]:
    rows: dict[str, int] = {}
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as pack:
        for n, link in enumerate(LINKS, 1):
            rows[link.table] = _table(pack, link, owner) if link.told else 0
            run.report(n)
            run.go_on()
        for name, stream in _pictures(owner):
            with closing(stream), pack.open(name, "w") as target:
                while block := stream.read(files.CHUNK):
                    target.write(block)
        pack.writestr("README.txt", _readme(rows))
    return rows


def _table(pack: zipfile.ZipFile, link: Link, owner: UUID) -> int:
    columns = exported(link)
    names = [c.name for c in columns]
    result = db.session.execute(
        select(*columns).where(link.of(owner)).order_by(link.rows.c.id if "id" in link.rows.c else text("1"))
    )
    found = [[_plain(link, row, column) for column in columns] for row in result]
    db.session.rollback()
    if not found:
        return 0
    listed = [dict(zip(names, row, strict=True)) for row in found]
    pack.writestr(f"json/{link.table}.json", json.dumps(listed, ensure_ascii=False, indent=1))
    pack.writestr(f"csv/{link.table}.csv", "".join(csv.lines(names, [[_cell(v) for v in row] for row in found])))
    return len(found)


def _plain(link: Link, row: Any, column: Any) -> Any:
    value = row._mapping[column]
    if value is None or isinstance(value, bool | int | str | dict | list):
        return value
    if isinstance(column.type, LargeBinary):
        try:
            sealed = bytes(value)
            return vault.unseal(sealed, table=link.table, column=column.name, row=row._mapping[link.rows.c.id]).decode()
        except vault.Unreadable:
            return None
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID | Decimal) else repr(value)


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def _pictures(owner: UUID) -> Iterator[tuple[str, IO[bytes]]]:
    statement = select(StoredFile.id).where(
        whose(StoredFile.owner_id, owner), StoredFile.state == "ready", StoredFile.purpose == "avatar"
    )
    for file_id in list(db.session.scalars(statement)):
        yield f"files/{file_id}.webp", files.open_file(file_id)


def _readme(rows: dict[str, int]) -> str:
    told = [
        gettext(
            "Everything that %(tenant)s keeps about you, on %(day)s.", tenant=g.tenant.name, day=clock.now().date()
        ),
        gettext("json/ and csv/ hold the same: one file for each kind of data. files/ holds your pictures."),
        gettext("documents/ holds what you sent to be verified, by try, as long as the community keeps it."),
        gettext("Amounts are whole numbers in the smallest unit of their currency; times are in UTC."),
        "",
    ]
    told += [f"{table}: {count}" for table, count in sorted(rows.items()) if count]
    return "\r\n".join(told) + "\r\n"
