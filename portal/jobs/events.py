"""What happened to long work (G4)."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from portal.kernel.journal import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQueued(Event):
    """Work is waiting to be run, for the first time or after whoever ran it died."""

    TYPE: ClassVar[str] = "job.queued"
    AGGREGATE: ClassVar[str] = "job"

    job_id: UUID
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFinished(Event):
    """Work ended; `state` is done, failed or cancelled, `owner_id` who started it, if a person did."""

    TYPE: ClassVar[str] = "job.finished"
    AGGREGATE: ClassVar[str] = "job"

    job_id: UUID
    kind: str
    state: str
    owner_id: UUID | None
    business_id: UUID | None
