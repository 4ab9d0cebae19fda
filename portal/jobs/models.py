"""Long work with a progress bar: one row each, one page for all kinds."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.model import Model, TenantOwned, pii, recorded_at, tenant_fk


class Job(TenantOwned, Model):
    """`done` of `total` units; `checkpoint` is where a resumed run goes on.

    `runner_id` names the run that holds the job; one that lost it to another can write nothing more.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        tenant_fk("businesses", "business_id"),
        tenant_fk("stored_files", "source_file_id"),
        tenant_fk("stored_files", "result_file_id"),
        CheckConstraint("state IN ('queued','running','done','failed','cancelled')", name="state"),
        Index(None, "tenant_id", "business_id", "created_at"),
        Index("ix_jobs_running", "tenant_id", "heartbeat_at", postgresql_where=text("state IN ('queued','running')")),
    )

    kind: Mapped[str] = mapped_column(info=pii("keep:technical"))
    owner_id: Mapped[UUID | None]
    business_id: Mapped[UUID | None]
    state: Mapped[str] = mapped_column(server_default="queued", info=pii("keep:technical"))
    done: Mapped[int] = mapped_column(server_default="0")
    total: Mapped[int] = mapped_column(server_default="0")
    message: Mapped[str] = mapped_column(server_default="", info=pii("keep:progress"))
    params: Mapped[dict[str, Any]] = mapped_column(server_default="{}", info=pii("keep:technical"))
    result: Mapped[dict[str, Any]] = mapped_column(server_default="{}", info=pii("keep:figures"))
    checkpoint: Mapped[dict[str, Any]] = mapped_column(server_default="{}", info=pii("keep:technical"))
    source_file_id: Mapped[UUID | None]
    result_file_id: Mapped[UUID | None]
    runner_id: Mapped[UUID | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    cancel_requested: Mapped[bool] = mapped_column(server_default="false")
    created_at: Mapped[datetime] = recorded_at()
    started_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
