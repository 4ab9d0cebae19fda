"""What a member says of themselves, and who may see it."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, Date, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.model import Model, TenantOwned, pii, tenant_fk


class Profile(TenantOwned, Model):
    """One row a member, its id the member's. The columns of requirement document 002 that `users` does not have; those
    of TON are filled by a proved wallet alone.
    """

    __tablename__ = "profiles"
    __table_args__ = (
        tenant_fk("users", "id"),
        tenant_fk("stored_files", "avatar_id"),
        UniqueConstraint("tenant_id", "ton_domain"),
        CheckConstraint("shows <@ ARRAY['avatar','tier','since','about']", name="shows"),
    )

    first_name: Mapped[str] = mapped_column(server_default="", info=pii("erase"))
    last_name: Mapped[str] = mapped_column(server_default="", info=pii("erase"))
    display_name: Mapped[str] = mapped_column(server_default="", info=pii("erase"))
    about: Mapped[str] = mapped_column(server_default="", info=pii("erase"))
    born_on: Mapped[date | None] = mapped_column(Date, info=pii("erase"))
    birthday_shared: Mapped[bool] = mapped_column(server_default=text("false"), info=pii("export"))
    avatar_id: Mapped[UUID | None]
    public: Mapped[bool] = mapped_column(server_default=text("false"))
    shows: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{avatar}", info=pii("export"))
    ton_wallet_address: Mapped[str | None] = mapped_column(info=pii("erase"))
    ton_domain: Mapped[str | None] = mapped_column(info=pii("erase"))
    domain_verified: Mapped[bool] = mapped_column(server_default=text("false"))
    domain_verified_at: Mapped[datetime | None]
    updated_at: Mapped[datetime | None]
