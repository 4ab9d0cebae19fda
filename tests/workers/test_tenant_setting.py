"""T7: workers, periodic tasks and commands of the shell act for a tenant or for nobody: without one nothing is seen, nothing written.

Seen red with a task that counted members before it entered a tenant.
"""

import re

import psycopg
import pytest
from psycopg import Cursor, errors
from sqlalchemy import text

from portal.extensions import db
from portal.kernel.tenancy import current_tenant_id, tenant_scope
from portal.settings import settings
from tests.cast import BOB, CIRCLE, GLOBEX
from tests.purchases.shop import buy
from workers import jobs
from workers.delivery import deliver
from workers.outbox import subscribers
from workers.schedule import LOCAL, SCHEDULE
from workers.tasks import REGISTRY

OPEN_TO_ALL = {"tenants", "tenant_domains", "currencies"}  # whose house a host is, before there is a tenant


def owned():
    return sorted(t.name for t in db.metadatas[None].sorted_tables if "tenant_id" in t.c and t.name not in OPEN_TO_ALL)


def test_without_a_tenant_the_workers_role_sees_and_writes_no_row(app):
    """Every table of a tenant, by the role that web and workers have."""
    tables, seen = owned(), 0
    with psycopg.connect(settings().DATABASE_URL) as owner:
        full = {t for t in tables if owner.execute(f'SELECT count(*) FROM "{t}"').fetchone()[0]}
    assert {"users", "businesses"} <= full
    with psycopg.connect(settings().database_url("portal_app")) as role:
        for table in tables:
            for unset in ("", "SET LOCAL app.tenant_id = ''; "):
                with role.transaction(force_rollback=True):
                    if unset:
                        role.execute(unset)
                    try:
                        assert role.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] == 0, table
                    except errors.InsufficientPrivilege:
                        continue
                    seen += 1
            for write in (f'UPDATE "{table}" SET tenant_id = tenant_id', f'DELETE FROM "{table}"'):
                with role.transaction(force_rollback=True):
                    try:
                        assert role.execute(write).rowcount == 0, write
                    except errors.InsufficientPrivilege:
                        continue
            with role.transaction(force_rollback=True), pytest.raises(psycopg.Error):
                role.execute(f'INSERT INTO "{table}" (tenant_id) VALUES (%s)', (CIRCLE.id,))
    assert len(tables) > 50
    assert seen > 90


def test_every_periodic_task_enters_a_tenant_before_it_touches_one(app, acting, monkeypatch):
    """Each task of the schedule; what it sends to a tenant's table is looked at as it leaves."""
    with acting(CIRCLE, BOB):
        buy(100_000)
    jobs.load_tasks()
    names = re.compile(r'\b(?:FROM|JOIN|INTO|UPDATE)\s+(?:ONLY\s+)?"?(' + "|".join(owned()) + r')"?\b', re.I)
    execute, bare, looked = Cursor.execute, [], []

    def watched(cursor, statement, *values, **options):
        plain = statement if isinstance(statement, str) else str(statement)
        found = names.search(plain)
        if found and cursor.connection.info.user == "portal_app":
            looked.append(found[1])
            try:
                current_tenant_id()
            except Exception:
                bare.append((task, found[1], plain[:80]))
        return execute(cursor, statement, *values, **options)

    monkeypatch.setattr(Cursor, "execute", watched)
    monkeypatch.setattr("workers.periodic.LOCAL", dict.fromkeys(LOCAL, 0))  # what has a local hour is due by now
    for task in SCHEDULE:
        with app.app_context():
            REGISTRY[task].run()
    assert bare == []
    assert len(looked) > 20


def test_a_job_for_one_tenant_does_not_reach_anothers_messages(app, acting):
    """A queue that somebody wrote into: deliveries of the circle under the name of another tenant stay where they are."""
    with acting(CIRCLE, BOB):
        buy(100_000)
    with acting(CIRCLE):
        rows = db.session.execute(text("SELECT subscriber, id FROM outbox_deliveries WHERE open")).all()
    assert rows
    with app.app_context():
        for subscriber, delivery in rows:
            deliver(subscribers()[subscriber], GLOBEX.id, {str(delivery): 1})
    with app.app_context(), tenant_scope(CIRCLE.id):
        left = db.session.execute(text("SELECT subscriber, id FROM outbox_deliveries WHERE open")).all()
    assert sorted(left) == sorted(rows)
