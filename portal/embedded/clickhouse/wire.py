"""The Native format in the newer form that a client asks for by `client_protocol_version`.

chDB writes the oldest form: no head before a block, and the type `DateTime('Asia/Shanghai')` without its zone. The
newer form is put together from the format Buffers, which has the very same columns, each with its size.
"""

import struct
from collections.abc import Iterator, Sequence

WITH_BLOCK_HEAD = 1
WITH_TIME_ZONES = 54337
BLOCK_HEAD = b"\x01\x00\x02\xff\xff\xff\xff\x00"  # no overflow row, no bucket
NUMBER = struct.Struct("<Q")
MORE = 0x80  # in a byte of a number of changing length


def native_of_buffers(block: bytes, columns: Sequence[tuple[str, str]]) -> bytes:
    """One block of the format Native, but for its head, from one of the format Buffers and its columns' names and types."""
    (width,), (rows,) = NUMBER.unpack_from(block), NUMBER.unpack_from(block, 8)
    if width != len(columns):
        raise ValueError(f"{width} columns came where {len(columns)} were described")
    return _varint(width) + _varint(rows) + b"".join(_columns(block, columns))


def _columns(block: bytes, columns: Sequence[tuple[str, str]]) -> Iterator[bytes]:
    start = 16
    for name, kind in columns:
        (size,) = NUMBER.unpack_from(block, start)
        end = start + NUMBER.size + size
        yield _text(name) + _text(kind) + block[start + NUMBER.size : end]
        start = end


def _text(text: str) -> bytes:
    raw = text.encode()
    return _varint(len(raw)) + raw


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= MORE:
        out.append(number % MORE | MORE)
        number >>= 7
    out.append(number)
    return bytes(out)
