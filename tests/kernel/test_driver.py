"""Statements that go past SQLAlchemy are watched like all others, and their errors are its errors."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from portal.extensions import db
from portal.kernel.commands import WriteOutsideCommand, command
from portal.kernel.driver import driver_sql, run
from tests.cast import CIRCLE

WRITE = driver_sql("UPDATE users SET name = :name WHERE tenant_id = :tenant")


def test_nobody_writes_outside_a_command(acting):
    """Seen red without the driver's look at the guard."""
    with acting(CIRCLE), pytest.raises(WriteOutsideCommand):
        run(WRITE, {"name": "Nobody", "tenant": CIRCLE.id})


def test_a_refused_statement_is_an_error_of_sqlalchemy(acting):
    with acting(CIRCLE), pytest.raises(DBAPIError) as refused:
        run("SELECT 1 / 0", ())
    assert refused.value.orig.sqlstate == "22012"


@pytest.mark.commits
def test_after_the_server_cut_a_command_off_the_next_one_is_served(acting):
    @command("test.cut")
    def cut_off():
        run("SELECT pg_terminate_backend(pg_backend_pid())", ())

    with acting(CIRCLE):
        with pytest.raises(OperationalError):
            cut_off()
        assert db.session.scalar(text("SELECT 1")) == 1
