"""ClickHouse's HTTP interface as curl sees it."""

import gzip
import json
import socket
import zlib

import pytest


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
    assert json.loads(answer.headers["X-ClickHouse-Summary"]) == {"read_rows": "2", "result_rows": "2"}


@pytest.mark.parametrize(("encoding", "decode"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)])
def test_the_answer_is_compressed_when_asked_for_and_enabled(http, encoding, decode):
    accept = {"Accept-Encoding": encoding}
    plain = http("/?query=SELECT+1", more_headers=accept)
    assert "Content-Encoding" not in plain.headers
    packed = http("/?query=SELECT+1&enable_http_compression=1", more_headers=accept, decode_content=False)
    assert packed.headers["Content-Encoding"] == encoding
    assert decode(packed.data) == b"1\n"


def test_what_the_engine_has_not_is_said_and_not_guessed(http):
    for path, body in (("/?compress=1", b"SELECT 1"), ("/?decompress=1", b"SELECT 1")):
        assert http(path, body).status == 501
    assert http("/", b"SELECT 1", more_headers={"Content-Encoding": "xz"}).status == 501
    http("/", b"CREATE TABLE IF NOT EXISTS default.i (a UInt8) ENGINE = Memory")
    refused = http("/?query=INSERT+INTO+default.i+SELECT+*+FROM+input('a+UInt8')+FORMAT+CSV", b"1\n2\n")
    assert (refused.status, refused.headers["X-ClickHouse-Exception-Code"]) == (501, "48")
    assert http("/?role=boss", b"SELECT 1").status == 403


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
