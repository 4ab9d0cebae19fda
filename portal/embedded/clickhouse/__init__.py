"""ClickHouse without a server: the engine chDB in one process, behind ClickHouse's HTTP interface.

`clickhouse-connect` and any other HTTP client work against it unchanged. The process is
`python -m portal.embedded.clickhouse PORT DIRECTORY`.
"""

import http.client
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ..launched import Launched
from ..ports import LOOPBACK
from ..process import Guarded
from ..secret import password_in

USER = "krug"
PASSWORD_FILE = "password"  # noqa: S105  its name, not its content


def launch(directory: Path, port: int, log: Path, *, hold: Sequence[int] = ()) -> Launched:
    """Start the front; its password is in `directory/password`."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    password = password_in(directory / PASSWORD_FILE)
    command = [sys.executable, "-m", __name__, str(port), str(directory)]
    source = Path(__file__).parents[3]  # where `portal` is found, installed or not
    paths = os.pathsep.join(filter(None, [str(source), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"TZ": "UTC", "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        process = Guarded("clickhouse", command, output=output, env=environment, hold=hold)
    return Launched(process, f"http://{USER}:{password}@{LOOPBACK}:{port}/", lambda: _answers(port), log)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
