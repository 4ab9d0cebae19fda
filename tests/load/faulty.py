"""The portal's application with addresses that break on purpose, for gunicorn: `tests.load.faulty:app`.

Each looks first at whose rows this connection shows, in SQL without a word about tenants, so that only the database's own
rule stands in between; the answer's header X-Rows says it. Every connection that leaves the pool is asked for whom it
acts: what is not empty goes into the file TAINTED.
"""

import json
import os
import threading
from contextlib import suppress

import psycopg
from flask import after_this_request, g, request
from sqlalchemy import event, text

from portal import create_app
from portal.extensions import db
from portal.kernel import primaries
from portal.kernel.authz import PUBLIC, guarded

WHOSE = text("SELECT tenant_id::text, count(*) FROM users GROUP BY 1")


def look() -> dict[str, int]:
    return dict(db.session.execute(WHOSE).all())


def plain() -> None: ...


def exception() -> None:
    raise RuntimeError("in the middle of a request")


def half_written() -> None:
    g.seeding = True
    db.session.execute(text("UPDATE users SET name = name || '!' WHERE tenant_id = :tenant"), {"tenant": g.tenant_id})
    raise RuntimeError("in the middle of a write")


def committed() -> None:
    g.seeding = True
    db.session.execute(text("UPDATE users SET name = name WHERE tenant_id = :tenant"), {"tenant": g.tenant_id})
    db.session.commit()


def timed_out() -> None:
    db.session.execute(text("SET LOCAL statement_timeout = '5ms'"))
    db.session.execute(text("SELECT pg_sleep(10)"))


def cancelled() -> None:
    driver = db.session.connection().connection.driver_connection
    cancel = threading.Timer(0.01, lambda: driver.cancel_safe(timeout=5))
    cancel.start()
    try:
        db.session.execute(text("SELECT pg_sleep(1)"))
    finally:
        cancel.join()


def wrong_statement() -> None:
    db.session.execute(text("SELECT 1 / 0"))


def cut() -> None:
    with suppress(Exception):
        db.session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    db.session.execute(text("SELECT 1"))


FAULTS = (plain, committed, exception, half_written, timed_out, cancelled, wrong_statement, cut)


def broken() -> str:
    """`/faulty?how=…`"""
    found = look()

    @after_this_request
    def tell(response):
        response.headers["X-Rows"] = json.dumps(found)
        return response

    {fault.__name__: fault for fault in FAULTS}[request.args["how"]]()
    found |= look()
    return "done"


def _asked(connection, _record, _proxy) -> None:
    with suppress(psycopg.Error):  # a dead one is the portal's business
        acting = connection.execute("SELECT current_setting('app.tenant_id', true)").fetchone()[0]
        connection.rollback()
        if acting:
            with open(os.environ["TAINTED"], "a") as out:
                out.write(f"{acting}\n")


def app(environ=None, start_response=None):
    """gunicorn's entry; the application is made at the first request of a worker."""
    return _app()(environ, start_response)


_made: list = []
_lock = threading.Lock()


def _app():
    with _lock:
        if not _made:
            made = create_app()
            made.add_url_rule("/faulty", "faulty", guarded(broken, PUBLIC, room="public"))
            with made.app_context():
                event.listen(primaries.engine("main"), "checkout", _asked)
            _made.append(made)
    return _made[0]
