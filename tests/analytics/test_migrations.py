"""ClickHouse's schema: numbered, one guarded statement a file, safe to repeat."""

import re

import pytest

from portal.analytics import migrate
from portal.analytics.clickhouse import client

FILES = sorted(migrate.FILES.glob("*.sql"))
GUARDED = re.compile(r"IF NOT EXISTS|OR REPLACE|IF EXISTS|MODIFY SETTING|MODIFY COLUMN")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_file_is_one_guarded_statement(path):
    plain = migrate.statement(path, "krug", "")
    assert ";" not in plain
    assert GUARDED.search(plain)
    assert "{database}" not in plain
    assert "{on_cluster}" not in plain
    assert "ON CLUSTER `main`" in migrate.statement(path, "krug", "ON CLUSTER `main`")


def test_numbers_follow_each_other():
    assert [path.name[:4] for path in FILES] == [f"{n:04}" for n in range(1, len(FILES) + 1)]


def test_a_cluster_gets_replicated_tables():
    first = FILES[0]
    assert "ReplicatedReplacingMergeTree(version)" in migrate.statement(first, "krug", "ON CLUSTER `main`")
    assert "= ReplacingMergeTree(version)" in migrate.statement(first, "krug", "")


def test_running_them_again_changes_nothing(app):
    def shape():
        return (
            client()
            .query(
                "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name"
            )
            .result_rows
        )

    before = shape()
    migrate.upgrade()
    client().command("TRUNCATE TABLE schema_versions")
    migrate.upgrade()
    assert shape() == before


def test_the_views_answer_only_for_the_tenant_they_are_asked_for(app):
    views = [row[0] for row in client().query("SHOW TABLES LIKE 'v\\_%'").result_rows]
    assert views == ["v_daily_sales", "v_facts", "v_members"]
    for name in views:
        (text,) = client().query(f"SHOW CREATE TABLE {name}").result_rows[0]
        assert "tenant_id = {tenant:UUID}" in text
        assert "retain_until >= today()" in text
