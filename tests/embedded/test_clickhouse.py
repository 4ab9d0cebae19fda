"""ClickHouse's HTTP interface over chDB, by way of the client that the portal uses, unchanged."""

import multiprocessing
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

MANY = 150_000  # above the 65,536 rows of one block
TENANT, OTHER = uuid.uuid4(), uuid.uuid4()


def connect(engines, **options):
    return clickhouse_connect.get_client(dsn=engines.clickhouse_url, **options)


@pytest.fixture
def database(own_engines):
    name = f"d{uuid.uuid4().hex[:8]}"
    with connect(own_engines) as client:
        client.command(f"CREATE DATABASE {name}")
        yield name
        client.command(f"DROP DATABASE {name}")


@pytest.fixture
def client(own_engines, database):
    with connect(own_engines, database=database) as client:
        yield client


def code_of(call, *arguments, **options):
    with pytest.raises(DatabaseError) as refused:
        call(*arguments, **options)
    return refused.value.code


@pytest.mark.parametrize("compress", [False, True, "lz4", "zstd", "gzip"])
def test_every_row_of_a_large_insert_arrives_however_it_is_compressed(own_engines, database, compress):
    with connect(own_engines, database=database, compress=compress) as client:
        client.command(
            "CREATE TABLE t (n UInt64, id UUID, day Date, at DateTime64(3, 'UTC'), sum Decimal(18, 2), tags Array(String),"
            " note Nullable(String), kind LowCardinality(String)) ENGINE = MergeTree ORDER BY n"
        )
        moment = datetime(2026, 11, 21, 5, 0)
        columns = [range(MANY), [TENANT] * MANY, [date(2026, 1, 31)] * MANY, [moment] * MANY, [Decimal("12.34")] * MANY]
        columns += [[["a", "круг"]] * MANY, [None, "x\t\n\\'"] * (MANY // 2), ["till", "api"] * (MANY // 2)]
        names = ["n", "id", "day", "at", "sum", "tags", "note", "kind"]
        summary = client.insert("t", columns, column_names=names, column_oriented=True)

        assert summary.written_rows == MANY
        assert client.query("SELECT count(), sum(n), sum(sum), countIf(note IS NULL) FROM t").first_row == (
            MANY,
            MANY * (MANY - 1) // 2,
            Decimal("12.34") * MANY,
            MANY // 2,
        )
        assert (
            client.command("SELECT count() FROM system.parts WHERE table = 't' AND database = currentDatabase()") == 1
        )
        rows = client.query("SELECT * FROM t ORDER BY n").result_rows
        assert len(rows) == MANY
        assert rows[1] == (1, TENANT, date(2026, 1, 31), moment, Decimal("12.34"), ["a", "круг"], "x\t\n\\'", "api")


def test_raw_inserts_in_other_formats(client):
    import gzip

    client.command("CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
    assert client.raw_insert("t", ["a", "s"], '1,"one;two"\n2,"x\ny"\n', fmt="CSV").written_rows == 2
    assert client.raw_insert("t", ["a", "s"], b"3\tthree\n", fmt="TabSeparated").written_rows == 1
    packed = gzip.compress(b'{"a":4,"s":"four"}\n') + gzip.compress(b'{"a":5,"s":"five"}\n')
    client.raw_insert("t", ["a", "s"], packed, fmt="JSONEachRow", compression="gzip")
    client.raw_insert("t", ["a", "s"], (f"{n},g\n".encode() for n in range(6, 8)), fmt="CSV")
    rows = [(1, "one;two"), (2, "x\ny"), (3, "three"), (4, "four"), (5, "five"), (6, "g"), (7, "g")]
    assert client.query("SELECT * FROM t ORDER BY a").result_rows == rows


def test_values_may_hold_expressions_semicolons_and_parameters(client):
    client.command("CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
    client.command("INSERT INTO t VALUES (1, 'a;b'), (1 + 1, lower('ABC'));")
    client.command("INSERT INTO t (a, s) VALUES ({a:UInt64}, {s:String})", parameters={"a": 3, "s": "t\tn\nq'b\\"})
    client.command("INSERT INTO t SETTINGS max_insert_threads = 1 VALUES (4, '')")
    client.command("INSERT INTO t SELECT a + 10, s FROM t WHERE a = 1")
    rows = [(1, "a;b"), (2, "abc"), (3, "t\tn\nq'b\\"), (4, ""), (11, "a;b")]
    assert client.query("SELECT * FROM t ORDER BY a").result_rows == rows


def test_a_body_cut_off_inside_a_frame_inserts_nothing(client):
    import lz4.frame

    client.command("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    frame = lz4.frame.compress(b"".join(b"%d\n" % n for n in range(100_000)))
    assert code_of(client.raw_insert, "t", ["a"], frame[:-100], fmt="CSV", compression="lz4") == 271
    assert client.command("SELECT count() FROM t") == 0


def test_parameters_are_bound_by_type(client):
    given = {
        "u": TENANT,
        "d": date(2026, 2, 3),
        "a": ["q'x", "b\tc"],
        "m": Decimal("1.5"),
        "s": "tab\tnl\nq'b\\u",
        "n": None,
    }
    query = "SELECT {u:UUID}, {d:Date}, {a:Array(String)}, {m:Decimal(18, 4)}, {s:String}, {n:Nullable(Int8)}"
    assert client.query(query, parameters=given).first_row == tuple(given.values())
    many = list(range(20_000))  # too long for an address: travels as a form
    assert client.query("SELECT length({xs:Array(UInt32)})", parameters={"xs": many}).first_row == (20_000,)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT * FROM nothing", 60),
        ("DROP TABLE nothing", 60),
        ("SELECT * FROM nowhere.t", 81),
        ("SELEC 1 FROM", 62),
        ("SELECT 1; SELECT 2", 62),
        ("SELECT no_such_function(1)", 46),
        ("SELECT nothing", 47),
        ("SELECT 1 SETTINGS nothing = 1", 115),
        ("SELECT throwIf(1)", 395),
        ("CREATE TABLE system.one (a Int8) ENGINE = Memory", 57),
        ("INSERT INTO nothing VALUES (1)", 60),
        ("INSERT INTO t SELECT * FROM input('a UInt8') FORMAT CSV", 60),
        ("CREATE ROLE boss", 497),  # the engine has one user and no access rights to give
    ],
)
def test_errors_carry_their_number(client, statement, code):
    assert code_of(client.command, statement) == code


def test_settings_of_a_request_stay_with_the_request(own_engines):
    with connect(own_engines, autogenerate_session_id=False) as client:
        asked = "SELECT getSetting('max_block_size')"
        usual = client.command(asked)
        assert client.query(asked, settings={"max_block_size": 777}).first_row == (777,)
        assert client.command(asked) == usual
        assert code_of(client.command, "SELECT 1", settings={"nothing_of_the_kind": "1"}) == 115
        assert code_of(client.command, "SELECT 1", settings={"a = 1, readonly": "0"}) == 36
        assert code_of(client.command, "CREATE TABLE t (a Int8) ENGINE = Memory", settings={"readonly": "1"}) == 164


def test_a_session_keeps_its_tables_and_settings_for_itself(own_engines, database):
    mine, yours = str(uuid.uuid4()), str(uuid.uuid4())
    with connect(own_engines, session_id=mine) as one, connect(own_engines, session_id=yours) as two:
        one.command("CREATE TEMPORARY TABLE basket (a Int8)")
        one.insert("basket", [[1], [2]], column_names=["a"])
        one.command("SET max_block_size = 777")
        assert one.query("SELECT sum(a) FROM basket").first_row == (3,)
        assert code_of(two.query, "SELECT * FROM basket") == 60

        asked = "SELECT getSetting('max_block_size'), currentDatabase()"
        assert one.query(asked, settings={"max_block_size": 5, "database": database}).first_row == (5, database)
        assert one.query(asked).first_row == (777, "default")
        assert two.query(asked).first_row != (777, "default")


def test_a_session_serves_one_request_at_a_time(own_engines, eventually):
    shared = str(uuid.uuid4())
    with connect(own_engines, session_id=shared) as one, connect(own_engines, session_id=shared) as two:
        stream = one.query_row_block_stream("SELECT number FROM numbers(100000000)")
        with stream:
            next(stream)
            assert code_of(two.command, "SELECT 1") == 373
            one.close_connections()
        eventually(lambda: _answers(two))


def _answers(client):
    try:
        return client.command("SELECT 1") == 1
    except DatabaseError as error:
        assert error.code == 373
        return False


def test_a_session_that_must_exist_or_lives_too_long_is_refused(http):
    assert http("/?session_id=new&session_check=1&query=SELECT+1").headers["X-ClickHouse-Exception-Code"] == "372"
    assert http("/?session_id=new&session_timeout=99999&query=SELECT+1").headers["X-ClickHouse-Exception-Code"] == "374"
    assert http("/?session_id=new&session_timeout=0&query=SELECT+1").data == b"1\n"


def test_a_large_result_streams(client):
    with client.query_rows_stream("SELECT number, toString(number) FROM numbers(2000000)") as stream:
        count = sum(1 for _ in stream)
    assert count == 2_000_000


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
def test_an_error_in_mid_stream_reaches_the_reader(own_engines, compress):
    query = "SELECT throwIf(number = 1500000, 'half way'), toString(number) FROM numbers(2000000)"
    with connect(own_engines, compress=compress) as client:
        with pytest.raises(StreamFailureError, match="half way"):
            with client.query_rows_stream(query, settings={"max_threads": 1}) as stream:
                for _ in stream:
                    pass
        assert client.command("SELECT 1") == 1


def test_results_that_cannot_be_cut_arrive_whole(client):
    """A document with a header, or with totals, is one document however long it is."""
    text = client.raw_query("SELECT number AS n FROM numbers(200000)", fmt="CSVWithNames").decode()
    assert text.count('"n"') == 1
    assert text.count("\n") == 200_001
    totals = client.raw_query(
        "SELECT number % 2 AS k, count() FROM numbers(10) GROUP BY k WITH TOTALS ORDER BY k", fmt="TSV"
    )
    assert totals == b"0\t5\n1\t5\n\n0\t10\n"
    assert (
        client.raw_query("SELECT 1 AS format, 'FORMAT JSON' FORMAT TSV SETTINGS max_threads = 1") == b"1\tFORMAT JSON\n"
    )
    assert client.query("SELECT number FROM numbers(3) LIMIT 0").column_names == ("number",)


def test_commands_answer_like_the_server(client):
    client.command("CREATE TABLE t (a Int8) ENGINE = Memory")
    assert client.command("EXISTS TABLE t") == 1
    assert client.query("SHOW TABLES").result_rows == [("t",)]
    assert client.command("SELECT a FROM t") == ""
    assert client.query("DESCRIBE t").first_row[:2] == ("a", "Int8")


def test_a_table_sent_along(client):
    table = ExternalData(
        file_name="people.csv", fmt="CSV", structure=["id UInt64", "name String"], data=b"2,Ivan\n1,Anna\n"
    )
    assert client.query("SELECT name FROM people ORDER BY id", external_data=table).result_rows == [
        ("Anna",),
        ("Ivan",),
    ]
    assert code_of(client.query, "SELECT * FROM people") == 60


def test_the_schema_of_the_analytics_works(client):
    """What the portal's ClickHouse migrations and loads stand on."""
    client.command(
        "CREATE TABLE facts (tenant_id UUID, id UInt64, amount Int64, version UInt64, at DateTime64(3, 'UTC'))"
        " ENGINE = ReplacingMergeTree(version) PARTITION BY toYYYYMM(at) ORDER BY (tenant_id, id)"
        " TTL toDateTime(at) + INTERVAL 10 YEAR"
    )
    january, february = datetime(2026, 1, 5), datetime(2026, 2, 5)
    names = ["tenant_id", "id", "amount", "version", "at"]
    client.insert(
        "facts", [[TENANT, 1, 10, 1, january], [TENANT, 2, 5, 1, february], [OTHER, 1, 99, 1, january]], names
    )
    client.insert("facts", [[TENANT, 1, 20, 2, january]], names)
    final = "SELECT sum(amount) FROM facts FINAL WHERE tenant_id = {t:UUID} SETTINGS do_not_merge_across_partitions_select_final = 1"
    assert client.query(final, parameters={"t": TENANT}).first_row == (25,)

    client.command("CREATE VIEW own AS SELECT * FROM facts FINAL WHERE tenant_id = {tenant:UUID}")
    assert client.query("SELECT sum(amount) FROM own(tenant = {t:UUID})", parameters={"t": OTHER}).first_row == (99,)
    assert client.query(f"SELECT sum(amount) FROM own(tenant = '{TENANT}')").first_row == (25,)

    client.command("CREATE TABLE rebuilt AS facts")
    client.insert("rebuilt", [[TENANT, 1, 1, 9, january]], names)
    client.command("ALTER TABLE facts REPLACE PARTITION 202601 FROM rebuilt")
    assert client.query("SELECT tenant_id, amount FROM facts ORDER BY at").result_rows == [(TENANT, 1), (TENANT, 5)]

    client.command(
        "CREATE MATERIALIZED VIEW daily ENGINE = SummingMergeTree ORDER BY (tenant_id, day)"
        " AS SELECT tenant_id, toDate(at) AS day, sum(amount) AS amount FROM facts GROUP BY tenant_id, day"
    )
    client.insert("facts", [[TENANT, 7, 70, 1, february], [TENANT, 8, 80, 1, february]], names)
    assert client.query("SELECT sum(amount) FROM daily").first_row == (150,)
    client.command("INSERT INTO facts (tenant_id, id, at) VALUES (generateUUIDv4(), 3, '2010-01-01 00:00:00')")
    client.command("OPTIMIZE TABLE facts FINAL")
    assert client.command("SELECT count() FROM facts WHERE toYear(at) = 2010") == 0  # past its time to live
    assert client.raw_query("SELECT id FROM facts FORMAT Parquet")[:4] == b"PAR1"


def test_a_table_sent_along_is_read_with_the_settings_of_the_request(client):
    """Broken when the table was filled before the settings were known: the second line was then an error."""
    table = ExternalData(
        file_name="people.csv", fmt="CSV", structure=["id UInt64", "name String"], data=b"1,Anna\nx,?\n2,Ivan\n"
    )
    lenient = {"input_format_allow_errors_num": 1}
    assert client.query("SELECT count() FROM people", external_data=table, settings=lenient).first_row == (2,)
    for statement in (
        "CREATE TABLE kept ENGINE = MergeTree ORDER BY id EMPTY AS SELECT * FROM people",
        "INSERT INTO kept SELECT * FROM people",
    ):
        client.command(statement, external_data=table, settings=lenient)
    assert client.query("SELECT name FROM kept ORDER BY id").result_rows == [("Anna",), ("Ivan",)]


def test_time_zones_of_columns_reach_the_reader(client):
    """They need the newer form of Native, which the client asks for as soon as a probe has found it."""
    assert client.protocol_version
    row = client.query(
        "SELECT toDateTime('2022-10-25 10:55:22', 'America/Chicago'), [toDateTime(0, 'Asia/Tokyo')],"
        " map('k', toNullable(toDateTime(0, 'Asia/Tokyo'))), toLowCardinality('low'), toDateTime(0)"
    ).first_row
    assert (row[0].tzinfo.key, row[0].hour) == ("America/Chicago", 10)
    assert [row[1][0].hour, row[2]["k"].hour, row[3], row[4].hour] == [9, 9, "low", 0]
    many = "SELECT number, toDateTime(number, 'Asia/Tokyo') AS at, toString(number) FROM numbers(200000)"
    rows = client.query(many).result_rows
    assert len(rows) == 200_000
    assert (rows[-1][0], rows[-1][1].timestamp(), rows[-1][2]) == (199_999, 199_999, "199999")


def test_bytes_that_are_no_text_may_stand_in_a_statement(client):
    table = client.raw_query("SELECT number AS n, unhex('ff00fe') AS b FROM numbers(3) FORMAT Parquet")
    rows = client.query("SELECT n, hex(b) FROM format(Parquet, $file$) ORDER BY n", parameters={"$file$": table})
    assert rows.result_rows == [(0, "FF00FE"), (1, "FF00FE"), (2, "FF00FE")]


def test_words_of_inserts_in_other_places(client):
    client.command("CREATE TABLE t (s String) ENGINE = MergeTree ORDER BY s")
    client.command("WITH {SELECT:Int32} AS x INSERT INTO t (s) FORMAT TSV\none;\n", parameters={"SELECT": 1})
    client.command("WITH 'two' AS x INSERT INTO t SELECT x")
    assert client.query("SELECT s FROM t ORDER BY s").result_rows == [("one;",), ("two",)]
    assert client.query("WITH insert AS (SELECT 1 AS n) SELECT * FROM insert").result_rows == [(1,)]
    assert client.query("SELECT 1 // don't stop; here").result_rows == [(1,)]
    assert client.raw_query("SELECT 1;\u00a0") == b"1\n"
    comments = "/* one /* 'within */ the other */ #! x\n# y ;\n// z ;\n-- '\nSELECT 1"
    assert client.raw_query(comments) == b"1\n"
    assert client.raw_query("FROM numbers(2) SELECT number") == b"0\n1\n"


def test_what_was_asked_can_be_read_in_the_log(client, own_engines):
    name = f"q{uuid.uuid4().hex}"
    client.query("SELECT 'круг', count() FROM numbers(5)", settings={"query_id": name})
    code_of(client.query, "SELECT throwIf(1)", settings={"query_id": f"{name}!"})
    asked = "SELECT query, type, exception_code, result_rows FROM system.query_log WHERE query_id = {id:String}"
    (row,) = client.query(asked, parameters={"id": name}).result_rows
    assert row[0].startswith("SELECT 'круг', count() FROM numbers(5)")
    assert row[1:] == ("QueryFinish", 0, 1)
    assert client.query(asked, parameters={"id": f"{name}!"}).first_row[1:3] == ("ExceptionWhileProcessing", 395)
    with connect(own_engines, session_id=name) as other:
        other.command("SELECT 1")
    seen = "SELECT DISTINCT type, user FROM system.session_log WHERE session_id = {id:String}"
    assert client.query(seen, parameters={"id": name}).result_rows == [("LoginSuccess", "krug")]


def test_a_request_refused_half_way_leaves_its_session_as_it_was(own_engines, database):
    with connect(own_engines, session_id=str(uuid.uuid4())) as client:
        assert code_of(client.command, "SELECT 1", settings={"database": database, "nothing_of_the_kind": "1"}) == 115
        assert client.command("SELECT currentDatabase()") == "default"


def test_threads_and_processes_work_side_by_side(own_engines, client, database):
    client.command("CREATE TABLE t (worker UInt8, n UInt32) ENGINE = MergeTree ORDER BY (worker, n)")
    with multiprocessing.get_context("spawn").Pool(2) as processes:
        work = processes.starmap_async(insert_and_count, [(own_engines.clickhouse_url, database, w) for w in range(2)])
        with ThreadPoolExecutor(4) as threads:
            counts = list(threads.map(lambda w: insert_and_count(own_engines.clickhouse_url, database, w), range(2, 6)))
        assert work.get(60) + counts == [5_000] * 6
    assert client.query("SELECT count(), uniqExact(worker, n) FROM t").first_row == (30_000, 30_000)


def insert_and_count(url, database, worker):
    with clickhouse_connect.get_client(dsn=url, database=database) as client:
        for start in range(0, 5_000, 1_000):
            client.insert("t", [[worker, n] for n in range(start, start + 1_000)], column_names=["worker", "n"])
        return client.query("SELECT count() FROM t WHERE worker = {w:UInt8}", parameters={"w": worker}).first_row[0]


def test_a_slow_query_does_not_hold_up_the_others(own_engines):
    started = threading.Event()

    def slow():
        with connect(own_engines) as client:
            started.set()
            return client.command(
                "SELECT count() FROM numbers(15) WHERE sleepEachRow(0.1) = 0", settings={"max_block_size": 1}
            )

    with ThreadPoolExecutor(1) as pool, connect(own_engines) as client:
        result = pool.submit(slow)
        started.wait()
        assert client.command("SELECT 1") == 1
        assert not result.done()
        assert result.result() == 15
