"""Engines of these tests' own: what is tried here must not hurt the ones the other tests use."""

import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import urllib3

from portal import embedded
from portal.embedded import ports

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def own_engines(tmp_path_factory):
    with embedded.start(tmp_path_factory.mktemp("engines"), durable=False) as running:
        yield running.engines


@pytest.fixture
def eventually():
    """Wait for a condition, or fail with what it last was."""

    def eventually(condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, f"still {value!r} after {seconds} s"
            time.sleep(0.02)
        return value

    return eventually


@pytest.fixture
def free_port():
    return ports.choose()


@pytest.fixture
def python(tmp_path):
    """Run a script beside the tests, which is killed at the end of the test if it still lives."""
    started = []

    def python(script, *arguments, **options):
        file = tmp_path / f"script{len(started)}.py"
        file.write_text(script)
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True} | options
        process = subprocess.Popen(
            [sys.executable, str(file), *map(str, arguments)], cwd=ROOT, env=ENVIRONMENT, **options
        )
        started.append(process)
        return process

    yield python
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def mentioning():
    """The living processes whose command line has this text in it."""

    def mentioning(text):
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            command = process.info["cmdline"] or []
            if process.info["status"] != psutil.STATUS_ZOMBIE and any(str(text) in part for part in command):
                found.append((process.pid, command[:3]))
        return found

    return mentioning


ENVIRONMENT = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}


@pytest.fixture
def http(own_engines):
    """Speak to ClickHouse's front as curl would."""
    address = urlsplit(own_engines.clickhouse_url)
    signed_in = urllib3.make_headers(basic_auth=f"{address.username}:{address.password}")

    def http(path, body=None, *, headers=signed_in, more_headers=None, **options):
        method = "GET" if body is None else "POST"
        url = f"http://127.0.0.1:{address.port}{path}"
        return urllib3.request(
            method, url, body=body, headers=headers | (more_headers or {}), timeout=30, retries=False, **options
        )

    http.user, http.password, http.port = address.username, address.password, address.port
    return http
