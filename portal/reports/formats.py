"""CSV, JSON and XLSX of the same snapshot. PostgreSQL writes each row whole; here they only become one file (REP-3).

No cell becomes a Python object. JSON and XML leave COPY unquoted: its quote and delimiter are control characters, which
both write as escapes.
"""

import json
from collections.abc import Callable, Iterator
from operator import itemgetter
from zoneinfo import ZoneInfo

from werkzeug.wrappers import Response

from portal.extensions import db
from portal.kernel import money
from portal.reports import xlsx
from portal.reports.purchases import Sums, iso
from portal.reports.reading import AMOUNT, Reading

BOM = b"\xef\xbb\xbf"
UNQUOTED = r"FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02', NULL ''"
MOMENT = """to_char({0}, 'YYYY-MM-DD"T"HH24:MI:SS.MSTZH:TZM')"""
# B6, as portal.web.csv.safe: what begins like a formula and is no plain number gets an apostrophe.
GUARDED = (
    "CASE WHEN ascii({0}) IN (9, 10, 13, 43, 45, 61, 64, 65291, 65293, 65309, 65312)"  # \t \n \r + - = @, and the wide ones
    r" AND {0} !~ '^[+-]?[0-9]+([.][0-9]+)?$' THEN '''' || {0} ELSE {0} END"
)
_LINE = itemgetter(slice(-1))  # without its line feed
_CSV = {"moment": MOMENT, "text": GUARDED, "word": "{0}", "money": AMOUNT}
_JSON = {"moment": f"""'"', {MOMENT}, '"'""", "text": "to_json({0})", "word": """'"', {0}, '"'""", "money": f"""'"', {AMOUNT}, '"'"""}  # fmt: skip


def csv(snapshot: Reading, *, bom: bool = False) -> Iterator[bytes]:
    """RFC 4180 in UTF-8, with a byte order mark when asked for."""
    columns = ", ".join(_CSV[kind].format(name) for name, kind, _ in snapshot.COLUMNS)
    head = (BOM if bom else b"") + ",".join(name for name, *_ in snapshot.COLUMNS).encode() + b"\r\n"
    for some in snapshot.rows(columns, "FORMAT csv"):
        yield head + b"\r\n".join(map(_LINE, some)) + b"\r\n"
        head = b""
    yield head


def as_json(snapshot: Reading) -> Iterator[bytes]:
    """`{"meta": {…}, "rows": [{…}, …]}`; amounts are decimal strings, moments ISO 8601 with the zone's offset."""
    cells = ", ',', ".join(f"""'"{name}":', {_JSON[kind].format(name)}""" for name, kind, _ in snapshot.COLUMNS)
    meta = json.dumps(about(snapshot), ensure_ascii=False)
    head = f'{{"meta":{meta},"rows":['.encode()
    for some in snapshot.rows(f"concat(',{{', {cells}, '}}')", UNQUOTED):
        yield head + b"".join(some)[bool(head) :]  # no comma before the first
        head = b""
    yield head + b"]}\n"


def about(snapshot: Reading) -> dict[str, object]:
    """What the file is: its definition and hash, when it was made, and its sums as decimal strings."""
    at = iso(snapshot.as_of.astimezone(ZoneInfo(snapshot.asked.zone)))
    return {
        "definition": snapshot.asked.definition,
        "definition_hash": snapshot.asked.digest,
        "row_count": snapshot.count,
        "generated_at": at,
        "data_as_of": at,
        "sums": [_decimals(one) for one in snapshot.sums],
    }


def _decimals(one: Sums) -> dict[str, object]:
    amounts = {name: money.decimal_string(minor, one.currency) for name, minor in one.amounts.items()}
    return {"currency": one.currency, "purchases": one.purchases, **amounts}


FORMATS: dict[str, tuple[str, Callable[[Reading], Iterator[bytes]]]] = {
    "csv": ("text/csv; charset=utf-8", csv),
    "json": ("application/json", as_json),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", xlsx.workbook),
}


def sent(snapshot: Reading, kind: str, name: str, told: Callable[[], None], *, bom: bool = False) -> Response:
    """A file as an answer that streams and closes its snapshot. `told` writes down who takes it, before its first byte (AUD-2)."""
    try:
        told()
        mimetype, write = FORMATS[kind]
        body = csv(snapshot, bom=bom) if kind == "csv" else write(snapshot)
    except BaseException:
        snapshot.close()
        raise
    response = Response(body, mimetype=mimetype)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.{kind}"'
    response.call_on_close(snapshot.close)
    db.session.close()  # the pool's connection is free while the file is under way
    return response
