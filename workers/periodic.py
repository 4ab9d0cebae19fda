"""What is done again and again; each is harmless when done twice (style.md 21, D36)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import g
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert

from portal.extensions import db
from portal.identity.sessions import acting_as
from portal.kernel import clock
from portal.kernel.tenancy import tenant_scope
from portal.tenants.hosts import tenant_by_id
from portal.tenants.models import TaskRun
from workers.tasks import Queue, task

KEPT = timedelta(days=14)  # delivered messages (D13)


def each_tenant(work: Callable[[], object]) -> None:
    """Do the work for every tenant, each in its own session."""
    for tenant_id in db.session.execute(text("SELECT id FROM tenants ORDER BY slug")).scalars().all():
        with tenant_scope(tenant_id), acting_as(None, "system"):
            g.tenant = tenant_by_id(tenant_id)
            work()


@task(Queue.FAST, name="wallets.fold", timeout=60)
def fold() -> None:
    """Checkpoints of lazy accounts (D19)."""
    from portal.wallets.service import fold_lazy

    each_tenant(fold_lazy)


@task(Queue.FAST, name="wallets.sweep", timeout=120)
def sweep() -> None:
    """Activate and expire lots whose moment has come (D14, LOY-5)."""
    from portal.wallets.service import activate_due, expire_due

    each_tenant(lambda: (_until_done(activate_due), _until_done(expire_due)))


@task(Queue.FAST, name="local.run_due", timeout=120)
def run_due_local_tasks() -> None:
    """Tasks of a local time of day: due when it has passed and nobody has claimed the local date (D36)."""
    each_tenant(_local)


def _local() -> None:
    now = clock.now().astimezone(ZoneInfo(g.tenant.timezone))
    for name, (hour, run) in LOCAL.items():
        if now.hour >= hour and _claimed(name, now):
            run()


def _claimed(name: str, now: datetime) -> bool:
    """Whether this process is the one to do it today."""
    from portal.kernel.commands import command, journal

    @command("task.claim")
    def claim() -> bool:
        row = insert(TaskRun).values(tenant_id=g.tenant_id, task=name, local_date=now.date().isoformat())
        mine = db.session.scalar(row.on_conflict_do_nothing().returning(TaskRun.id)) is not None
        journal().unchanged()
        return mine

    return claim()


@task(Queue.FAST, name="analytics.reconcile", timeout=300)
def reconcile() -> None:
    """Compare PostgreSQL with ClickHouse and ship again what differs (ANA-7)."""
    from portal.analytics.reconcile import repair

    each_tenant(repair)


@task(Queue.FAST, name="outbox.clean", timeout=120)
def clean() -> None:
    """Forget what was delivered long ago, in batches, never a dead letter (D13)."""
    import psycopg

    from portal.settings import settings

    with psycopg.connect(settings().database_url("portal_relay"), autocommit=True) as connection:
        for _ in range(200):
            row = connection.execute("SELECT maintenance.forget_delivered(%s, 5000)", (KEPT,)).fetchone()
            if not row or row[0] == 0:
                break


def _until_done(step: Callable[[], int]) -> None:
    while step():
        pass


def _tiers() -> None:
    from portal.loyalty.service import recheck_due_tiers

    _until_done(lambda: recheck_due_tiers() or 0)


LOCAL: dict[str, tuple[int, Callable[[], None]]] = {"loyalty.recheck_tiers": (2, _tiers)}
