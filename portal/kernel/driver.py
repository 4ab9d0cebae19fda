"""The driver's own statements, for the few that every sale runs: no options of the ORM, no compiling, always prepared."""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import CursorResult

from portal.extensions import db

_NAMED = re.compile(r"(?<![:\w]):([a-z_]+)\b")


def driver_sql(statement: str) -> str:
    """A statement with `:name` as psycopg wants it."""
    return _NAMED.sub(r"%(\1)s", statement.replace("%", "%%"))


def run(statement: str, values: Mapping[str, Any]) -> CursorResult[Any]:
    """Run it in the session's transaction; row-level security is what keeps it to the tenant."""
    return db.session.connection().exec_driver_sql(statement, dict(values))
