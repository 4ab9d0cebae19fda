"""A `postmaster.pid` that an earlier life of PostgreSQL left behind.

PostgreSQL trusts the number in it as long as any process of the same user has that number, which after a restart of a
container is often somebody else. The caller holds the lock of the engines, so no server of ours can be starting.
"""

import contextlib
from pathlib import Path

import psutil

STOP_S = 10


def clear_stale_postmaster(data: Path) -> None:
    """Remove the file if its process is not this cluster's server; if it is one that lost its owner, stop it."""
    file = data / "postmaster.pid"
    with contextlib.suppress(FileNotFoundError, ValueError, IndexError):
        pid = int(file.read_text().splitlines()[0])
        if server := _server(pid, data):
            server.send_signal(2)  # SIGINT: fast shutdown
            with contextlib.suppress(psutil.TimeoutExpired):
                server.wait(STOP_S)
            if server.is_running():
                server.kill()
                server.wait(STOP_S)
        elif psutil.pid_exists(pid):
            file.unlink()


def _server(pid: int, data: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(pid)
        same = process.name().startswith("postgres") and str(data) in process.cmdline()
    except psutil.Error:
        return None
    return process if same else None
