"""A connection beside the session's, for what must be read or committed on its own."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import cast

from flask import current_app
from sqlalchemy import Connection


@contextmanager
def own_transaction() -> Iterator[Connection]:
    """A short transaction as portal_app, with no tenant set; commits at the end of the block."""
    opened = cast("AbstractContextManager[Connection]", current_app.extensions["own_transaction"]())
    with opened as connection:
        yield connection
