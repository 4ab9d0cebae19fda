"""T1: what PostgreSQL's own catalogue says of tenancy. Autogenerate sees none of this; this test does.

Each assertion was seen red once: policy dropped, FORCE lifted, a unique key without tenant_id, TRUNCATE granted, a view
without security_invoker, a definer function without a search_path.
"""

import psycopg
import pytest

from portal.settings import settings

GLOBAL = {
    "tenants",
    "tenant_domains",
    "currencies",
    "operator_challenges",
    "operator_factors",
    "operator_passkeys",
    "operator_recovery_codes",
    "operators",
    "operator_sessions",
    "operator_tries",
    "platform_audit",
    "alembic_version",
}
OWN = "(tenant_id = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid)"
OTHER_POLICIES = {
    ("outbox_deliveries", "relay"),
    ("users", "platform"),
    ("businesses", "platform"),
    ("purchases", "platform"),
    ("outbox_deliveries", "platform"),
    ("tenants", "everybody_reads"),
    ("tenants", "own"),
    ("tenants", "owner"),
    ("tenants", "steward"),
    ("stored_files", "platform"),
    ("notification_states", "platform"),
    ("api_key_uses", "platform"),
    ("business_staff", "platform"),
    ("domain_claims", "platform"),
}
MAINTENANCE_POLICY = "maintenance"
APPEND_ONLY = {"audit_entries", "audit_seals", "audit_roots", "audit_keys", "ledger_seals"}
LEDGER = {"wallet_accounts", "ledger_transactions", "ledger_entries", "lots", "lot_allocations"}


@pytest.fixture
def ask(app):
    with psycopg.connect(settings().DATABASE_URL) as connection:
        yield lambda sql, *values: connection.execute(sql, values).fetchall()


@pytest.fixture
def tables(ask):
    return {r[0] for r in ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_every_table_is_a_tenants_or_listed_as_global(ask, tables):
    owned = {
        r[0]
        for r in ask(
            "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'tenant_id'"
        )
    }
    assert tables - owned == GLOBAL - {"tenant_domains"}


def test_row_level_security_is_on_and_forced(ask, tables):
    rows = ask(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r','p') AND NOT (relrowsecurity AND relforcerowsecurity)"
    )
    assert {r[0] for r in rows} == GLOBAL - {"tenants"}


def test_every_policy_reads_and_checks_the_acting_tenant(ask, tables):
    policies = ask(
        "SELECT tablename, policyname, qual, with_check, permissive FROM pg_policies WHERE schemaname = 'public'"
    )
    own = {t for t, name, qual, check, _ in policies if name == "tenant" and qual == OWN and check == OWN}
    assert own == tables - GLOBAL
    assert {(t, name) for t, name, *_ in policies if name not in {"tenant", MAINTENANCE_POLICY}} == OTHER_POLICIES


def test_every_key_and_index_of_a_tenants_table_starts_with_the_tenant(ask):
    """The relay's own indexes lead by subscriber, since it serves every tenant (D2)."""
    rows = ask(
        "SELECT c.relname, i.relname, x.indisunique, (SELECT attname FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = x.indkey[0])"
        " FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid"
        " WHERE c.relnamespace = 'public'::regnamespace"
    )
    wrong = [(t, i) for t, i, unique, first in rows if t not in GLOBAL and first != "tenant_id"]
    assert sorted(wrong) == [
        ("outbox_deliveries", "ix_outbox_deliveries_due"),
        ("outbox_deliveries", "ix_outbox_deliveries_order"),
        ("outbox_messages", "ix_outbox_messages_recorded_at"),
    ]


def test_every_foreign_key_between_tenants_tables_carries_the_tenant(ask):
    rows = ask(
        "SELECT conrelid::regclass::text, confrelid::regclass::text, conname,"
        " ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey)),"
        " ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = confrelid AND attnum = ANY(confkey))"
        " FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"
    )
    wrong = [r for r in rows if r[1] not in GLOBAL and not ("tenant_id" in r[3] and "tenant_id" in r[4])]
    assert wrong == []


def test_the_roles_can_no_more_than_they_must(ask):
    roles = {
        r[0]: r[1:]
        for r in ask(
            "SELECT rolname, rolsuper, rolbypassrls, rolcanlogin, rolcreaterole FROM pg_roles WHERE rolname LIKE 'portal%%' AND rolname <> 'portal_admin'"
        )
    }
    assert {name for name, (_, bypass, *_) in roles.items() if bypass} == {"portal_backup"}
    assert not any(r[0] or r[3] for r in roles.values())
    assert not roles["portal_ledger"][2]
    owners = {r[0] for r in ask("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")}
    assert owners == {"portal_owner"}


def test_what_portal_app_may_not_do(ask, tables):
    def may(table, right):
        return ask("SELECT has_table_privilege('portal_app', %s, %s)", f"public.{table}", right)[0][0]

    assert [t for t in tables if may(t, "TRUNCATE") or may(t, "REFERENCES") or may(t, "TRIGGER")] == []
    assert [
        t for t in APPEND_ONLY | {"outbox_messages", "outbox_deliveries"} if may(t, "UPDATE") or may(t, "DELETE")
    ] == []
    assert [t for t in LEDGER if may(t, "INSERT") or may(t, "UPDATE") or may(t, "DELETE")] == []
    assert [t for t in GLOBAL if t.startswith(("operator", "platform")) and may(t, "SELECT")] == []
    assert [t for t in GLOBAL if may(t, "INSERT") or may(t, "DELETE")] == []


def test_what_the_relay_and_the_platform_may_see(ask, tables):
    def seen(role):
        return {
            t for t in tables if ask("SELECT has_any_column_privilege(%s, %s, 'SELECT')", role, f"public.{t}")[0][0]
        }

    assert seen("portal_relay") == {"outbox_deliveries", "tenants", "tenant_domains", "currencies"}
    personal = ask(
        "SELECT has_column_privilege('portal_platform', 'public.users', c, 'SELECT') FROM unnest(ARRAY['name','email','phone','password_hash','card_number']) c"
    )
    assert not any(r[0] for r in personal)


def test_views_look_with_their_readers_eyes(ask):
    rows = ask(
        "SELECT relname FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace AND NOT coalesce(reloptions @> '{security_invoker=true}', false)"
    )
    assert rows == []


def test_functions_that_act_for_their_owner_have_a_fixed_search_path(ask):
    rows = ask(
        "SELECT n.nspname, p.proname, r.rolname, coalesce(array_to_string(p.proconfig, ','), '') FROM pg_proc p"
        " JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner"
        " WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
    )
    assert all("search_path" in config for *_, config in rows), rows
    assert {(schema, owner) for schema, _, owner, _ in rows} <= {
        ("ledger", "portal_ledger"),
        ("maintenance", "portal_maintenance"),
        ("platform", "portal_steward"),
    }


def test_nobody_else_may_call_the_ledger(ask):
    rows = ask(
        "SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'ledger'"
        " AND (has_function_privilege('portal_relay', p.oid, 'EXECUTE') OR has_function_privilege('portal_platform', p.oid, 'EXECUTE'))"
    )
    assert rows == []


def test_policies_call_nothing_volatile(ask):
    """A VOLATILE function in a policy costs four orders of magnitude (performance.md)."""
    assert ask("SELECT provolatile FROM pg_proc WHERE proname = 'current_setting'")[0][0] == "s"
    calls = ask(
        "SELECT tablename FROM pg_policies WHERE schemaname = 'public' AND policyname = 'tenant' AND qual ~ '[a-z_]+\\.[a-z_]+\\('"
    )
    assert calls == []
