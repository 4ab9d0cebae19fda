"""F14: a backup made while people work, restored into a cluster that has counted fewer transactions than the old one.

Seen red: without `_mend` the new cluster's entries are older than the checkpoints of lazy accounts, and the balances lose
them; with `_CHECKPOINTS` left out, too; without the grants of `grant_database` the dump is refused its sequences.
"""

import json
import os
from contextlib import contextmanager

import psycopg
import pytest
from click.testing import CliRunner
from flask import g

from portal.cli import main
from portal.embedded import postgres
from portal.embedded.ports import choose
from portal.settings import settings
from tests.cast import ALICE, CIRCLE, EVE, GLOBEX, MALLORY

pytestmark = pytest.mark.commits
OLDER = 20_000  # transactions that the old cluster is ahead
SHAPE = """
SELECT 'table', c.oid::regclass::text, c.relrowsecurity::text, c.relforcerowsecurity::text, c.relowner::regrole::text, c.relacl::text[]
  FROM pg_class c WHERE c.relkind IN ('r', 'S', 'v') AND c.relnamespace IN ('public'::regnamespace, 'ledger'::regnamespace)
UNION ALL SELECT 'policy', polrelid::regclass::text || '.' || polname, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid),
       (SELECT string_agg(r::regrole::text, ',') FROM unnest(polroles) r), NULL FROM pg_policy
UNION ALL SELECT 'function', p.oid::regprocedure::text, p.prosecdef::text, p.proconfig::text, p.proowner::regrole::text, p.proacl::text[]
  FROM pg_proc p WHERE p.pronamespace::regnamespace::text IN ('ledger', 'maintenance')
UNION ALL SELECT 'trigger', tgrelid::regclass::text || '.' || tgname, pg_get_triggerdef(oid), tgenabled::text, NULL, NULL
  FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'key', conrelid::regclass::text || '.' || conname, pg_get_constraintdef(oid), NULL, NULL, NULL FROM pg_constraint
UNION ALL SELECT 'index', indexrelid::regclass::text, pg_get_indexdef(indexrelid), NULL, NULL, NULL FROM pg_index
 WHERE indrelid::regclass::text NOT LIKE 'pg\\_%'
UNION ALL SELECT 'default', d.adrelid::regclass::text || '.' || a.attname, pg_get_expr(d.adbin, d.adrelid), NULL, NULL, NULL
  FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
"""


def portal(*arguments):
    """A command, in this process."""
    told = CliRunner().invoke(main, [str(one) for one in arguments])
    return told.exit_code, told.output


def give(acting, tenant, person, key, amount=1_000):
    from portal.wallets.service import adjust

    with acting(tenant):
        adjust(person.id, amount, currency=tenant.currency, reason="test", key=key)


def fold(acting):
    from portal.wallets.service import fold_lazy

    for tenant in (CIRCLE, GLOBEX):
        with acting(tenant):
            fold_lazy()


def admin():
    return psycopg.connect(settings().DATABASE_URL, autocommit=True)


def balances():
    """Of every account, as the ledger tells them."""
    found = {}
    with admin() as connection:
        for tenant in (CIRCLE, GLOBEX):
            with connection.transaction():
                connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(tenant.id),))
                rows = connection.execute(
                    "SELECT id, ledger.balance(id) FROM wallet_accounts WHERE tenant_id = %s", (tenant.id,)
                )
                found |= dict(rows.fetchall())
    return found


def shape():
    """Row-level security, owners, grants, functions, triggers, keys, defaults: all that is not rows."""
    with admin() as connection:
        return {(kind, name): (a, b, c, sorted(acl or [])) for kind, name, a, b, c, acl in connection.execute(SHAPE)}


@contextmanager
def another_cluster(tmp_path, monkeypatch):
    """A new PostgreSQL, and this process speaks to it."""
    from portal.kernel import primaries
    from portal.tenants import hosts

    launched = postgres.launch(tmp_path / "cluster", choose(), tmp_path / "cluster.log", durable=False)
    launched.wait()
    monkeypatch.setenv("DATABASE_URL", launched.url)
    monkeypatch.setenv("FILES_URL", (tmp_path / "files").as_uri())
    settings.cache_clear()
    hosts.forget()
    try:
        yield
    finally:
        launched.process.stop()
        monkeypatch.undo()
        settings.cache_clear()
        hosts.forget()
        primaries.forget()


@contextmanager
def portal_there():
    from portal import create_app
    from portal.extensions import db

    app = create_app()
    try:
        yield app
    finally:
        with app.app_context():
            db.engine.dispose()


@contextmanager
def acts_there(app, tenant):
    from portal.identity.sessions import acting_as
    from portal.kernel.tenancy import tenant_scope
    from portal.tenants.hosts import tenant_by_id

    with app.app_context(), tenant_scope(tenant.id), acting_as(None, "system"):
        g.tenant = tenant_by_id(tenant.id)
        yield


def test_restored_into_a_younger_cluster_the_books_are_right_and_go_on(app, acting, tmp_path, monkeypatch):
    from portal.files.storage import storage, write

    give(acting, CIRCLE, ALICE, "young")
    give(acting, GLOBEX, MALLORY, "young")
    fold(acting)
    with admin() as connection:
        connection.execute(
            f"DO $$ BEGIN FOR i IN 1..{OLDER} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
        )
    give(acting, CIRCLE, ALICE, "folded")
    fold(acting)
    give(acting, CIRCLE, EVE, "tail")
    give(acting, GLOBEX, MALLORY, "tail")
    write("kept/well.txt", [b"a receipt"])
    there = tmp_path / "backup"
    code, told = portal("backup", there)
    assert code == 0, told
    assert "2 tenants" in told
    before, shape_before = balances(), shape()
    assert sorted(before.values()) == [-3_000, -2_000, 1_000, 2_000, 2_000]

    with another_cluster(tmp_path, monkeypatch):
        code, told = portal("restore", there)
        assert code == 0, told
        with admin() as connection:
            (reached,) = connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
            assert reached < OLDER, "the new cluster is the younger one"
        assert balances() == before
        assert shape() == shape_before
        assert storage().cat("kept/well.txt") == b"a receipt"
        with portal_there() as restored:
            for round_ in range(2):
                for tenant, person in ((CIRCLE, ALICE), (GLOBEX, MALLORY)):
                    with acts_there(restored, tenant):
                        from portal.wallets.service import adjust, fold_lazy

                        adjust(person.id, 250, currency=tenant.currency, reason="test", key=f"new-{round_}")
                    assert sum(abs(v - before.get(k, 0)) for k, v in balances().items()) == 2 * 250 * (
                        2 * round_ + (1 if tenant is CIRCLE else 2)
                    )
                    with acts_there(restored, tenant):
                        fold_lazy()
        assert portal("ledger", "verify") == (
            0,
            "circle: nothing sealed yet, clean\nglobex: nothing sealed yet, clean\n",
        )
        code, told = portal("restore", there)
        assert code == 1
        assert "not empty" in told


def test_the_audit_log_stays_sealed_and_is_sealed_on(app, acting, tmp_path, monkeypatch):
    """The new cluster's transaction ids begin anew; what was sealed stays so, and what was not is sealed there: of the ledger
    too, whose balances do not count what was not sealed twice.

    The last entry of the tail has a lower number than the last of the newest seal: its transaction ended later.
    """
    from portal.audit import seals
    from portal.audit.verify import broken
    from portal.wallets import seals as ledger

    with admin() as connection:
        connection.execute(
            f"DO $$ BEGIN FOR i IN 1..{OLDER} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
        )
    add = (
        "INSERT INTO audit_entries (tenant_id, id, action, actor_kind, changes, occurred_at)"
        " VALUES (%s, gen_random_uuid(), 'business.update', 'system', '[]', clock_timestamp())"
    )
    with psycopg.connect(settings().DATABASE_URL) as early, psycopg.connect(settings().DATABASE_URL) as late:
        early.execute("SELECT pg_current_xact_id()")
        late.execute(add, (CIRCLE.id,))
        early.execute(add, (CIRCLE.id,))
        early.commit()
        with acting(CIRCLE):
            while not (sealed := seals.seal()):
                pass  # until the tests beside this one have ended what they were writing
            assert sealed == 1
    give(acting, CIRCLE, ALICE, "head")
    with acting(CIRCLE):
        while not ledger.seal():
            pass
    for n in range(2):
        give(acting, CIRCLE, ALICE, f"tail-{n}")
    before = balances()
    assert portal("backup", tmp_path / "backup")[0] == 0
    with another_cluster(tmp_path, monkeypatch):
        assert portal("restore", tmp_path / "backup")[0] == 0
        with portal_there() as restored:
            with acts_there(restored, CIRCLE):
                assert broken() == ledger.broken() == []
                assert (seals.seal(), ledger.seal()) == (4, 2)
                assert (seals.seal(), ledger.seal()) == (0, 0)
                assert balances() == before
            give_there(restored)
            with acts_there(restored, CIRCLE):
                assert (seals.seal(), ledger.seal()) == (1, 1)
                assert broken() == ledger.broken() == []
        assert portal("audit", "verify")[0] == portal("ledger", "verify")[0] == 0


def give_there(restored):
    from portal.wallets.service import adjust

    with acts_there(restored, CIRCLE):
        adjust(ALICE.id, 250, currency=CIRCLE.currency, reason="test", key="there")


def test_a_copy_for_looking_at_sends_nothing_that_was_on_its_way(app, acting, tmp_path, monkeypatch):
    from portal.identity.service import register_member

    with acting(CIRCLE):
        register_member(name="Zoe Quill", email="zoe@example.org", password="lantern orchard", joined_via="web")
    assert portal("backup", tmp_path / "backup")[0] == 0
    with another_cluster(tmp_path, monkeypatch):
        assert portal("restore", tmp_path / "backup", "--copy")[0] == 0
        with admin() as connection:
            states = connection.execute(
                "SELECT DISTINCT status FROM outbox_deliveries WHERE status <> 'delivered'"
            ).fetchall()
    assert states == [("dead",)]


def test_no_secret_is_in_a_backup_unless_asked_for(app, tmp_path, monkeypatch):
    monkeypatch.setenv("METRICS_TOKEN", "token-of-the-metrics-page")
    monkeypatch.setenv("SMTP_URL", "smtp://post:pass-of-the-mail@127.0.0.1:25")
    settings.cache_clear()
    secrets = [
        os.environ["SECRET_KEY"],
        "token-of-the-metrics-page",
        "pass-of-the-mail",
        settings().role_password("portal_app"),
    ]
    assert portal("backup", tmp_path / "plain")[0] == 0
    for path in (tmp_path / "plain").rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in content], path
    manifest = json.loads((tmp_path / "plain/manifest.json").read_text())
    assert manifest["primaries"]["main"]["tenants"] == 2
    code, told = portal("backup", tmp_path / "plain")
    assert code == 1
    assert "never written over" in told
    assert portal("backup", tmp_path / "full", "--with-secrets")[0] == 0
    kept = tmp_path / "full/secrets.env"
    assert all(secret in kept.read_text() for secret in secrets[:3])
    assert kept.stat().st_mode & 0o077 == 0
    settings.cache_clear()


def test_what_is_no_backup_or_of_a_newer_version_is_refused(app, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "is not a backup" in portal("restore", tmp_path / "empty")[1]
    assert portal("backup", tmp_path / "backup")[0] == 0
    manifest = tmp_path / "backup/manifest.json"
    told = json.loads(manifest.read_text())
    told["primaries"]["main"]["revision"] = "9999"
    manifest.write_text(json.dumps(told))
    assert "of a newer Krug" in portal("restore", tmp_path / "backup")[1]
    told["primaries"] = {"west": told["primaries"]["main"]}
    manifest.write_text(json.dumps(told))
    assert "DATABASE_URLS" in portal("restore", tmp_path / "backup")[1]
