"""Looking at every table at once, in one statement: what was written, wherever that may be."""

from collections.abc import Mapping

from sqlalchemy import text

from portal.extensions import db

_READABLE = (
    "SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE has_table_privilege(quote_ident(name), 'SELECT')"
)


def of_every_table(columns, *, only: Mapping[str, str] | None = None, **values):
    """`columns`, SQL over the row `t`, of every table that the application may read: name → what they are.

    `only` narrows some tables by a condition.
    """
    names = db.session.scalars(text(_READABLE), {"names": sorted(table.name for table in db.metadata.sorted_tables)})
    parts = (f"SELECT '{name}', {columns} FROM \"{name}\" t WHERE {(only or {}).get(name, 'true')}" for name in names)
    return {name: tuple(found) for name, *found in db.session.execute(text(" UNION ALL ".join(parts)), values)}
