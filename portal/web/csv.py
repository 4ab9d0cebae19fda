"""CSV as people open it: RFC 4180, and no cell that a spreadsheet would run (REP-3, B6)."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from flask import Response, stream_with_context

FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
NUMBER = re.compile(r"[+\-]?[0-9]+(\.[0-9]+)?")
BOM = "\ufeff"


def safe(cell: object) -> str:
    """The cell as text; one that begins like a formula and is no plain number gets an apostrophe."""
    text = "" if cell is None else str(cell)
    return "'" + text if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The file, a few hundred rows at a time."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    buffer.write(BOM)
    writer.writerow(header)
    for n, row in enumerate(rows, 1):
        writer.writerow([safe(cell) for cell in row])
        if n % 500 == 0:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def download(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A streamed answer that the browser saves under `name`."""
    response = Response(stream_with_context(lines(header, rows)), mimetype="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response
