"""The kinds of long work, by frozen name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal.jobs.running import Run

Work = Callable[["Run"], None]


@dataclass(frozen=True, slots=True)
class JobKind:
    """What runs a kind. It is called again after a crash and goes on from `run.checkpoint`."""

    name: str
    work: Work


_kinds: dict[str, JobKind] = {}


def job_kind(name: str) -> Callable[[Work], Work]:
    """Register the function that does this kind of work, in `portal/<noun>/handlers.py` or what it imports."""

    def register(work: Work) -> Work:
        if name in _kinds:
            raise ValueError(f"job kind {name} is registered twice")
        _kinds[name] = JobKind(name, work)
        return work

    return register


def kinds() -> Mapping[str, JobKind]:
    """Every kind by name."""
    return _kinds
