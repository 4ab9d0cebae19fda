"""The supervisor: all live or none, and none is left."""

import signal
import socket
import sys

import psutil
import pytest

from portal.embedded.ports import PortTaken
from portal.embedded.supervisor import Supervisor

# A tree as gunicorn and rq make it: a child, and a grandchild in a session of its own that ignores TERM.
TREE = """
import os, signal, subprocess, sys
grandchild = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deep', flush=True); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", grandchild, sys.argv[1]], start_new_session=True)
print("up", os.getpid(), flush=True)
import time
time.sleep(600)
"""
LAST_WORDS = """
import signal, sys, time
def leave(*_):
    open(sys.argv[1], "a").write(sys.argv[2] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("ready", flush=True)
time.sleep(600)
"""
SUPERVISE = """
import sys
from portal.embedded.supervisor import Supervisor

supervisor = Supervisor()
for name in ("web", "worker"):
    supervisor.add(name, [sys.executable, "-c", sys.argv[1], sys.argv[2], name], patience=2)
sys.exit(supervisor.run())
"""


def lines_until(process, *wanted):
    """Read its output until each of these stood in it."""
    seen = ""
    left = list(wanted)
    while left:
        line = process.stdout.readline()
        assert line, f"ended; wanted {left}, saw:\n{seen}"
        seen += line
        left = [text for text in left if text not in line]
    return seen


def test_output_carries_the_name_of_its_program(capsys):
    supervisor = Supervisor()
    supervisor.add("worker", [sys.executable, "-c", "print('done my work')"])
    assert supervisor.run() == 1
    assert "worker | done my work\n" in capsys.readouterr().out


def test_the_crash_of_one_stops_all(python, tmp_path, mentioning):
    supervisor = python(SUPERVISE, TREE, tmp_path / "mark")
    seen = lines_until(supervisor, "web    | up", "worker | up", "web    | deep", "worker | deep")
    pid = next(int(line.split()[-1]) for line in seen.splitlines() if "worker | up" in line)
    psutil.Process(pid).kill()
    rest, _ = supervisor.communicate(timeout=30)
    assert f"worker ended with code {128 + signal.SIGKILL}; stopping everything" in rest
    assert supervisor.returncode == 1
    assert mentioning(tmp_path / "mark") == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_in_reverse_order(python, tmp_path, number):
    file = tmp_path / "order"
    supervisor = python(SUPERVISE, LAST_WORDS, file)
    lines_until(supervisor, "web    | ready", "worker | ready")
    supervisor.send_signal(number)
    assert supervisor.wait(timeout=30) == 0
    assert file.read_text().split() == ["worker", "web"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_however_the_supervisor_ends(python, tmp_path, mentioning, eventually, number):
    mark = tmp_path / "mark"
    supervisor = python(SUPERVISE, TREE, mark)
    lines_until(supervisor, "web    | deep", "worker | deep")
    assert len(mentioning(mark)) == 7  # the supervisor, and two each of guard, program and grandchild
    supervisor.send_signal(number)
    supervisor.wait(timeout=30)
    eventually(lambda: mentioning(mark) == [])


def test_a_command_that_does_not_exist_stops_all(tmp_path, capsys, mentioning):
    supervisor = Supervisor()
    supervisor.add("web", [sys.executable, "-c", TREE, str(tmp_path)])
    supervisor.add("worker", ["/no/such/program"])
    assert supervisor.run() == 1
    assert "/no/such/program: No such file or directory" in capsys.readouterr().out
    assert mentioning(tmp_path) == []


def test_a_taken_port_is_told_before_anything_starts():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        message = f"port {port} is taken; choose another with PORT={port + 1} make demo"
        with pytest.raises(PortTaken, match=message):
            Supervisor().add("web", ["true"], port=port)


def test_the_announcement_comes_once_every_port_answers(free_port):
    supervisor = Supervisor()
    supervisor.add("web", [sys.executable, "-m", "http.server", str(free_port), "--bind", "127.0.0.1"], port=free_port)
    answered = []

    def announce():
        socket.create_connection(("127.0.0.1", free_port)).close()
        answered.append("yes")
        supervisor.stop()

    assert supervisor.run(announce) == 0
    assert answered == ["yes"]


def test_the_death_of_an_engine_stops_the_programs(tmp_path, capsys):
    from portal import embedded

    elsewhere = {"DATABASE_URL": "x", "CLICKHOUSE_URL": "x"}
    with embedded.start(tmp_path, given=elsewhere) as engines:
        supervisor = Supervisor(engines=engines)
        supervisor.add("web", [sys.executable, "-c", "import time; time.sleep(600)"])
        assert supervisor.run(lambda: psutil.Process(engines.processes["valkey"]).kill()) == 1
    assert "valkey ended with code 137; stopping everything" in capsys.readouterr().out
