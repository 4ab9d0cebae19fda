"""ClickHouse's schema: numbered files of one statement each, with a version table of their own."""

import re
from pathlib import Path

import clickhouse_connect

from portal.analytics.clickhouse import LOAD_S
from portal.settings import ROOT, settings

FILES = ROOT / "migrations" / "clickhouse"


def upgrade() -> None:
    """Create the database and run what has not run yet; safe to repeat, every statement guards itself."""
    config = settings()
    name = config.CLICKHOUSE_DATABASE
    cluster = f"ON CLUSTER `{config.CLICKHOUSE_CLUSTER}`" if config.CLICKHOUSE_CLUSTER else ""
    with clickhouse_connect.get_client(
        dsn=config.CLICKHOUSE_URL, send_receive_timeout=LOAD_S, autogenerate_session_id=False
    ) as server:
        server.command(f"CREATE DATABASE IF NOT EXISTS `{name}` {cluster}")
        server.command(
            f"CREATE TABLE IF NOT EXISTS `{name}`.schema_versions {cluster} (version String, at DateTime DEFAULT now())"
            f" ENGINE = {'Replicated' if cluster else ''}ReplacingMergeTree ORDER BY version"
        )
        done = {row[0] for row in server.query(f"SELECT version FROM `{name}`.schema_versions").result_rows}
        for path in sorted(FILES.glob("[0-9]*.sql")):
            if path.stem in done:
                continue
            server.command(statement(path, name, cluster))  # two at once do no harm: each statement guards itself
            server.command(f"INSERT INTO `{name}`.schema_versions (version) VALUES ('{path.stem}')")


def statement(path: Path, database: str, cluster: str) -> str:
    """The file's statement for this installation."""
    text = re.sub(r"^--.*$", "", path.read_text(), flags=re.M).strip().rstrip(";")
    replicated = "Replicated" if cluster else ""
    return (
        text.replace("{database}", f"`{database}`").replace("{on_cluster}", cluster).replace("{replicated}", replicated)
    )
