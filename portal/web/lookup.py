"""One way to find the row that an address names."""

from typing import Any, TypeVar
from uuid import UUID

from flask import abort
from sqlalchemy import Select, select

from portal.extensions import db
from portal.kernel.model import TenantOwned

M = TypeVar("M", bound=TenantOwned)


def get_or_404(source: type[M] | Select[Any], key: UUID) -> Any:
    """The row, or 404: what this person may not see does not exist (style.md 9). `source` is a model or a select."""
    if isinstance(source, Select):
        statement = source.where(source.column_descriptions[0]["entity"].id == key)
    else:
        statement = select(source).where(source.id == key)
    row = db.session.scalars(statement).one_or_none()
    if row is None:
        abort(404)
    return row
