"""What every table is made of: keys that start with the tenant, times, translated texts, classes of personal data."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    DateTime,
    ForeignKeyConstraint,
    MetaData,
    Text,
    TypeDecorator,
    func,
    text,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column, registry, relationship
from sqlalchemy.types import BigInteger, UserDefinedType, Uuid
from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """A UUIDv7: ids of one process grow with time."""
    return uuid7()


class I18n(dict[str, str]):
    """A text in several languages, locale → text."""

    def in_(self, locale: str, default: str = "") -> str:
        """The text in `locale`, else its language, else `default`'s, else English, else any (ACH-7)."""
        for wanted in (locale, locale.split("-")[0].split("_")[0], default, "en"):
            if self.get(wanted):
                return self[wanted]
        return next((value for value in self.values() if value), "")


class I18nText(TypeDecorator[I18n]):
    """A `*_i18n` column: a JSON object of locale → text, read as `I18n`."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, str] | None, dialect: Any) -> dict[str, str] | None:  # noqa: ARG002
        return None if value is None else dict(value)

    def process_result_value(self, value: dict[str, str] | None, dialect: Any) -> I18n | None:  # noqa: ARG002
        return None if value is None else I18n(value)


def in_words(column: Any, locale: str, default: str = "") -> ColumnElement[str]:
    """What `I18n.in_` says of a `*_i18n` column, in a query; such columns hold no empty texts."""
    texts = type_coerce(column, JSONB)
    wanted = dict.fromkeys((locale, locale.split("-")[0].split("_")[0], default, "en"))
    said = (texts[code].astext for code in wanted if code)
    any_ = func.jsonb_path_query_first(texts, text("'$.*'")).op("#>>", return_type=Text())(text("'{}'"))
    return func.coalesce(*said, any_)


class Xid8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid8"


class Model(DeclarativeBase):
    """The base of every mapped class."""

    registry = registry(
        metadata=MetaData(
            naming_convention={
                "ix": "ix_%(table_name)s_%(column_0_N_name)s",
                "uq": "uq_%(table_name)s_%(column_0_N_name)s",
                "ck": "ck_%(table_name)s_%(constraint_name)s",
                "fk": "fk_%(table_name)s_%(column_0_N_name)s",
                "pk": "pk_%(table_name)s",
            }
        ),
        type_annotation_map={
            datetime: DateTime(timezone=True),
            int: BigInteger,
            str: Text,
            I18n: I18nText,
            dict[str, Any]: JSONB,
            UUID: Uuid,
        },
    )


class TenantOwned:
    """A row of one tenant: the key is `(tenant_id, id)`, every statement is narrowed to the acting tenant."""

    @declared_attr
    def tenant_id(cls) -> Mapped[UUID]:  # noqa: N805
        return mapped_column(primary_key=True, sort_order=-2)

    @declared_attr
    def id(cls) -> Mapped[UUID]:  # noqa: N805
        return mapped_column(primary_key=True, default=new_id, sort_order=-1)


def tenant_fk(table: str, column: str, *, ondelete: str = "RESTRICT") -> ForeignKeyConstraint:
    """A foreign key `(tenant_id, column)`: no row can point into another tenant (D1)."""
    if ondelete == "SET NULL":
        ondelete = f"SET NULL ({column})"
    return ForeignKeyConstraint(["tenant_id", column], [f"{table}.tenant_id", f"{table}.id"], ondelete=ondelete)


def link(target: str, column: str, *, lazy: str = "select") -> Any:
    """The row that `column` names, for reading; ids are what a service writes (D1)."""

    @declared_attr
    def linked(cls: Any) -> Any:
        own = cls.__name__
        return relationship(
            target,
            primaryjoin=f"and_(foreign({own}.{column}) == {target}.id, {own}.tenant_id == {target}.tenant_id)",
            viewonly=True,
            lazy=lazy,  # type: ignore[arg-type]
            uselist=False,
        )

    return linked


def pii(what: str) -> dict[str, str]:
    """A column's class of personal data: `export`, `erase` or `keep:<why>` (D42); goes into `info=`."""
    if what not in {"export", "erase"} and not what.startswith("keep:"):
        raise ValueError(f"{what!r}: say export, erase or keep:<why>")
    return {"pii": what}


def recorded_at() -> Mapped[datetime]:
    """The moment the row was written, by the database's clock: the only column default that asks it (D8)."""
    return mapped_column(server_default=text("clock_timestamp()"))
