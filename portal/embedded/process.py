"""A process that cannot outlive the one that started it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

GUARD = Path(__file__).with_name("guard.py")
POLL_S = 0.02


class EngineFailed(RuntimeError):
    """An engine did not start; the text ends with what it wrote."""


class Account(NamedTuple):
    """The system user that a command runs as."""

    uid: int
    gid: int


class Guarded:
    """One running command and the guard beside it (`guard.py`).

    `pid` is the command's own. `hold` are file descriptors, such as a lock, that stay open as long as the guard lives.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        output: int | IO[bytes],
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        account: Account | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        patience: float = 5.0,
        hold: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.patience = patience
        reader, writer = os.pipe()
        identity = [f"--uid={account.uid}", f"--gid={account.gid}"] if account else []
        options = [f"--owner={os.getpid()}", f"--stop-signal={stop_signal:d}", f"--patience={patience}"]
        self._guard = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", str(GUARD), *options, *identity, f"--pid-to={writer}", "--", *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            start_new_session=True,
            pass_fds=(writer, *hold),
        )
        os.close(writer)
        with os.fdopen(reader, "rb") as told:
            self.pid = int(told.read() or 0)  # 0: the command could not be started, the guard says why and ends

    @property
    def output(self) -> IO[bytes] | None:
        return self._guard.stdout

    def poll(self) -> int | None:
        """The command's exit code once it and all it had started are gone; 128 + n after signal n."""
        return self._guard.poll()

    def wait(self) -> int:
        """Wait for a command that ends by itself."""
        code = self._guard.wait()
        self.ask_to_stop()
        return code

    def ask_to_stop(self) -> None:
        if self._guard.stdin and not self._guard.stdin.closed:
            self._guard.stdin.close()

    def stop(self) -> int:
        """Stop it and wait; the guard kills what does not obey within `patience`."""
        self.ask_to_stop()
        try:
            return self._guard.wait(self.patience + 5)
        except subprocess.TimeoutExpired:  # the guard itself is stuck, which nothing should bring about
            os.killpg(self._guard.pid, signal.SIGKILL)
            return self._guard.wait()


def wait_until(process: Guarded, ready: Callable[[], bool], log: Path, seconds: float = 30.0) -> None:
    """Return when `ready()`; raise `EngineFailed` with the end of the log when the process ends or time is up."""
    deadline = time.monotonic() + seconds
    while not ready():
        code = process.poll()
        if code is None and time.monotonic() < deadline:
            time.sleep(POLL_S)
            continue
        process.stop()
        what = f"was not ready after {seconds:.0f} s" if code is None else f"ended with code {code}"
        raise EngineFailed(f"{process.name} {what}; {log} ends with:\n{tail(log)}")


def tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""
