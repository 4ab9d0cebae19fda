"""Places at which a proof kills the process (F2)."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def failpoint(name: str) -> None:
    """Die here by SIGKILL when the environment says `FAILPOINT=<name>`; only in a process started with TESTING.

    With FAILPOINT_TOKENS, a directory, each death takes one file out of it, and without one nobody dies.
    """
    if not os.environ.get("TESTING") or os.environ.get("FAILPOINT") != name:
        return
    tokens = os.environ.get("FAILPOINT_TOKENS")
    if tokens is None or any(_taken(token) for token in Path(tokens).iterdir()):
        os.kill(os.getpid(), signal.SIGKILL)


def _taken(token: Path) -> bool:
    with suppress(FileNotFoundError):
        token.unlink()
        return True
    return False
