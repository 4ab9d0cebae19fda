"""From a file as partners send it to its lines: packed or not, in UTF-8, UTF-16 or Windows-1251, ended in any way (B13).

Everything streams: memory does not grow with the file, and a file that unpacks to nonsense is stopped (B9).
"""

import codecs
import csv
import lzma
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from flask_babel import gettext

from portal.kernel.errors import PortalError

CHUNK = 256 * 1024
LONGEST_LINE = 64 * 1024
MOST_BYTES = 2 * 1024**3
SUSPICIOUS_FROM, MOST_RATIO = 8 * 1024**2, 100
XZ_MEMORY = 128 * 1024**2
LONGEST_CELL_LINES = 20
DELIMITERS = ",;\t|"


class FileUnreadable(PortalError):
    """The file as a whole cannot be imported."""

    code = "import.unreadable"


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the table: where it began, its cells, its text; `broken` says why it has no cells."""

    number: int
    cells: list[str]
    text: str
    broken: str = ""


def unpacked(stream: IO[bytes]) -> Iterator[bytes]:
    """The file's bytes, unpacked when it is xz or gzip, by its content. Raises `FileUnreadable`."""
    head = stream.read(CHUNK)
    chunks = _all(head, stream)
    try:
        if head.startswith(b"\xfd7zXZ\x00"):
            yield from _guarded(_xz, chunks)
        elif head.startswith(b"\x1f\x8b"):
            yield from _guarded(_gzip, chunks)
        elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            decoder = codecs.getincrementaldecoder("utf-16")("replace")
            yield from (decoder.decode(chunk).encode() for chunk in chunks)
        else:
            yield from chunks
    except (lzma.LZMAError, zlib.error, EOFError) as error:
        raise FileUnreadable(gettext("The file is damaged: it cannot be unpacked.")) from error


def lines_of(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Physical lines without their ends; one that is longer than 64 kB is cut."""
    rest, skipping = b"", False
    for chunk in chunks:
        data = rest + chunk
        tail = b"\r" if data.endswith(b"\r") else b""  # its \n may come with the next chunk
        data = data[: len(data) - len(tail)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *whole, rest = data.split(b"\n")
        for line in whole:
            if skipping:
                skipping = False
                continue
            yield line[: LONGEST_LINE + 1]
        if len(rest) > LONGEST_LINE:
            if not skipping:
                yield rest[: LONGEST_LINE + 1]
            skipping, rest = True, b""
        rest += tail
    if rest.strip(b"\r") and not skipping:
        yield rest.strip(b"\r")


def text_of(line: bytes) -> str:
    """UTF-8, else Windows-1251: line by line, because files that were put together hold both."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("cp1251", "replace")


def table(lines: Iterable[bytes]) -> Iterator[Line]:
    """The rows of a delimited table, the heading first; the delimiter is the one that divides the heading best."""
    numbered = enumerate((text_of(line) for line in lines), 1)
    delimiter = ""
    for number, raw in numbered:
        text = raw.removeprefix("\ufeff") if number == 1 else raw
        if not text.strip():
            continue
        if not delimiter:
            delimiter = max(DELIMITERS, key=text.count)
        if '"' not in text:
            yield _row(number, text.split(delimiter), text)
        else:
            yield from _quoted(number, text, numbered, delimiter)


def _quoted(number: int, text: str, following: Iterator[tuple[int, str]], delimiter: str) -> Iterator[Line]:
    """A row whose cell may go on over line ends; a quote that is never closed spoils its own line alone."""
    taken: list[tuple[int, str]] = []
    joined = text
    while joined.count('"') % 2 and len(taken) < LONGEST_CELL_LINES:
        after = next(following, None)
        if after is None:
            break
        taken.append(after)
        joined += "\n" + after[1]
    if joined.count('"') % 2:
        yield Line(number, [], text, gettext("a quotation mark is not closed"))
        for own, line in taken:
            yield from _alone(own, line, delimiter)
        return
    yield from _alone(number, joined, delimiter)


def _alone(number: int, text: str, delimiter: str) -> Iterator[Line]:
    if not text.strip():
        return
    try:
        cells = next(csv.reader(text.splitlines(keepends=True), delimiter=delimiter), [])
    except csv.Error:
        yield Line(number, [], text, gettext("the line cannot be read"))
        return
    yield _row(number, cells, text)


def _row(number: int, cells: list[str], text: str) -> Line:
    if len(text) > LONGEST_LINE:
        return Line(number, [], text[:1000], gettext("the line is longer than 64 kB"))
    if "\x00" in text:
        return Line(
            number,
            [],
            text.replace("\x00", "\ufffd"),
            gettext("the line holds a character that cannot be stored (NUL)"),
        )
    return Line(number, cells, text)


def _all(head: bytes, stream: IO[bytes]) -> Iterator[bytes]:
    chunk = head
    while chunk:
        yield chunk
        chunk = stream.read(CHUNK)


def _guarded(unpack: "type[_Unpacker]", chunks: Iterable[bytes]) -> Iterator[bytes]:
    taken = made = 0
    unpacker = unpack()
    for chunk in chunks:
        taken += len(chunk)
        for piece in unpacker.feed(chunk):
            made += len(piece)
            if made > MOST_BYTES or (made > SUSPICIOUS_FROM and made > taken * MOST_RATIO):
                raise FileUnreadable(gettext("The packed file unpacks to far more than a table holds."))
            yield piece
    if not unpacker.complete:
        raise EOFError


class _Unpacker:
    """Feeds a decompressor piece by piece; several packed parts in one file are one file."""

    complete = False

    def __init__(self) -> None:
        self.inner = self.fresh()

    def fresh(self) -> "lzma.LZMADecompressor | zlib._Decompress":
        raise NotImplementedError

    def step(self, data: bytes) -> tuple[bytes, bytes]:
        """What came out, and what is still to be fed."""
        raise NotImplementedError

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self.complete:
                data = data.lstrip(b"\x00")  # padding between parts
                if not data:
                    return
                self.inner, self.complete = self.fresh(), False
            out, data = self.step(data)
            self.complete = self.inner.eof
            if out:
                yield out
            if self.complete:
                data = self.inner.unused_data
            elif not data and not out:
                return


class _xz(_Unpacker):  # noqa: N801  chosen like a function
    def fresh(self) -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)

    def step(self, data: bytes) -> tuple[bytes, bytes]:
        return self.inner.decompress(data, CHUNK), b""


class _gzip(_Unpacker):  # noqa: N801
    def fresh(self) -> "zlib._Decompress":
        return zlib.decompressobj(31)

    def step(self, data: bytes) -> tuple[bytes, bytes]:
        out = self.inner.decompress(data, CHUNK)
        return out, self.inner.unconsumed_tail  # type: ignore[union-attr]
