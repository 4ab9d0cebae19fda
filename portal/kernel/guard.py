"""Nobody writes but a command: three nets over the session, and one under it (D30)."""

import re
from typing import Any

from flask import g, has_app_context
from sqlalchemy import Connection, event, inspect
from sqlalchemy.orm import ORMExecuteState, Session

from portal.kernel.audit import ERASABLE, AuditEntry
from portal.kernel.journal import WriteOutsideCommand
from portal.kernel.model import TenantOwned
from portal.kernel.outbox import OutboxDelivery, OutboxMessage

BOOKKEEPING = (AuditEntry, OutboxMessage, OutboxDelivery)
WRITES = re.compile(r"\s*(?:/\*.*?\*/\s*)*(?:WITH\b.*?\b)?(INSERT\s+INTO|UPDATE|DELETE\s+FROM|MERGE)\b", re.I | re.S)
POSTS = re.compile(
    r"\bledger\.(post|post_many|post_batch|take_back|give_back|expire|activate|fold|account)\w*\s*\(", re.I
)


def may_write() -> bool:
    """Inside a command, a worker's delivery, a side transaction or the seeding of a test."""
    if not has_app_context():
        return True  # migrations and the engines' own work
    return bool(g.get("journal") or g.get("delivery") or g.get("side") or g.get("seeding"))


@event.listens_for(Session, "before_flush")
def _only_commands_flush(session: Session, *_: object) -> None:
    rows = _business_rows(session)
    if rows and not may_write():
        raise WriteOutsideCommand(f"{rows[0]!r}: write it in a function decorated with @command")


@event.listens_for(Session, "do_orm_execute")
def _only_commands_write_in_bulk(state: ORMExecuteState) -> None:
    if not (state.is_insert or state.is_update or state.is_delete):
        return
    model = state.bind_mapper.class_ if state.bind_mapper else None
    if model is None or not issubclass(model, TenantOwned) or issubclass(model, BOOKKEEPING):
        return
    if not may_write():
        raise WriteOutsideCommand(str(state.statement))
    if journal := g.get("journal"):
        journal.changes.append(
            {"table": getattr(model, "__tablename__", ""), "bulk": type(state.statement).__name__.lower()}
        )


@event.listens_for(Session, "after_flush")
def _note_changes(session: Session, *_: object) -> None:
    journal = g.get("journal") if has_app_context() else None
    if journal is None:
        return
    for row in _business_rows(session):
        mapper = inspect(type(row))
        fields: dict[str, Any] = {}
        for name, column in ((a.key, a.columns[0]) for a in mapper.column_attrs):
            history = inspect(row).attrs[name].history
            if history.has_changes() and name not in {"tenant_id", "id"}:
                fields[name] = ERASABLE if _personal(column) else [_shown(history.deleted), _shown(history.added)]
        journal.changes.append({"table": row.__tablename__, "key": str(getattr(row, "id", "")), "fields": fields})


def _personal(column: Any) -> bool:
    return not column.info.get("pii", "keep:not text").startswith("keep:")


def _shown(values: Any) -> Any:
    value = values[0] if values else None
    return value if value is None or isinstance(value, bool | int | list | dict) else str(value)


def _business_rows(session: Session) -> list[Any]:
    rows = (*session.new, *(r for r in session.dirty if session.is_modified(r)), *session.deleted)
    return [r for r in rows if isinstance(r, TenantOwned) and not isinstance(r, BOOKKEEPING)]


def watch(engine: Any) -> None:
    """The net under the session: a statement that writes outside a command never reaches the database."""

    @event.listens_for(engine, "before_cursor_execute")
    def _refuse(
        connection: Connection,  # noqa: ARG001
        cursor: Any,  # noqa: ARG001
        statement: str,
        parameters: Any,  # noqa: ARG001
        context: Any,  # noqa: ARG001
        executemany: bool,  # noqa: ARG001
    ) -> None:
        look_at(statement)


def look_at(statement: str) -> None:
    """Raise `WriteOutsideCommand` for a statement that writes where nothing may."""
    if may_write():
        return
    if WRITES.match(statement) or POSTS.search(statement):
        raise WriteOutsideCommand(statement[:200])
