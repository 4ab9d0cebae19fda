"""ClickHouse's HTTP interface as curl sees it."""

import bz2
import gzip
import json
import lzma
import socket
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import brotli
import lz4.frame
import pytest
import zstandard

from portal.embedded.clickhouse import blocks
from portal.embedded.clickhouse.errors import ClickHouseError

NUMBERS = b"".join(b"%d\n" % number for number in range(2_000_000))


@pytest.fixture
def table(http):
    """A table of one column of numbers."""
    name = f"default.t{uuid4().hex}"
    http(
        "/",
        f"CREATE TABLE {name} (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS min_bytes_for_wide_part = 0".encode(),
    )
    yield name
    http("/", f"DROP TABLE {name}".encode())


def test_liveness_needs_no_password(http):
    for path in ("/ping", "/replicas_status", "/"):
        answer = http(path, headers={})
        assert (answer.status, answer.data) == (200, b"Ok.\n")
    assert http("/nowhere").status == 404


def test_the_statement_may_stand_in_the_address_in_the_body_or_in_both(http):
    assert http("/?query=SELECT+1").data == b"1\n"
    assert http("/", b"SELECT 2").data == b"2\n"
    assert http("/?query=SELECT+3", b"+4").data == b"7\n"


def test_three_ways_to_sign_in_and_none_without(http):
    asked = "/?query=SELECT+1"
    assert http(asked + f"&user={http.user}&password={http.password}", headers={}).data == b"1\n"
    assert http(asked, headers={"X-ClickHouse-User": http.user, "X-ClickHouse-Key": http.password}).data == b"1\n"
    for headers in ({}, {"X-ClickHouse-User": http.user, "X-ClickHouse-Key": "wrong"}):
        refused = http(asked, headers=headers)
        assert (refused.status, refused.headers["X-ClickHouse-Exception-Code"]) == (403, "516")
    assert http(asked, headers={"X-ClickHouse-User": http.user}).status == 401


def test_reading_by_get_and_writing_by_post_only(http):
    for statement in ("CREATE+TABLE+g+(a+Int8)+ENGINE=Memory", "INSERT+INTO+g+VALUES+(1)", "DROP+TABLE+g"):
        for session in ("", "&session_id=reader"):
            refused = http(f"/?query={statement}{session}")
            assert (refused.status, refused.headers["X-ClickHouse-Exception-Code"]) == (500, "164")


@pytest.mark.parametrize(
    ("statement", "status"),
    [
        ("SELECT * FROM nothing", 404),
        ("SELECT * FROM nowhere.t", 404),
        ("SELEC 1 FROM", 400),
        ("SELECT toInt8('x')", 400),
        ("SELECT throwIf(1)", 500),
        ("", 400),
    ],
)
def test_an_error_has_a_status_a_code_and_a_text(http, statement, status):
    answer = http("/", statement.encode())
    assert answer.status == status
    assert answer.data.startswith(f"Code: {answer.headers['X-ClickHouse-Exception-Code']}. DB::Exception: ".encode())


def test_the_answer_tells_its_format_its_query_and_its_rows(http):
    answer = http("/?query_id=mine&default_format=JSONEachRow", b"SELECT number AS n FROM numbers(2)")
    assert answer.data == b'{"n":0}\n{"n":1}\n'
    assert answer.headers["X-ClickHouse-Format"] == "JSONEachRow"
    assert answer.headers["X-ClickHouse-Query-Id"] == "mine"
    assert answer.headers["X-ClickHouse-Timezone"] == "UTC"
    summary = json.loads(answer.headers["X-ClickHouse-Summary"])
    assert (summary["read_rows"], summary["result_rows"]) == ("2", "2")
    assert int(summary["elapsed_ns"]) > 0
    assert summary.keys() >= {"read_bytes", "written_rows", "written_bytes", "total_rows_to_read", "result_bytes"}
    refused = http("/?query_id=mine", b"SELECT nothing")
    assert refused.headers["X-ClickHouse-Query-Id"] == "mine"
    assert http("/?session_timezone=Asia/Tokyo", b"SELECT timezone()").headers["X-ClickHouse-Timezone"] == "Asia/Tokyo"


DECODERS = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "lz4": lz4.frame.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    "br": brotli.decompress,
    "xz": lzma.decompress,
    "bz2": bz2.decompress,
}
ENCODERS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "lz4": lz4.frame.compress,
    "zstd": zstandard.compress,
    "br": brotli.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
}


@pytest.mark.parametrize(("encoding", "decode"), DECODERS.items())
def test_the_answer_is_compressed_when_asked_for_and_enabled(http, encoding, decode):
    accept = {"Accept-Encoding": encoding}
    plain = http("/?query=SELECT+1", more_headers=accept)
    assert "Content-Encoding" not in plain.headers
    packed = http("/?query=SELECT+1&enable_http_compression=1", more_headers=accept, decode_content=False)
    assert packed.headers["Content-Encoding"] == encoding
    assert decode(packed.data) == b"1\n"


@pytest.mark.parametrize(("encoding", "decode"), DECODERS.items())
def test_a_large_answer_is_compressed_as_it_comes(http, encoding, decode):
    for buffered in ("", "&wait_end_of_query=1"):
        packed = http(
            "/?enable_http_compression=1" + buffered,
            b"SELECT number FROM numbers(2000000)",
            more_headers={"Accept-Encoding": encoding},
            decode_content=False,
        )
        assert decode(packed.data) == NUMBERS


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_statement_may_arrive_compressed(http, encoding):
    said = {"Content-Encoding": encoding}
    assert http("/", ENCODERS[encoding](b"SELECT 'packed'"), more_headers=said).data == b"packed\n"
    assert http("/?query=SELECT+", ENCODERS[encoding](b"7"), more_headers=said).data == b"7\n"
    broken = http("/", ENCODERS[encoding](b"SELECT 1" * 100)[:-9], more_headers=said)
    assert broken.headers["X-ClickHouse-Exception-Code"] == "271"


SKIPPED = (0x184D2A50).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"pause"  # a frame that holds no data
LINES = b"".join(b"%d\n" % number for number in range(300_000))
FRAMES = {
    "lz4": {
        "one": lz4.frame.compress(LINES),
        "linked": lz4.frame.compress(LINES, block_linked=True, block_size=lz4.frame.BLOCKSIZE_MAX64KB),
        "separate": lz4.frame.compress(LINES, block_linked=False, block_size=lz4.frame.BLOCKSIZE_MAX4MB),
        "checked": lz4.frame.compress(LINES, content_checksum=True, block_checksum=True),
        "stored": lz4.frame.compress(LINES, compression_level=-20, store_size=False),
        "many": b"".join(lz4.frame.compress(LINES[n : n + 10_000]) for n in range(0, len(LINES), 10_000)),
        "skipped": SKIPPED + lz4.frame.compress(LINES[:999]) + SKIPPED + lz4.frame.compress(LINES[999:]) + SKIPPED,
        "empty": lz4.frame.compress(b"") + lz4.frame.compress(LINES) + lz4.frame.compress(b""),
    },
    "zstd": {
        "one": zstandard.compress(LINES),
        "checked": zstandard.ZstdCompressor(write_checksum=True, write_content_size=False).compress(LINES),
        "long": zstandard.ZstdCompressor(
            compression_params=zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True)
        ).compress(LINES),
        "many": b"".join(zstandard.compress(LINES[n : n + 10_000]) for n in range(0, len(LINES), 10_000)),
        "skipped": SKIPPED + zstandard.compress(LINES[:999]) + SKIPPED + zstandard.compress(LINES[999:]) + SKIPPED,
        "empty": zstandard.compress(b"") + zstandard.compress(LINES) + zstandard.compress(b""),
    },
}


@pytest.mark.parametrize(("encoding", "kind"), [(encoding, kind) for encoding in FRAMES for kind in FRAMES[encoding]])
def test_every_row_arrives_in_whatever_frames(http, table, encoding, kind):
    insert = f"/?query=INSERT+INTO+{table}+FORMAT+TSV"
    answer = http(insert, FRAMES[encoding][kind], more_headers={"Content-Encoding": encoding})
    assert (answer.status, answer.data) == (200, b"")
    assert http("/", f"SELECT count(), sum(a) FROM {table}".encode()).data == b"300000\t44999850000\n"


@pytest.mark.parametrize("method", ["LZ4", "ZSTD", "NONE"])
def test_clickhouse_s_own_compression(http, table, method):
    packed = http(f"/?compress=1&network_compression_method={method}", b"SELECT number FROM numbers(2000000)").data
    assert b"".join(blocks.unpacked([packed])) == NUMBERS
    slices = [packed[start : start + 777] for start in range(0, 99_900, 777)]
    with pytest.raises(ClickHouseError, match="Cannot read all data"):
        list(blocks.unpacked(slices))

    body = blocks.pack(f"INSERT INTO {table} FORMAT TSV\n".encode() + LINES, blocks.METHODS[method])
    assert http("/?decompress=1", body).data == b""
    assert http("/", f"SELECT count(), sum(a) FROM {table}".encode()).data == b"300000\t44999850000\n"


def test_the_engine_s_own_files_prove_the_blocks(http, table):
    """Its columns on disk are in the same blocks: made by the engine, read here."""
    http("/", f"INSERT INTO {table} SELECT number FROM numbers(100000)".encode())
    path = http("/", f"SELECT path FROM system.parts WHERE active AND table = '{table.partition('.')[2]}'".encode())
    column = (Path(path.data.decode().strip()) / "a.bin").read_bytes()
    assert b"".join(blocks.unpacked([column])) == struct.pack("<100000Q", *range(100_000))


def test_broken_blocks_are_refused(http):
    whole = blocks.pack(b"SELECT 1")
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    unknown = whole[:16] + b"\x55" + whole[17:]
    for body, code in ((flipped, "40"), (unknown, "40"), (whole[:-1], "33"), (b"\xff" * 99, "261")):
        assert http("/?decompress=1", body).headers["X-ClickHouse-Exception-Code"] == code
    unchecked = "/?decompress=1&http_native_compression_disable_checksumming_on_decompress=1"
    assert http(unchecked, bytes(16) + whole[16:]).data == b"1\n"
    assert http(unchecked, unknown).headers["X-ClickHouse-Exception-Code"] == "432"


def test_data_for_input_is_read_through_the_selection(http, table):
    text = f"INSERT INTO {table} SELECT b * 2 FROM input('b UInt64, note String') SETTINGS max_threads = 1 FORMAT CSV"
    assert http("/", f'{text}\n1,x\n2,"FORMAT ("\n'.encode()).status == 200
    assert (
        http(f"/?query={quote(text)}", gzip.compress(b"3,z\n"), more_headers={"Content-Encoding": "gzip"}).data == b""
    )
    inner = (
        f"INSERT INTO {table} SELECT a + 100 FROM (SELECT a FROM input('a UInt64')) WHERE a > {{least:UInt64}} FORMAT"
    )
    assert http("/?param_least=1", f"{inner} TSV\n1\n2\n".encode()).status == 200
    assert http("/", f"SELECT groupArray(a) FROM (SELECT a FROM {table} ORDER BY a)".encode()).data == b"[2,4,6,102]\n"
    told = json.loads(http("/", f"{text}\n1,x\n".encode()).headers["X-ClickHouse-Summary"])
    assert told["written_rows"] == "1"


def test_what_the_engine_has_not_is_said_and_not_guessed(http):
    assert http("/", b"SELECT 1", more_headers={"Content-Encoding": "snappy"}).status == 501
    assert http("/?role=boss", b"SELECT 1").status == 403
    for statement in (b"SHOW POLICIES", b"SHOW ROW POLICIES ON system.one"):  # there can be none
        assert (http("/", statement).status, http("/", statement).data) == (200, b"")
    assert http("/", b"CREATE NAMED COLLECTION c AS a = 1").status == 501  # it ends the engine's whole process
    assert http("/", b"SELECT 1").data == b"1\n"


def test_two_running_queries_may_not_have_one_id(http, eventually):
    """Also the ends: KILL QUERY finds a query by the id of its request, and `replace_running_query` takes its place."""
    endless = "SELECT sum(sleepEachRow(0.01)) FROM numbers(100000)"
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(http, "/?query_id=long&max_block_size=1", endless.encode())
        eventually(
            lambda: http("/", b"SELECT count() FROM system.processes WHERE query LIKE '%numbers(100000)'").data > b"1"
        )
        assert http("/?query_id=long", b"SELECT 1").headers["X-ClickHouse-Exception-Code"] == "216"
        assert http("/?query_id=long&replace_running_query=1", b"SELECT 'instead'").data == b"instead\n"
        assert first.result().headers["X-ClickHouse-Exception-Code"] == "394"

        second = pool.submit(http, "/?query_id=other&max_block_size=1", endless.encode())
        eventually(lambda: http("/", b"KILL QUERY WHERE query_id = 'other' AND user = 'default' SYNC").data)
        assert second.result().headers["X-ClickHouse-Exception-Code"] == "394"
    assert http("/?query_id=long", b"SELECT 1").data == b"1\n"


def test_a_drop_that_waits_for_its_end_ends(http):
    for number, end in enumerate((" SYNC", " sync;", " NO DELAY", "\nSYNC\n")):
        http("/", f"CREATE TABLE default.waits{number} (a Int8) ENGINE = MergeTree ORDER BY a".encode())
        assert http("/", f"DROP TABLE default.waits{number}{end}".encode()).status == 200
    http("/", b"CREATE TABLE default.sync (a Int8) ENGINE = Memory")
    waiting = "/?database_atomic_wait_for_drop_and_detach_synchronously=1"
    assert http(waiting, b"DROP TABLE IF EXISTS sync").status == 200
    assert http("/", b"EXISTS TABLE default.sync").data == b"0\n"


def test_an_answer_is_held_back_until_its_end_when_asked(http):
    failing = b"SELECT throwIf(number = 1900000), toString(number) FROM numbers(2000000)"
    held = http("/?wait_end_of_query=1&max_threads=1", failing)
    assert (held.status, held.headers["X-ClickHouse-Exception-Code"]) == (500, "395")
    whole = http("/?wait_end_of_query=1", b"SELECT number FROM numbers(2000000)")  # too long for memory: from disk
    assert whole.data == NUMBERS
    assert json.loads(whole.headers["X-ClickHouse-Summary"])["result_rows"] == "2000000"


def test_long_documents_are_whole_and_their_errors_have_a_status(http):
    """Formats with a beginning and an end: made on disk, read with GET and POST alike."""
    selection = "SELECT number AS n, toString(number) AS s FROM numbers(1000000)"
    document = json.loads(http("/", f"{selection} -- all\n FORMAT JSON; -- done".encode()).data)
    assert (document["rows"], document["data"][-1]) == (1_000_000, {"n": 999_999, "s": "999999"})
    lines = http(f"/?query={quote(selection)}&default_format=CSVWithNames").data
    assert (lines.count(b'"n","s"'), lines.count(b"\n")) == (1, 1_000_001)
    small = http(
        "/", b"SELECT number FROM numbers(3) GROUP BY 1 WITH TOTALS FORMAT JSONCompact SETTINGS max_threads = 1"
    )
    assert small.headers["X-ClickHouse-Format"] == "JSONCompact"
    assert json.loads(small.headers["X-ClickHouse-Summary"])["read_rows"] == "3"
    failing = http("/", b"SELECT throwIf(number = 900000), number FROM numbers(1000000) FORMAT JSON")
    assert (failing.status, failing.headers["X-ClickHouse-Exception-Code"]) == (500, "395")
    assert http("/", b"SELECT 1 FORMAT Null").data == b""
    assert http("/", b"SELECT 1 FORMAT Nothing").headers["X-ClickHouse-Exception-Code"] == "73"


def test_blocks_have_heads_and_types_have_zones_for_newer_clients(http):
    asked = b"SELECT toDateTime(1676369730, 'Asia/Shanghai') AS dt FORMAT Native"
    plain = b"\x01\x01\x02dt\x08DateTimeB_\xebc"
    assert http("/", asked).data == plain
    head = b"\x01\x00\x02\xff\xff\xff\xff\x00"
    zoned = head + b"\x01\x01\x02dt\x19DateTime('Asia/Shanghai')B_\xebc"
    assert http("/?client_protocol_version=54337", asked).data == zoned
    assert http("/?client_protocol_version=54000", asked).data == head + plain
    assert http("/?client_protocol_version=54405", b"EXISTS TABLE x FORMAT Native").data.startswith(head)
    assert http("/?client_protocol_version=54405", b"SELECT 1 WHERE 0 FORMAT Native").data == b""


def test_one_connection_serves_many_requests_and_bodies_in_chunks(http):
    signed_in = f"user={http.user}&password={http.password}"
    connection = HTTPConnection("127.0.0.1", http.port)
    with closing(connection):
        for number in range(3):
            connection.request(
                "POST", f"/?{signed_in}", iter([b"SELECT ", b"%d + " % number, b"1"]), encode_chunked=True
            )
            assert connection.getresponse().read() == b"%d\n" % (number + 1)
            kept = connection.sock
            connection.request("HEAD", "/ping")
            answer = connection.getresponse()
            assert (answer.status, answer.read(), connection.sock) == (200, b"", kept)


def test_a_broken_stream_ends_with_the_error_and_without_the_last_chunk(http):
    request = (
        f"POST /?user={http.user}&password={http.password}&max_threads=1 HTTP/1.1\r\nHost: x\r\n"
        "Content-Length: 70\r\n\r\n" + "SELECT throwIf(number = 1500000), toString(number) FROM numbers(2e6)".ljust(70)
    )
    with socket.create_connection(("127.0.0.1", http.port)) as connection:
        connection.sendall(request.encode())
        received = b"".join(iter(lambda: connection.recv(1 << 20), b""))
    assert received.startswith(b"HTTP/1.1 200")
    tag = received.partition(b"X-Clickhouse-Exception-Tag: ")[2].partition(b"\r\n")[0]
    assert b"__exception__\r\n" + tag + b"\r\nCode: 395. DB::Exception" in received
    assert received.rstrip().endswith(tag + b"\r\n__exception__")
    assert not received.endswith(b"0\r\n\r\n")


def test_progress_stands_in_the_head_while_the_engine_works(http):
    """A line for each tick, then the rest of the head; an error after the status is in the headers and the text.

    Broken when the answer's own status line was sent after the first tick's: the head then held two.
    """
    endless = "SELECT sum(sleepEachRow(0.01)) FROM numbers(100000)"
    arguments = "query_id=told&max_block_size=1&send_progress_in_http_headers=1&http_headers_progress_interval_ms=10"
    with socket.create_connection(("127.0.0.1", http.port)) as connection:
        connection.sendall(
            f"POST /?user={http.user}&password={http.password}&{arguments} HTTP/1.1\r\nHost: x\r\n"
            f"Content-Length: {len(endless)}\r\n\r\n{endless}".encode()
        )
        connection.settimeout(60)
        head = b""

        def more():
            received = connection.recv(1 << 16)
            assert received, head
            return head + received

        while head.count(b"X-ClickHouse-Progress") < 3 or b'"read_rows": "0"' in head.splitlines()[-2]:
            head = more()
        assert b"\r\n\r\n" not in head
        http("/", b"KILL QUERY WHERE query_id = 'told'")
        while b"QUERY_WAS_CANCELLED" not in head:
            head = more()
    status, *lines = head.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    assert status == "HTTP/1.1 200 OK"
    assert not any(line.startswith("HTTP/") for line in lines)
    assert "X-Clickhouse-Exception-Code: 394" in lines
    told = [json.loads(line.partition(": ")[2]) for line in lines if line.startswith("X-ClickHouse-Progress: ")]
    for name in ("read_rows", "read_bytes", "elapsed_ns"):
        numbers = [int(one[name]) for one in told]
        assert numbers == sorted(numbers)
        assert numbers[-1] > 0
    assert told[-1]["total_rows_to_read"] == "100000"


def test_progress_does_not_hurt_an_answer(http):
    """Head and body are those of a request without it, for an answer at once, a stream, and one that waits for its end."""
    for more in ("", "&wait_end_of_query=1"):
        told = f"/?send_progress_in_http_headers=1&http_headers_progress_interval_ms=1{more}"
        for statement in (
            b"SELECT 1",
            b"SELECT number FROM numbers(2000000)",
            b"SELECT number FROM numbers(9) FORMAT JSON",
        ):
            plain, answer = http("/?wait_end_of_query=0", statement), http(told, statement)
            assert (answer.status, answer.data.partition(b'"elapsed"')[0]) == (
                200,
                plain.data.partition(b'"elapsed"')[0],
            )
            assert answer.headers["X-ClickHouse-Format"] == plain.headers["X-ClickHouse-Format"]
    assert http("/?send_progress_in_http_headers=1&http_headers_progress_interval_ms=x", b"SELECT 1").status == 500


def test_a_reader_that_leaves_early_frees_the_engine(http):
    for _ in range(40):  # more than the front has threads
        with socket.create_connection(("127.0.0.1", http.port)) as connection:
            query = "SELECT number FROM numbers(100000000000)"
            connection.sendall(
                f"POST /?user={http.user}&password={http.password} HTTP/1.1\r\nHost: x\r\n"
                f"Content-Length: {len(query)}\r\n\r\n{query}".encode()
            )
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
    assert http("/?query=SELECT+1").data == b"1\n"
