"""An import from its first line to its last: batches of a thousand, each one transaction with its checkpoint (D19).

Killed anywhere, it goes on after the last committed batch; run again from the start, it finds every sale recorded and
changes nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import IO, Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import select

from portal.extensions import db
from portal.files import service as files
from portal.identity.batch import Taken
from portal.imports import reading, rejects, statistics
from portal.imports.columns import columns_of
from portal.imports.members import members_of
from portal.imports.rows import LineRejected, Reader, Sale
from portal.jobs.registry import job_kind
from portal.jobs.running import Run
from portal.jobs.service import JobCancelled
from portal.kernel import clock
from portal.kernel.commands import command
from portal.kernel.errors import PortalError
from portal.partners.models import Business, BusinessLocation
from portal.purchases.batch import MOST, Overtaken, by_index, record_history
from portal.purchases.wanted import Sale as Wanted

KIND = "purchases.import"
TRIES = 5
COUNTS = ("lines", "recorded", "repeated", "rejected", "members")
Opened = Callable[[], IO[bytes]]


@job_kind(KIND)
def import_file(run: Run) -> None:
    """The kind of work behind the desk's upload and the command line: the source is a stored file, or the run's own."""
    file_id = run.source_file_id
    if run.source is not None:
        carry_out(run, run.source)
    elif file_id is not None:
        carry_out(run, lambda: files.open_file(file_id))
    else:
        raise reading.FileUnreadable(gettext("The file of this import is gone. Import it again."))


def carry_out(run: Run, opened: Opened) -> None:
    """Import what `opened` gives, from the run's checkpoint on; leaves counts and the file of rejected lines in the run."""
    run.result = {**dict.fromkeys(COUNTS, 0), **run.result}
    try:
        _import(run, opened)
    except (JobCancelled, PortalError):
        _hand_back(run)
        raise
    _hand_back(run)


def _import(run: Run, opened: Opened) -> None:
    with opened() as stream:
        total = max(0, sum(1 for _ in reading.lines_of(reading.unpacked(stream))) - 1)
    run.report(run.done, total)
    done = int(run.checkpoint.get("line", 0))
    with opened() as stream:
        rows = reading.table(reading.lines_of(reading.unpacked(stream)))
        reader, locations = _reader(run, rows)
        pending = (line for line in rows if line.number > done)
        while batch := list(islice(pending, MOST)):
            run.go_on()
            before = run.done
            _with_patience(run, reader, locations, batch)
            statistics.refresh(before, run.done)
    run.watch(run.done, run.total)


def _hand_back(run: Run) -> None:
    run.result_file_id = rejects.to_file(run.job_id, run.business_id, gettext("rejected-lines.csv"))


def _reader(run: Run, rows: Iterator[reading.Line]) -> tuple[Reader, dict[str, UUID]]:
    heading = next(rows, None)
    if heading is None:
        raise reading.FileUnreadable(gettext("The file is empty."))
    columns = columns_of(heading.cells)
    shop = db.session.execute(select(Business.currency).where(Business.id == run.business_id)).one()
    places = select(BusinessLocation.name, BusinessLocation.id).where(
        BusinessLocation.business_id == run.business_id, BusinessLocation.archived_at.is_(None)
    )
    locations: dict[str, UUID] = {name.casefold(): place for name, place in db.session.execute(places)}
    locale = "ru" if heading.text.count(";") else "en"
    reader = Reader(columns, shop.currency, g.tenant.timezone, clock.now(), locale)
    db.session.rollback()
    return reader, locations


def _with_patience(run: Run, reader: Reader, locations: dict[str, UUID], batch: list[reading.Line]) -> None:
    """Another till may record one of these sales at the same moment: then the batch is looked at again."""
    done, counts = run.done, dict(run.result)
    for left in reversed(range(TRIES)):
        try:
            run.result = _import_batch(run, reader, locations, batch, done, counts)
        except (Overtaken, Taken):
            if not left:
                raise
        else:
            return


@command("import.batch")
def _import_batch(
    run: Run,
    reader: Reader,
    locations: dict[str, UUID],
    batch: list[reading.Line],
    done: int,
    so_far: Mapping[str, int],
) -> dict[str, Any]:
    by_index()
    sales, rejected = _sorted(reader, locations, batch)
    counts, fates = Counter(so_far), []
    if sales:
        members, made = members_of(_business(run), [sale for sale, _ in sales])
        counts["members"] += made
        wanted = [
            _wanted(run, reader, sale, place, member) for (sale, place), member in zip(sales, members, strict=True)
        ]
        fates = record_history(_business(run), wanted, accrue=run.params.get("accrue") != "none")
    for (sale, _), fate in zip(sales, fates, strict=True):
        if fate.state == "refused":
            rejected.append((sale.line, fate.reason, sale.text))
        else:
            counts[fate.state] += 1
    rejects.keep(run.job_id, sorted(rejected))
    counts["rejected"] += len(rejected)
    counts["lines"] += len(batch)
    run.result = dict(counts)
    run.report(done + len(batch), None, checkpoint={"line": batch[-1].number})
    return run.result


def _sorted(
    reader: Reader, locations: dict[str, UUID], batch: list[reading.Line]
) -> tuple[list[tuple[Sale, UUID | None]], list[tuple[int, str, str]]]:
    """The lines that are sales, with their place, and those that are not, with the reason."""
    sales: list[tuple[Sale, UUID | None]] = []
    rejected: list[tuple[int, str, str]] = []
    for line in batch:
        try:
            sale = reader.sale(line)
            if sale.location and sale.location.casefold() not in locations:
                raise LineRejected(gettext("the business has no place “%(name)s”", name=sale.location[:60]))
        except LineRejected as reason:
            rejected.append((line.number, str(reason), line.text))
        else:
            sales.append((sale, locations.get(sale.location.casefold()) if sale.location else None))
    return sales, rejected


def _wanted(run: Run, reader: Reader, sale: Sale, place: UUID | None, member_id: UUID) -> Wanted:
    return Wanted(
        business_id=_business(run),
        member_id=member_id,
        amount=sale.amount,
        external_id=sale.external_id,
        currency=reader.currency,
        occurred_at=sale.occurred_at,
        category=sale.category,
        location_id=place,
        till=sale.till,
        receipt_number=sale.receipt_number,
        lines=(),
        bonus_to_spend=0,
        source="import",
        historical=True,
    )


def _business(run: Run) -> UUID:
    assert run.business_id is not None  # noqa: S101
    return run.business_id
