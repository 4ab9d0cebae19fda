"""A workbook written as a stream: rows are XML from PostgreSQL, deflated as they come, into a zip that never seeks.

Dates are dates in the zone that the heading names, amounts numbers with their currency's decimals, text is text: a cell
of type `inlineStr` is never a formula or a link (B6).
"""

import zipfile
from collections.abc import Iterator
from html import escape
from itertools import chain, islice
from zoneinfo import ZoneInfo

from flask_babel import gettext

from portal.kernel import money
from portal.reports.purchases import SUMS, iso
from portal.reports.reading import AMOUNT, Reading

ROWS_A_SHEET = 1_048_575  # and the heading; what a sheet can hold
BLOCK = 64 * 1024
BOLD, WHEN, TEXT, MONEY = 1, 2, 3, 4  # styles; MONEY + a currency's decimals
DECIMALS = 10
UNQUOTED = r"FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02', NULL ''"
_ODD = r"[&<>\u0001-\u001f\ufffe\uffff]|_x"
# XML cannot carry control characters; a workbook writes them _x0001_, and so what looks like that gets its underscore escaped.
_ESCAPED = rf"""CASE WHEN {{0}} ~ '{_ODD}' THEN (
    SELECT string_agg(CASE c WHEN '&' THEN '&amp;' WHEN '<' THEN '&lt;' WHEN '>' THEN '&gt;'
                             WHEN E'\t' THEN '&#9;' WHEN E'\n' THEN '&#10;' WHEN E'\r' THEN '&#13;'
                             ELSE CASE WHEN c ~ '[\u0001-\u001f\ufffe\uffff]' THEN '_x' || lpad(upper(to_hex(ascii(c))), 4, '0') || '_'
                                       ELSE c END END, '' ORDER BY n)
      FROM unnest(string_to_array(regexp_replace({{0}}, '_(?=x[0-9A-Fa-f]{{{{4}}}}_)', '_x005F_', 'g'), NULL)) WITH ORDINALITY AS s (c, n)
    ) ELSE {{0}} END"""
_SERIAL = (
    "(date_part('epoch', date_trunc('milliseconds', {0}) AT TIME ZONE current_setting('timezone')) / 86400 + 25569)"
)
# What stands before a cell's value, its value as SQL, and what stands behind it.
_CELLS = {
    "moment": (f"""<c s="{WHEN}"><v>""", _SERIAL, "</v></c>"),
    "text": (f"""<c s="{TEXT}" t="inlineStr"><is><t xml:space="preserve">""", _ESCAPED, "</t></is></c>"),
    "word": (f"""<c s="{TEXT}" t="inlineStr"><is><t>""", "{0}", "</t></is></c>"),
    "money": (f"""<c s="', exponent + {MONEY}, '"><v>""", AMOUNT, "</v></c>"),
}
_WIDTHS = {"moment": 21, "text": 24, "word": 13, "money": 14}
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"


class _Outlet:
    """What the zip writes into: bytes are kept until they are taken."""

    def __init__(self) -> None:
        self.kept = bytearray()

    def write(self, data: bytes) -> int:
        self.kept += data
        return len(data)

    def flush(self) -> None:
        """Nothing lies behind."""

    def take(self) -> bytes:
        taken = bytes(self.kept)
        self.kept.clear()
        return taken


def workbook(snapshot: Reading, *, rows_a_sheet: int = ROWS_A_SHEET) -> Iterator[bytes]:
    """The file in pieces. Rows beyond a sheet go on in another with the same heading; the last sheet has the sums."""
    full, rest = divmod(snapshot.count, rows_a_sheet)
    sizes = [rows_a_sheet] * full + ([rest] if rest or not full else [])
    names = [snapshot.title + (f" {n}" if n > 1 else "") for n in range(1, len(sizes) + 1)]
    frame = dict(_frame([*names, gettext("Totals")]))
    frame[f"xl/worksheets/sheet{len(sizes) + 1}.xml"] = _totals(snapshot)
    return _written(snapshot, frame, _headings(snapshot), sizes)  # later there are no words: the request is over


def _written(
    snapshot: Reading, frame: dict[str, str], headings: list[tuple[str, int]], sizes: list[int]
) -> Iterator[bytes]:
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:  # type: ignore[call-overload]
        for name, content in frame.items():
            archive.writestr(name, content)
        rows = chain.from_iterable(snapshot.rows(_cells(snapshot), UNQUOTED, long=True))
        for number, size in enumerate(sizes, 1):
            with archive.open(f"xl/worksheets/sheet{number}.xml", "w") as sheet:
                block = bytearray(_opened(headings, first=number == 1).encode())
                for row in islice(rows, size):
                    block += row
                    if len(block) >= BLOCK:
                        sheet.write(block)
                        block.clear()
                        if len(outlet.kept) >= BLOCK:
                            yield outlet.take()
                sheet.write(block + b"</sheetData></worksheet>")
        next(rows, None)  # ends the reading, which sees that nothing is missing or too much
    yield outlet.take()


def _cells(snapshot: Reading) -> str:
    """A row's XML as SQL; what lies between two values is one text, since each costs."""
    cells = []
    for name, kind, _ in snapshot.COLUMNS:
        before, value, behind = _CELLS[kind]
        cells.append(f"{before}', {value.format(name)}, '{behind}")
    return f"concat('<row>{''.join(cells)}</row>')"


def _headings(snapshot: Reading) -> list[tuple[str, int]]:
    words, zone = snapshot.words, snapshot.asked.zone
    return [
        (
            f"{words[name]} ({zone})" if kind == "moment" else words[name],
            _WIDTHS[kind] + 8 * (name == "purchase_id") * 3,
        )
        for name, kind, _ in snapshot.COLUMNS
    ]


def _opened(headings: list[tuple[str, int]], *, first: bool) -> str:
    columns = "".join(
        f'<col min="{n}" max="{n}" width="{max(width, len(text) + 2)}" customWidth="1"/>'
        for n, (text, width) in enumerate(headings, 1)
    )
    selected = ' tabSelected="1"' if first else ""
    return (
        f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView{selected} workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f"<cols>{columns}</cols><sheetData>{_row(*((text, BOLD) for text, _ in headings))}"
    )


def _totals(snapshot: Reading) -> str:
    """Sums, one line a currency, and what the file is."""
    asked, words, lines = snapshot.asked, snapshot.words, []
    at = iso(snapshot.as_of.astimezone(ZoneInfo(asked.zone)))
    if snapshot.sums:
        headings = (words["currency"], snapshot.title, *(words[name] for name in SUMS))
        lines.append(_row(*((text, BOLD) for text in headings)))
    for one in snapshot.sums:
        style = MONEY + money.currency(one.currency).exponent
        amounts = [(money.decimal_of(one.amounts[name], one.currency), style) for name in SUMS]
        lines.append(_row((one.currency, TEXT), (one.purchases, MONEY), *amounts))
    lines.append("<row/>")
    for name, value in (
        (gettext("From"), asked.first or ""),
        (gettext("To"), asked.last or ""),
        (gettext("Time zone"), asked.zone),
        (gettext("Made at"), at),
        (gettext("Data as of"), at),
        (gettext("Definition"), asked.digest),
    ):
        lines.append(_row((name, BOLD), (str(value), TEXT)))
    return (
        f'{_HEAD}<worksheet xmlns="{_MAIN}"><cols><col min="1" max="{len(SUMS) + 2}" width="22" customWidth="1"/></cols>'
        f"<sheetData>{''.join(lines)}</sheetData></worksheet>"
    )


def _row(*cells: tuple[object, int]) -> str:
    return f"<row>{''.join(_cell(value, style) for value, style in cells)}</row>"


def _cell(value: object, style: int) -> str:
    if isinstance(value, str):
        return f'<c s="{style}" t="inlineStr"><is><t xml:space="preserve">{escape(value, quote=False)}</t></is></c>'
    return f'<c s="{style}"><v>{value:f}</v></c>' if style > MONEY else f'<c s="{style}"><v>{value}</v></c>'


def _frame(names: list[str]) -> Iterator[tuple[str, str]]:
    """Everything but the sheets."""
    numbered = list(enumerate(names, 1))
    sheet_types = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_TYPE}.worksheet+xml"/>' for n, _ in numbered
    )
    yield (
        "[Content_Types].xml",
        (
            f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/>{sheet_types}</Types>'
        ),
    )
    yield (
        "_rels/.rels",
        (
            f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">'
            f'<Relationship Id="rId1" Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>'
        ),
    )
    sheets = "".join(f'<sheet name="{escape(name)}" sheetId="{n}" r:id="rId{n}"/>' for n, name in numbered)
    yield (
        "xl/workbook.xml",
        (f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>{sheets}</sheets></workbook>'),
    )
    targets = "".join(
        f'<Relationship Id="rId{n}" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n, _ in numbered
    )
    yield (
        "xl/_rels/workbook.xml.rels",
        (
            f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{targets}'
            f'<Relationship Id="rId{len(names) + 1}" Type="{_RELATIONS}/styles" Target="styles.xml"/></Relationships>'
        ),
    )
    yield "xl/styles.xml", _styles()


def _styles() -> str:
    patterns = ["#,##0" + ("." + "0" * n if n else "") for n in range(DECIMALS)]
    formats = "".join(f'<numFmt numFmtId="{165 + n}" formatCode="{text}"/>' for n, text in enumerate(patterns))
    numbers = "".join(
        f'<xf numFmtId="{165 + n}" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        for n in range(DECIMALS)
    )
    return (
        f'{_HEAD}<styleSheet xmlns="{_MAIN}">'
        f'<numFmts count="{DECIMALS + 1}"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm:ss"/>{formats}</numFmts>'
        '<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        f'<cellXfs count="{MONEY + DECIMALS}"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
        '<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/>'
        '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>'
        f'<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>{numbers}</cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    )
