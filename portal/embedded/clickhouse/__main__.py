"""`python -m portal.embedded.clickhouse PORT DIRECTORY`."""

import signal
import sys
from pathlib import Path
from types import FrameType

import waitress

from ..ports import LOOPBACK
from ..secret import password_in
from . import PASSWORD_FILE
from .engine import Engine
from .front import Front
from .progress import Channel

THREADS = 32  # each waits for its query while the engine works
LARGEST_BODY = 8 << 30


def main(port: int, directory: Path) -> None:
    front = Front(Engine(directory / "data"), password_in(directory / PASSWORD_FILE))
    signal.signal(signal.SIGTERM, _leave)
    server = waitress.create_server(
        front, host=LOOPBACK, port=port, threads=THREADS, max_request_body_size=LARGEST_BODY, ident="ClickHouse (chDB)"
    )
    server.channel_class = Channel
    server.run()


def _leave(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]).resolve())
