"""Runs the processes of one installation side by side: all live, or none.

The crash of one stops all, Ctrl-C stops them in reverse order of start, and `guard.py` beside each sees to it that
none is left, even when the supervisor itself is killed with -9.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE
from types import FrameType
from typing import IO, Any

from . import RunningEngines
from .ports import accepts, require_free
from .process import Guarded

POLL_S = 0.1
Handler = Callable[[int, FrameType | None], Any] | int | None
COLORS = ("36", "33", "32", "35", "34", "96", "93", "92")


@dataclass(frozen=True)
class Program:
    """What to run. `port` is one it listens on, `port_variable` the name by which people choose another."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] | None = None
    cwd: Path | None = None
    port: int | None = None
    port_variable: str = "PORT"
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = 5.0


class Supervisor:
    """Programs are added, then `run()` starts them and returns the exit code of the whole."""

    def __init__(
        self, *, engines: RunningEngines | None = None, out: IO[str] | None = None, hint: str = "make demo"
    ) -> None:
        self._engines = engines
        self._out = out or sys.stdout
        self._hint = hint
        self._programs: list[Program] = []
        self._running: list[tuple[Guarded, threading.Thread]] = []
        self._asked_to_stop = threading.Event()
        self._writing = threading.Lock()

    def add(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        port: int | None = None,
        port_variable: str = "PORT",
        stop_signal: signal.Signals = signal.SIGTERM,
        patience: float = 5.0,
    ) -> None:
        """`env` is added to this process's environment; `patience` is how many seconds it gets to stop.

        Raises `PortTaken`, whose text can be shown to people as it is.
        """
        if port:
            require_free(port, variable=port_variable, command=self._hint)
        self._programs.append(Program(name, tuple(command), env, cwd, port, port_variable, stop_signal, patience))

    def use(self, engines: RunningEngines) -> None:
        """The engines that live and stop with the programs."""
        self._engines = engines

    def run(self, announce: Callable[[], None] | None = None) -> int:
        """Start all, wait, stop all (the engines too). 0 after `stop()` or a signal, 1 after a crash.

        `announce` is called once, when every port answers.
        """
        former = self._listen_to_signals()
        try:
            crashed = self._start() or self._watch(announce)
        finally:
            self._stop_all()
            for number, handler in former.items():
                signal.signal(number, handler)
        return 1 if crashed else 0

    def stop(self) -> None:
        """Make `run()` stop everything and return."""
        self._asked_to_stop.set()

    def say(self, text: str, *, name: str = "portal") -> None:
        """A line among those of the programs."""
        width = max(map(len, ["portal", *(program.name for program in self._programs)]))
        label = f"{name:<{width}} |"
        if self._out.isatty():
            names = [program.name for program in self._programs]
            color = COLORS[names.index(name) % len(COLORS)] if name in names else "1"
            label = f"\x1b[{color}m{label}\x1b[0m"
        with self._writing:
            self._out.write(f"{label} {text}\n")
            self._out.flush()

    def _listen_to_signals(self) -> dict[signal.Signals, Handler]:
        if threading.current_thread() is not threading.main_thread():
            return {}

        def handle(_number: int, _frame: FrameType | None) -> None:
            self._asked_to_stop.set()

        return {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def _start(self) -> bool:
        """True when one cannot be started."""
        for program in self._programs:
            if self._asked_to_stop.is_set():
                break
            process = Guarded(
                program.name,
                program.command,
                output=PIPE,
                env=os.environ | {"PYTHONUNBUFFERED": "1"} | dict(program.env or {}),
                cwd=program.cwd,
                stop_signal=program.stop_signal,
                patience=program.patience,
            )
            reader = threading.Thread(target=self._pass_on, args=(process,), daemon=True)
            reader.start()
            self._running.append((process, reader))
            if not process.pid:
                self.say(f"{program.name} cannot be started; stopping everything")
                return True
        return False

    def _watch(self, announce: Callable[[], None] | None) -> bool:
        """Return when asked to stop (False) or when something ended by itself (True)."""
        silent = {program.port for program in self._programs if program.port}
        while not self._asked_to_stop.wait(POLL_S):
            ended = {process.name: code for process, _ in self._running if (code := process.poll()) is not None}
            if self._engines:
                ended |= self._engines.ended()
            for name, code in ended.items():
                self.say(f"{name} ended with code {code}; stopping everything")
            if ended:
                return True
            silent = {port for port in silent if not accepts(port)} if announce else silent
            if announce and not silent:
                announce()
                announce = None
        return False

    def _stop_all(self) -> None:
        started = time.monotonic()
        for process, reader in reversed(self._running):
            process.stop()
            reader.join(timeout=1)
            if process.output:
                process.output.close()
        if self._engines:
            self._engines.stop()
        if self._running:
            self.say(f"stopped in {time.monotonic() - started:.1f} s")
        self._running.clear()

    def _pass_on(self, process: Guarded) -> None:
        for line in process.output or ():
            self.say(line.decode(errors="replace").rstrip("\r\n"), name=process.name)
