"""Bodies that arrive and leave compressed, as HTTP's content encodings."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Protocol

import brotli
import lz4.frame
import zstandard

from .errors import CANNOT_DECOMPRESS, NOT_IMPLEMENTED, ClickHouseError

CHUNK = 1 << 20
GZIP, DEFLATE = 31, 15
LARGEST_WINDOW = 1 << 31  # what `zstd --long=31` makes
FAILURES = (RuntimeError, EOFError, OSError, zlib.error, lzma.LZMAError, zstandard.ZstdError, brotli.error)


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Brotli:
    """Brotli's decoder in the form of the others. It can't tell where a stream ends: a second one is an error."""

    unused_data = None

    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()

    @property
    def eof(self) -> bool:
        return self._decoder.is_finished()

    def decompress(self, data: bytes, /) -> bytes:
        return self._decoder.process(data)


DECODERS: dict[str, Callable[[], _Decoder]] = {
    "gzip": lambda: zlib.decompressobj(GZIP),
    "deflate": lambda: zlib.decompressobj(DEFLATE),
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": lambda: zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).decompressobj(),
    "br": _Brotli,
    "xz": lambda: lzma.LZMADecompressor(format=lzma.FORMAT_XZ),
    "bz2": bz2.BZ2Decompressor,
}


def decoded(stream: IO[bytes], encoding: str) -> Iterator[bytes]:
    """The plain bytes, piece by piece.

    A body may consist of many frames: clickhouse-connect makes one of each block, and whoever stops after the first
    loses rows in silence. For the same reason a body that ends inside a frame is an error.
    """
    pieces = iter(lambda: stream.read(CHUNK), b"")
    if encoding in {"", "identity"}:
        return pieces
    if encoding not in DECODERS:
        raise ClickHouseError.of_ours(NOT_IMPLEMENTED, f"Unknown compression method: {encoding}")
    return _frames(pieces, DECODERS[encoding])


def _frames(pieces: Iterable[bytes], new: Callable[[], _Decoder]) -> Iterator[bytes]:
    decoder: _Decoder | None = None
    try:
        for piece in pieces:
            rest: bytes = piece
            while rest:
                decoder = decoder or new()
                plain = decoder.decompress(rest)
                if plain:
                    yield plain
                rest = b""
                if decoder.eof:
                    rest, decoder = decoder.unused_data or b"", None
    except FAILURES as error:
        raise ClickHouseError.of_ours(CANNOT_DECOMPRESS, f"Cannot decompress the body: {error}") from error
    if decoder is not None:
        raise ClickHouseError.of_ours(CANNOT_DECOMPRESS, "Cannot decompress the body: it ends too early")


class Encoder:
    """One frame over the whole answer, flushed with every piece so that a reader sees it at once; plain without name."""

    _compress: Callable[[bytes], bytes]
    _finish: Callable[[], bytes]
    _flush: Callable[[], bytes] = bytes  # where the format knows no flush, the piece leaves with a later one

    def __init__(self, encoding: str) -> None:
        self._head = b""
        if not encoding:
            self._compress, self._finish = bytes, bytes
        elif encoding == "lz4":
            frame = lz4.frame.LZ4FrameCompressor(auto_flush=True)
            self._head = frame.begin()
            self._compress, self._finish = frame.compress, frame.flush
        elif encoding == "zstd":
            zstd = zstandard.ZstdCompressor(level=1).compressobj()
            self._compress, self._finish = zstd.compress, zstd.flush
            self._flush = lambda: zstd.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        elif encoding == "br":
            stream = brotli.Compressor(quality=1)
            self._compress, self._finish, self._flush = stream.process, stream.finish, stream.flush
        elif encoding in {"xz", "bz2"}:
            block = lzma.LZMACompressor(preset=1) if encoding == "xz" else bz2.BZ2Compressor(1)
            self._compress, self._finish = block.compress, block.flush
        else:
            deflate = zlib.compressobj(level=3, wbits=GZIP if encoding == "gzip" else DEFLATE)
            self._compress, self._finish = deflate.compress, deflate.flush
            self._flush = lambda: deflate.flush(zlib.Z_SYNC_FLUSH)

    def encode(self, piece: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + self._compress(piece) + self._flush()

    def finish(self) -> bytes:
        head, self._head = self._head, b""
        return head + self._finish()


def chosen_encoding(accepted: str, *, enabled: bool) -> str:
    """What to answer in: the first of ours that the client takes, plain unless it set `enable_http_compression`."""
    if not enabled:
        return ""
    wanted = {part.split(";")[0].strip().lower() for part in accepted.split(",") if not part.rstrip().endswith("q=0")}
    return next(
        (encoding for encoding in ("lz4", "zstd", "br", "gzip", "deflate", "xz", "bz2") if encoding in wanted), ""
    )
