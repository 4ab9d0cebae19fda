"""ClickHouse's own compression, asked for by `compress=1` and `decompress=1`.

A body is a row of blocks. Each has a checksum (CityHash128 of all that follows, 16 bytes), the method (1 byte), the size
with this head of 9 bytes, the plain size (4 bytes each, little endian), and the data.
"""

import struct
from collections.abc import Iterable, Iterator

import lz4.block
import zstandard
from clickhouse_cityhash.cityhash import CityHash128

from .errors import (
    CANNOT_DECOMPRESS,
    CANNOT_READ_ALL_DATA,
    CHECKSUM_DOESNT_MATCH,
    TOO_LARGE_SIZE_COMPRESSED,
    UNKNOWN_CODEC,
    ClickHouseError,
)

PLAIN, LZ4, ZSTD = 0x02, 0x82, 0x90
METHODS = {"LZ4": LZ4, "ZSTD": ZSTD, "NONE": PLAIN}
CHECKSUM = 16
HEAD = struct.Struct("<BII")
LARGEST_BLOCK = 1 << 30  # as in ClickHouse: more is taken for a broken head
BLOCK = 1 << 20


def unpacked(pieces: Iterable[bytes], *, verify: bool = True) -> Iterator[bytes]:
    """The plain bytes of blocks; `verify` compares their checksums. Errors as of ClickHouse: 6, 33, 40, 271, 432."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while (size := _whole_block(buffer)) is not None:
            yield _plain(bytes(buffer[:size]), verify=verify)
            del buffer[:size]
    if buffer:
        raise ClickHouseError.of_ours(CANNOT_READ_ALL_DATA, f"Cannot read all data: {len(buffer)} bytes of a block")


def _whole_block(buffer: bytearray) -> int | None:
    """The size of the first block if all of it is there."""
    if len(buffer) < CHECKSUM + HEAD.size:
        return None
    _, packed, plain = HEAD.unpack_from(buffer, CHECKSUM)
    if not HEAD.size <= packed <= LARGEST_BLOCK or plain > LARGEST_BLOCK:
        raise ClickHouseError.of_ours(
            TOO_LARGE_SIZE_COMPRESSED,
            f"Size of a compressed block is wrong: {packed} bytes. Most likely corrupted data",
        )
    size: int = CHECKSUM + packed
    return size if len(buffer) >= size else None


def _plain(block: bytes, *, verify: bool) -> bytes:
    body = block[CHECKSUM:]
    method, _, size = HEAD.unpack_from(body)
    if verify and _checksum(body) != block[:CHECKSUM]:
        raise ClickHouseError.of_ours(CHECKSUM_DOESNT_MATCH, "Checksum doesn't match: corrupted data")
    data = body[HEAD.size :]
    try:
        if method == LZ4:
            plain: bytes = lz4.block.decompress(data, uncompressed_size=size)
        elif method == ZSTD:
            plain = zstandard.ZstdDecompressor().decompress(data, max_output_size=size)
        elif method == PLAIN:
            plain = data
        else:
            raise ClickHouseError.of_ours(UNKNOWN_CODEC, f"Unknown codec family code: {method}")
    except (lz4.block.LZ4BlockError, zstandard.ZstdError) as error:
        raise ClickHouseError.of_ours(CANNOT_DECOMPRESS, f"Cannot decompress a block: {error}") from error
    if len(plain) != size:
        raise ClickHouseError.of_ours(CANNOT_DECOMPRESS, f"A block of {size} bytes has {len(plain)}")
    return plain


def pack(data: bytes, method: int = LZ4) -> bytes:
    """Blocks of at most 1 MiB of `data` each."""
    return b"".join(_packed(data[start : start + BLOCK], method) for start in range(0, len(data), BLOCK))


def _packed(plain: bytes, method: int) -> bytes:
    if method == LZ4:
        data: bytes = lz4.block.compress(plain, store_size=False)
    elif method == ZSTD:
        data = zstandard.ZstdCompressor(level=1).compress(plain)
    else:
        data = plain
    body = HEAD.pack(method, HEAD.size + len(data), len(plain)) + data
    return _checksum(body) + body


def _checksum(body: bytes) -> bytes:
    return struct.pack("<QQ", *divmod(CityHash128(body), 1 << 64))  # the library has the first half as the higher
