"""Rules of the house that a reader would forget and a grep does not. Each was seen red once with a planted fault."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PORTAL = sorted((ROOT / "portal").rglob("*.py"))
WORKERS = sorted((ROOT / "workers").rglob("*.py"))
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


def found(pattern, files, *, but=()):
    expression = re.compile(pattern)
    return [
        f"{path.relative_to(ROOT)}:{n}"
        for path in files
        if str(path.relative_to(ROOT)) not in but
        for n, line in enumerate(path.read_text().splitlines(), 1)
        if expression.search(line)
    ]


def test_commits_happen_in_three_places():
    """The command wrapper, the worker's delivery, the side transaction (style.md 12, D7); own psycopg connections of
    the command line and of the operator's role are not the session."""
    assert (
        found(
            r"session\.commit\(|\.commit\(\)",
            [*PORTAL, *WORKERS],
            but={"portal/kernel/commands.py", "portal/kernel/side.py", "workers/delivery.py", "workers/outbox.py"},
        )
        == []
    )


def test_the_portal_never_imports_the_workers_and_never_enqueues():
    assert found(r"^\s*(from|import) workers\b|\.enqueue\(|^\s*(from|import) rq\b", PORTAL) == []


def test_only_the_clock_knows_the_time():
    """D8: SQL's now() and Python's wall clock stand nowhere in a feature."""
    features = [p for p in PORTAL if not {"embedded", "cli", "demo"} & set(p.parts) and p.name != "migrate.py"]
    assert found(r"datetime\.now\(|datetime\.utcnow|date\.today\(|time\.time\(", features) == []
    sql = re.compile(r"(?<![\w.])now\(\)", re.I)
    named = [
        f"{p.relative_to(ROOT)}: {line.strip()}"
        for p in features
        for line in p.read_text().splitlines()
        if sql.search(line)
    ]
    assert [line for line in named if not line.startswith("portal/kernel/clock.py")] == []


def test_features_do_not_write_foreign_keys_or_relationships_themselves():
    """D1: `tenant_fk` and `link` carry the tenant; global tables may use ForeignKey."""
    models = [p for p in PORTAL if p.name == "models.py" and p.parts[-2] not in {"tenants", "platform"}]
    assert found(r"\bForeignKey\(|\brelationship\(", models) == []


def test_nobody_reads_through_the_identity_map():
    """`session.get` answers past the tenant's filter (style.md, trap 3)."""
    assert found(r"session\.get\(", [p for p in PORTAL if "identity/sessions" not in str(p)]) == []


def test_templates_carry_no_inline_script_handler_or_style():
    assert (
        found(
            r"<script(?![^>]*\bsrc=)(?![^>]*application/(ld\+)?json)|\son[a-z]+=|\sstyle=|javascript:|<style", TEMPLATES
        )
        == []
    )


def test_clickhouse_tables_are_named_only_by_their_loader():
    """D47: the application asks parametrised views."""
    loader = {
        "portal/analytics/facts.py",
        "portal/analytics/migrate.py",
        "portal/analytics/loader.py",
        "portal/analytics/rebuild.py",
        "portal/analytics/reconcile.py",
    }
    assert found(r"\b(FROM|JOIN|INTO)\s+transaction_facts\b", [*PORTAL, *WORKERS], but=loader) == []


def test_the_command_line_is_the_only_user_of_the_admin_address():
    assert found(r"settings\(\)\.DATABASE_URL\b", PORTAL, but={"portal/cli/database.py"}) == []


def test_imports_go_down_the_layers():
    """D9: a noun reads the nouns below it; the web layer and the kernel are below all."""
    order = [
        "kernel",
        "tenants",
        "identity",
        "files",
        "jobs",
        "partners",
        "wallets",
        "loyalty",
        "purchases",
        "imports",
        "invitations",
        "messages",
        "telegram",
        "analytics",
        "audit",
        "leaving",
        "delivery",
        "home",
        "platform",
        "api",
        "demo",
    ]
    level = {name: n for n, name in enumerate(order)}
    up = []
    for path in PORTAL:
        noun = path.relative_to(ROOT / "portal").parts[0]
        if noun not in level or path.name in {"views.py"} or "views" in path.parts:
            continue  # a page may show what several nouns know
        for node in ast.parse(path.read_text()).body:  # imports inside functions are the written exceptions
            module = node.module if isinstance(node, ast.ImportFrom) and node.module else ""
            parts = module.split(".")
            if parts[0] == "portal" and len(parts) > 1 and level.get(parts[1], -1) > level[noun]:
                up.append(f"{path.relative_to(ROOT)} imports {module}")
    assert up == []


def test_every_personal_column_has_a_class(app):
    """D42: text and JSON columns say export, erase or keep and why."""
    from sqlalchemy import Text
    from sqlalchemy.dialects.postgresql import ARRAY, JSONB

    from portal.kernel.model import I18nText, Model

    missing = [
        f"{table.name}.{column.name}"
        for table in Model.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, Text | JSONB | ARRAY | I18nText) and "pii" not in column.info
    ]
    assert missing == []


def test_no_file_is_a_drawer_for_odds_and_ends():
    assert [
        str(p) for p in PORTAL + WORKERS if p.stem in {"util", "utils", "helper", "helpers", "common", "misc"}
    ] == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_lock_files_pin_every_hash_and_name_no_index(lock):
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|--index|--extra-index|--find-links|file:", text)
    pins = [line for line in text.splitlines() if re.match(r"^[a-z0-9]", line)]
    assert pins
    assert text.count("--hash=sha256:") >= len(pins)


def test_no_code_knows_the_names_of_the_languages():
    """A language is one file (`portal.web.locale`); the demo's own world speaks two. Seen red with member.html's list."""
    pattern = r"""["']en["'],\s*["']ru["']|["']ru["'],\s*["']en["']|["'](en|ru)["']\s*:|==\s*["'](en|ru)["']"""
    files = [path for path in [*PORTAL, *WORKERS, *TEMPLATES] if "demo" not in path.parts]
    assert found(pattern, files) == []
