"""Who the acting tenant is, and the rule that nobody touches another tenant's rows.

Two nets: ORM criteria on every statement, and the setting `app.tenant_id` in every transaction, on which PostgreSQL's
row-level security stands (security.md 1). Raw SQL passes the first and is caught by the second.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from flask import g
from sqlalchemy import Connection, event, false
from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, with_loader_criteria

from portal.kernel.model import TenantOwned

# The driver's own statement: every transaction begins with it.
_ENTER = (
    "SELECT set_config('app.tenant_id', %(tenant)s, true),"
    " clock_timestamp() + coalesce((SELECT clock_offset FROM tenants"
    " WHERE id = nullif(%(tenant)s, '')::uuid AND kind = 'sandbox'), interval '0')"
)


class TenantMissing(RuntimeError):
    """Tenant-owned rows were asked for while no tenant was acting."""


class CrossTenantWrite(RuntimeError):
    """A row of one tenant was written while another was acting."""


def current_tenant_id() -> UUID:
    """The acting tenant; raises `TenantMissing` when there is none."""
    tenant_id: UUID | None = g.get("tenant_id")
    if tenant_id is None:
        raise TenantMissing("enter one with tenant_scope(tenant_id)")
    return tenant_id


@contextmanager
def tenant_scope(tenant_id: UUID) -> Iterator[None]:
    """Act for one tenant. Each tenant gets a session of its own, so no row of the one is at hand in the other."""
    from portal.extensions import db

    before = g.get("tenant_id")
    if before == tenant_id:
        yield
        return
    _fresh_session(db)
    g.tenant_id = tenant_id
    try:
        yield
    finally:
        _fresh_session(db)
        g.tenant_id = before


def _fresh_session(db: Any) -> None:
    if g.get("journal"):
        raise CrossTenantWrite("a command cannot change the acting tenant")
    db.session.remove()


@contextmanager
def across_tenants(reason: str) -> Iterator[None]:
    """Lift the ORM's rule for platform work; the reason is for whoever greps. Row-level security stays."""
    before, g.across_tenants = g.get("across_tenants"), reason
    try:
        yield
    finally:
        g.across_tenants = before


@event.listens_for(Session, "after_begin")
def _tell_the_database(session: Session, transaction: SessionTransaction, connection: Connection) -> None:  # noqa: ARG001
    tenant_id = g.get("tenant_id")
    session.info["driver"] = connection.connection.driver_connection
    session.info["now"] = connection.exec_driver_sql(_ENTER, {"tenant": str(tenant_id) if tenant_id else ""}).one()[1]


@event.listens_for(Session, "do_orm_execute")
def _read_only_own_rows(state: ORMExecuteState) -> None:
    if state.is_column_load or g.get("across_tenants") or not state.is_orm_statement:  # a refresh, or SQL of our own
        return
    tenant_id = g.get("tenant_id")
    if tenant_id is None and any(issubclass(m.class_, TenantOwned) for m in state.all_mappers):
        raise TenantMissing(str(state.statement))
    if state.is_relationship_load:  # carries the criteria of the statement that loaded the parent
        return
    own = (lambda cls: cls.tenant_id == tenant_id) if tenant_id else (lambda cls: false())  # noqa: ARG005
    state.statement = state.statement.options(
        with_loader_criteria(TenantOwned, own, include_aliases=True, track_closure_variables=True)
    )


@event.listens_for(Session, "before_flush")
def _write_only_own_rows(session: Session, *_: object) -> None:
    for row in (*session.new, *session.dirty, *session.deleted):
        if isinstance(row, TenantOwned):
            row.tenant_id = row.tenant_id or current_tenant_id()
            if row.tenant_id != g.get("tenant_id"):
                raise CrossTenantWrite(repr(row))
