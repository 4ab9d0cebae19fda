"""The three engines: they start, remember, recover, and leave nothing behind."""

import os
import signal
import stat
import subprocess

import clickhouse_connect
import psutil
import psycopg
import pytest
import redis

from portal import embedded
from portal.embedded import ports

START_AND_WAIT = """
import sys
from pathlib import Path
from portal import embedded

running = embedded.start(Path(sys.argv[1]), durable=True)
print(running.engines.database_url, *running.processes.values(), flush=True)
sys.stdin.read()
"""


def tables(engines):
    with psycopg.connect(engines.database_url) as connection:
        return [row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]


def clickhouse(engines):
    return clickhouse_connect.get_client(dsn=engines.clickhouse_url)


def test_all_three_answer_over_their_own_protocols(own_engines):
    with psycopg.connect(own_engines.database_url) as connection:
        facts = connection.execute(
            "SELECT current_database(), current_user, rolcreaterole, pg_encoding_to_char(encoding), datlocale,"
            " current_setting('max_connections')"
            " FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()"
        ).fetchone()
    with redis.Redis.from_url(own_engines.redis_url) as client:
        client.set("a", "b")
        kept = client.config_get("save")
    assert facts == ("krug", "portal_admin", True, "UTF8", "C.UTF-8", "200")
    assert kept == {"save": ""}
    with clickhouse(own_engines) as client:
        assert client.command("SELECT 1 + 1") == 2


def test_nobody_enters_without_the_password(own_engines):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(own_engines.database_url.replace("portal_admin:", "portal_admin:x"))
    with redis.Redis.from_url(own_engines.redis_url.replace("redis://:", "redis://:x")) as client:
        with pytest.raises(redis.AuthenticationError):
            client.ping()
    with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError) as refused:
        clickhouse_connect.get_client(dsn=own_engines.clickhouse_url.replace("krug:", "krug:x"))
    assert refused.value.code == 516


def test_the_passwords_are_for_their_owner_only(tmp_path):
    with embedded.start(tmp_path, durable=False):
        pass
    files = sorted(tmp_path.glob("*/password"))
    assert [file.parent.name for file in files] == ["clickhouse", "postgres", "valkey"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_stopped_installation_comes_back_with_its_data_on_the_same_ports(tmp_path, mentioning):
    with embedded.start(tmp_path, durable=False) as running:
        before = running.engines
        with psycopg.connect(before.database_url) as connection:
            connection.execute("CREATE TABLE kept (a int)")
        with clickhouse(before) as client:
            client.command("CREATE TABLE kept (a Int32) ENGINE = MergeTree ORDER BY a")
            client.insert("kept", [[1], [2]], column_names=["a"])
    assert mentioning(tmp_path) == []

    with embedded.start(tmp_path, durable=False) as running:
        assert running.engines == before
        assert tables(before) == ["kept"]
        with clickhouse(before) as client:
            assert client.command("SELECT sum(a) FROM kept") == 3
    running.stop()  # a second time is harmless


def test_the_same_directory_twice_is_refused_and_two_directories_run_side_by_side(tmp_path):
    with embedded.start(tmp_path / "one", durable=False) as one:
        with pytest.raises(embedded.AlreadyRunning, match=rf"running already, started by process {os.getpid()}"):
            embedded.start(tmp_path / "one")
        with embedded.start(tmp_path / "two", durable=False) as two:
            assert set(one.processes) == set(two.processes) == {"postgres", "valkey", "clickhouse"}
            assert one.engines.database_url != two.engines.database_url
            assert tables(one.engines) == tables(two.engines) == []


def test_given_addresses_replace_engines(tmp_path):
    given = {"DATABASE_URL": "postgresql://elsewhere/krug", "CLICKHOUSE_URL": "http://elsewhere:8123/"}
    with embedded.start(tmp_path, given=given) as running:
        assert running.engines.database_url == given["DATABASE_URL"]
        assert running.engines.clickhouse_url == given["CLICKHOUSE_URL"]
        assert set(running.processes) == {"valkey"}
        with redis.Redis.from_url(running.engines.redis_url) as client:
            assert client.ping()


def test_a_wanted_port_that_is_taken_is_named_with_the_way_out(tmp_path, own_engines):
    taken = int(own_engines.redis_url.rpartition(":")[2].partition("/")[0])
    with pytest.raises(embedded.PortTaken, match=rf"port {taken} is taken; choose another with REDIS_PORT={taken + 1}"):
        embedded.start(tmp_path, ports={"valkey": taken})
    assert not (tmp_path / "postgres").exists()


def test_a_remembered_port_that_somebody_took_is_replaced(tmp_path):
    elsewhere = {"DATABASE_URL": "x", "CLICKHOUSE_URL": "x"}
    with embedded.start(tmp_path, given=elsewhere) as running:
        before = running.engines.redis_url
        file = (tmp_path / "engines.json").read_text()
    with embedded.start(tmp_path / "other", given=elsewhere, ports={"valkey": int(file.split(":")[1].strip(" \n}"))}):
        with embedded.start(tmp_path, given=elsewhere) as running:
            assert running.engines.redis_url != before


@pytest.mark.parametrize("name", ["postgres", "valkey", "clickhouse"])
def test_an_engine_that_was_killed_is_noticed_and_the_next_start_recovers(tmp_path, eventually, name):
    with embedded.start(tmp_path) as running:
        with psycopg.connect(running.engines.database_url) as connection:
            connection.execute("CREATE TABLE kept (a int)")
        assert running.ended() == {}
        os.kill(running.processes[name], signal.SIGKILL)
        eventually(running.ended)
        assert running.ended() == {name: 128 + signal.SIGKILL}
    with embedded.start(tmp_path) as running:
        assert tables(running.engines) == ["kept"]
        with clickhouse(running.engines) as client:
            assert client.command("SELECT 1") == 1


def test_a_killed_owner_takes_its_engines_along_and_the_next_start_recovers(tmp_path, python, eventually, mentioning):
    owner = python(START_AND_WAIT, tmp_path)
    url, *pids = owner.stdout.readline().split()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (a int)")
        owner.kill()
        owner.wait()
        # At once: the start waits for the former engines instead of tripping over them.
        with embedded.start(tmp_path) as running:
            assert tables(running.engines) == ["kept"]
            assert not [pid for pid in pids if psutil.pid_exists(int(pid))]
    eventually(lambda: mentioning(tmp_path) == [])


@pytest.mark.parametrize("stranger", ["living", "gone"])
def test_a_stale_postmaster_pid_does_not_stop_the_start(tmp_path, stranger):
    """After a restart of a container the number often belongs to somebody else."""
    with embedded.start(tmp_path) as running:
        os.kill(running.processes["postgres"], signal.SIGKILL)
    file = tmp_path / "postgres" / "data" / "postmaster.pid"
    lines = file.read_text().splitlines()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, user=file.stat().st_uid) as other:
        if stranger == "gone":
            other.kill()
            other.wait()
        file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        with embedded.start(tmp_path) as running:
            assert tables(running.engines) == []


def test_an_interrupted_initdb_is_begun_anew(tmp_path):
    half = tmp_path / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with embedded.start(tmp_path, durable=False, given={"REDIS_URL": "x", "CLICKHOUSE_URL": "x"}) as running:
        assert tables(running.engines) == []


def test_an_engine_that_cannot_start_says_why_and_leaves_nothing(tmp_path, mentioning):
    with embedded.start(tmp_path, durable=False):
        pass
    (tmp_path / "postgres" / "data" / "postgresql.conf").write_text("nonsense = on\n")
    with pytest.raises(embedded.EngineFailed, match=r"(?s)postgres ended with code 1.*nonsense"):
        embedded.start(tmp_path)
    assert mentioning(tmp_path) == []
    (tmp_path / "postgres" / "data" / "postgresql.conf").write_text("")
    with embedded.start(tmp_path, durable=False):  # and holds no lock
        pass


def test_ports_are_loopback_only(own_engines):
    port = int(own_engines.redis_url.rpartition(":")[2].partition("/")[0])
    listening = {c.laddr.ip for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == port}
    assert listening == {ports.LOOPBACK}
