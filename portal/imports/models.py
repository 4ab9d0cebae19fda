"""What an import keeps beside the purchases: whose number is whose, and the lines that could not be taken."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.model import Model, TenantOwned, pii, recorded_at, tenant_fk


class CustomerRef(TenantOwned, Model):
    """A business's own number of a customer and the member it stands for; other businesses number differently."""

    __tablename__ = "customer_refs"
    __table_args__ = (
        tenant_fk("businesses", "business_id"),
        tenant_fk("users", "member_id"),
        UniqueConstraint("tenant_id", "business_id", "ref"),
        UniqueConstraint("tenant_id", "member_id", "business_id", "ref"),
    )

    business_id: Mapped[UUID]
    ref: Mapped[str] = mapped_column(info=pii("erase"))
    member_id: Mapped[UUID]
    recorded_at: Mapped[datetime] = recorded_at()


class ImportReject(TenantOwned, Model):
    """A line that was not taken and why; written with the batch it stood in, so that a resumed run loses none."""

    __tablename__ = "import_rejects"
    __table_args__ = (
        tenant_fk("jobs", "job_id", ondelete="CASCADE"),
        UniqueConstraint("tenant_id", "job_id", "line"),
    )

    job_id: Mapped[UUID]
    line: Mapped[int]
    reason: Mapped[str] = mapped_column(info=pii("keep:why a line was refused"))
    content: Mapped[str] = mapped_column(info=pii("erase"))
