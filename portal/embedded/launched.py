"""What starting an engine gives."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .process import Guarded, wait_until


@dataclass(frozen=True)
class Launched:
    """A started engine that may not answer yet."""

    process: Guarded
    url: str
    ready: Callable[[], bool]
    log: Path

    def wait(self) -> None:
        """Return when it answers; raises `EngineFailed`."""
        wait_until(self.process, self.ready, self.log)
