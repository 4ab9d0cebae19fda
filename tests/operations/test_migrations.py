"""F12: a migration that has to wait for a lock lets everybody pass and asks again."""

import threading

import psycopg
import pytest

from portal.cli import database
from portal.settings import settings

pytestmark = pytest.mark.commits
SLOW = """
from alembic import op

revision, down_revision = "9000", "{head}"


def upgrade():
    op.execute("ALTER TABLE users ADD COLUMN shoe_size int")
"""


@pytest.fixture
def one_more(app, tmp_path, monkeypatch):
    """A migration of tomorrow, which needs a lock that shuts everybody out of the members."""
    (head,) = database.heads()
    (tmp_path / "9000_shoes.py").write_text(SLOW.format(head=head))
    usual = database.alembic_config

    def config(*primary):
        made = usual(*primary)
        made.set_main_option("path_separator", "space")
        made.set_main_option("version_locations", f"{database.MIGRATIONS / 'versions'} {tmp_path}")
        return made

    monkeypatch.setattr(database, "alembic_config", config)


def test_a_migration_behind_a_long_transaction_gives_way_and_comes_again(one_more):
    refused, told = threading.Event(), []

    def say(line):
        told.append(line)
        refused.set()

    url = settings().database_url("portal_app")
    deploy = threading.Thread(target=database.upgrade, args=(say,))
    with psycopg.connect(url) as long, psycopg.connect(url, autocommit=True) as reader:
        long.execute("SELECT count(*) FROM users")
        deploy.start()
        assert refused.wait(60)
        reader.execute("SET lock_timeout = '3s'")
        for _ in range(20):
            reader.execute("SELECT count(*) FROM users")
        assert deploy.is_alive()
        long.rollback()
        deploy.join(60)
        assert not deploy.is_alive()
        assert "asking again" in told[0]
        assert reader.execute("SELECT count(shoe_size) FROM users").fetchone() is not None
