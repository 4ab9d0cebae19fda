"""The engines of `portal up` and of the tests: PostgreSQL, Valkey and ClickHouse as real servers, from wheels.

`start(Path("var"))` starts those whose address is not given, remembers their ports in `var/engines.json` and returns
when all answer. They go down with the process that started them, however it ends.
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from . import ports as port_numbers
from .launched import Launched
from .ports import PortTaken
from .process import EngineFailed

__all__ = ["AlreadyRunning", "EngineFailed", "Engines", "PortTaken", "RunningEngines", "start"]

VARIABLES = {"postgres": "DATABASE_URL", "valkey": "REDIS_URL", "clickhouse": "CLICKHOUSE_URL"}
PORT_VARIABLES = {"postgres": "POSTGRES_PORT", "valkey": "REDIS_PORT", "clickhouse": "CLICKHOUSE_PORT"}
FORMER_ENGINES_S = 20  # how long those of a killed owner may take to stop


class AlreadyRunning(RuntimeError):
    """Another process runs the engines of this directory."""


@dataclass(frozen=True)
class Engines:
    """Where the engines answer. `database_url` is that of a superuser who may create roles and databases."""

    database_url: str
    redis_url: str
    clickhouse_url: str


class RunningEngines:
    """Started engines. A context manager; stops in reverse order of start."""

    def __init__(self, engines: Engines, launched: Mapping[str, Launched], locks: list[int]) -> None:
        self.engines = engines
        self._launched = dict(launched)
        self._locks = locks

    @property
    def processes(self) -> dict[str, int]:
        """Name of each started engine and the pid of its server."""
        return {name: engine.process.pid for name, engine in self._launched.items()}

    def ended(self) -> dict[str, int]:
        """Engines that have ended by themselves and their exit codes."""
        codes = {name: engine.process.poll() for name, engine in self._launched.items()}
        return {name: code for name, code in codes.items() if code is not None}

    def log(self, name: str) -> Path:
        return self._launched[name].log

    def stop(self) -> None:
        """Stop all; harmless the second time."""
        _stop(self._launched, self._locks)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(
    var: Path, *, durable: bool = True, ports: Mapping[str, int] | None = None, given: Mapping[str, str] | None = None
) -> RunningEngines:
    """Start the engines whose variable (DATABASE_URL, REDIS_URL, CLICKHOUSE_URL) is not in `given`.

    `ports` fixes the port of `postgres`, `valkey` or `clickhouse`. Raises `AlreadyRunning`, `PortTaken`, `EngineFailed`.
    `durable=False` trades safety after a crash of the machine for speed: tests only.
    """
    var = var.resolve()
    (var / "log").mkdir(parents=True, exist_ok=True)
    given = {name: url for name, url in (given or {}).items() if url}
    own = [name for name, variable in VARIABLES.items() if variable not in given]
    locks = _lock(var)
    launched: dict[str, Launched] = {}
    try:
        numbers = _ports(var, own, ports or {})
        # PostgreSQL last: it waits for `initdb` at the first start, during which the others come up.
        for name in sorted(own, key=["valkey", "clickhouse", "postgres"].index):
            launched[name] = _launch(name, var, numbers[name], guards_lock=locks[1], durable=durable)
        for engine in launched.values():
            engine.wait()
    except BaseException:
        _stop(launched, locks)
        raise
    urls = {
        variable: launched[name].url if name in launched else given[variable] for name, variable in VARIABLES.items()
    }
    return RunningEngines(
        Engines(urls["DATABASE_URL"], urls["REDIS_URL"], urls["CLICKHOUSE_URL"]),
        {name: launched[name] for name in VARIABLES if name in launched},
        locks,
    )


def _launch(name: str, var: Path, port: int, *, guards_lock: int, durable: bool) -> Launched:
    directory, log, hold = var / name, var / "log" / f"{name}.log", (guards_lock,)
    if name == "postgres":
        from . import postgres

        return postgres.launch(directory, port, log, durable=durable, hold=hold)
    if name == "valkey":
        from . import valkey

        return valkey.launch(directory, port, log, hold=hold)
    from . import clickhouse

    return clickhouse.launch(directory, port, log, hold=hold)


def _lock(var: Path) -> list[int]:
    """Two locks: the owner's, and one that the guards share, so that a new owner waits for those of a killed one."""
    owner = os.open(var / "engines.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(owner, 20).decode().strip()
        os.close(owner)
        who = f" by process {pid}" if pid else ""
        raise AlreadyRunning(f"the engines in {var} are running already, started{who}; stop that first") from None
    os.truncate(owner, 0)
    os.write(owner, str(os.getpid()).encode())
    guards = os.open(var / "engines.guards.lock", os.O_CREAT | os.O_RDWR, 0o600)
    deadline = time.monotonic() + FORMER_ENGINES_S
    while True:
        try:
            fcntl.flock(guards, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            os.close(guards)
            os.close(owner)
            raise AlreadyRunning(f"the engines that used {var} before are still stopping; try again") from None
        return [owner, guards]


def _ports(var: Path, own: list[str], wanted: Mapping[str, int]) -> dict[str, int]:
    """A port for each engine: the wanted one, else the one of last time, else a free one."""
    file = var / "engines.json"
    remembered: dict[str, int] = {}
    with contextlib.suppress(FileNotFoundError, ValueError):
        remembered = json.loads(file.read_text())
    chosen: dict[str, int] = {}
    for name in own:
        if name in wanted:
            chosen[name] = port_numbers.require_free(wanted[name], variable=PORT_VARIABLES[name])
        else:
            chosen[name] = port_numbers.choose(remembered.get(name), taken=frozenset(chosen.values()))
    file.write_text(json.dumps(remembered | chosen, indent=2) + "\n")
    return chosen


def _stop(launched: Mapping[str, Launched], locks: list[int]) -> None:
    engines = list(launched.values())[::-1]
    for engine in engines:
        engine.process.ask_to_stop()
    for engine in engines:
        engine.process.stop()
    for lock in locks:
        os.close(lock)
    locks.clear()
