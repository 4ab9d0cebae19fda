"""Fixtures for every test. One PostgreSQL, Valkey and ClickHouse for the run, a database of its own per xdist worker.

Two kinds of test (D50): by default a test runs in one transaction that is rolled back; marked `commits` it really
commits, and the database is made anew from the template before the next test. No fixture holds an app context while a
client makes requests.
"""

import os
import secrets
from collections import deque
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
from flask import g, has_app_context

from tests import cast
from tests.checked import CheckedClient
from tests.post import dead_server, sink, telegram, texts  # noqa: F401  fixtures

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "krug_template"
SECRET = "a-secret-key-for-tests-only-0123456789"
_running = None
_left = deque(maxlen=8)  # pools given up while a browser's last calls still held a connection of theirs


def pytest_configure(config):
    """In the process that started the run: start the engines and build the template once."""
    global _running
    if hasattr(config, "workerinput") or os.environ.get("TEST_PLAIN") or config.option.collectonly:
        return
    os.environ["SECRET_KEY"] = SECRET
    os.environ.setdefault("LOG_LEVEL", "ERROR")
    os.environ["TESTING"] = "1"
    os.environ["DEVELOPMENT"] = "1"
    os.environ["OPERATOR_SECOND_FACTOR"] = "0"  # tests of it switch it on
    from portal import embedded

    given = {name: os.environ[name] for name in ("DATABASE_URL", "REDIS_URL", "CLICKHOUSE_URL") if os.environ.get(name)}
    var = Path(os.environ.get("TEST_VAR", ROOT / "var" / "test"))
    var.mkdir(parents=True, exist_ok=True)
    os.environ["VAR_DIR"] = str(var)
    _running = embedded.start(var, durable=False, given=given)
    os.environ["DATABASE_URL"] = _running.engines.database_url
    os.environ["REDIS_URL"] = _running.engines.redis_url
    os.environ["CLICKHOUSE_URL"] = _running.engines.clickhouse_url
    _build_template()


def pytest_unconfigure(config):
    if _running is not None:
        _running.stop()


def _admin(database="postgres"):
    base, _, _ = os.environ["DATABASE_URL"].rpartition("/")
    return f"{base}/{database}"


def _build_template():
    from portal.cli import database
    from portal.settings import settings

    with psycopg.connect(_admin(), autocommit=True) as connection:
        names = [r[0] for r in connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'krug_t%'")]
        for name in names:
            connection.execute(f'ALTER DATABASE "{name}" IS_TEMPLATE false')
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        connection.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
    plain = os.environ["DATABASE_URL"]
    os.environ["DATABASE_URL"] = _admin(TEMPLATE)
    try:
        settings.cache_clear()
        database.upgrade()
        from portal import create_app
        from portal.extensions import db

        app = create_app()
        cast.build(app)
        with app.app_context():
            db.engine.dispose()
    finally:
        os.environ["DATABASE_URL"] = plain
        settings.cache_clear()


@pytest.fixture(scope="session")
def worker(worker_id):
    """This xdist worker's own database, Redis database and ClickHouse database."""
    number = 0 if worker_id == "master" else int(worker_id.removeprefix("gw")) + 1
    name = f"krug_test_{number}"
    os.environ["DATABASE_URL"] = _admin(name)
    os.environ["REDIS_URL"] = os.environ["REDIS_URL"].rpartition("/")[0] + f"/{number}"
    os.environ["CLICKHOUSE_DATABASE"] = name
    os.environ["VAR_DIR"] = str(Path(os.environ["VAR_DIR"]) / name)
    Path(os.environ["VAR_DIR"]).mkdir(parents=True, exist_ok=True)
    return name


def _clone(name):
    with psycopg.connect(_admin(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    from portal.cli.database import grant_database

    grant_database(_admin(name))


@pytest.fixture(scope="session")
def app(worker):
    from portal import create_app
    from portal.extensions import db
    from portal.settings import settings

    settings.cache_clear()
    _clone(worker)
    if find_spec("portal.analytics.migrate"):
        from portal.analytics.migrate import upgrade

        upgrade()
    app = create_app()
    app.testing = True
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.extensions["dirty"] = False
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(autouse=True)
def database(request):
    """A rolled-back transaction; with the marker `commits`, real commits and a fresh database afterwards."""
    wants_app = "app" in request.fixturenames
    if not wants_app:
        yield
        return
    app = request.getfixturevalue("app")
    from portal.extensions import db
    from portal.kernel.redis import redis
    from portal.tenants import hosts

    hosts.forget()
    if app.extensions["dirty"]:
        with app.app_context():
            for pool in _left:
                pool.dispose()
            _left.append(db.engine.pool)
            db.engine.dispose()
        _clone(os.environ["CLICKHOUSE_DATABASE"])
        redis().flushdb()
        app.extensions["dirty"] = False
    if request.node.get_closest_marker("commits") or request.node.get_closest_marker("browser"):
        app.extensions["dirty"] = True
        yield
        return
    engines = db._app_engines[app]
    engine, opened = engines[None], {name: app.extensions[name] for name in ("own_transaction", "own_statement")}
    factory = db.session.session_factory
    before = factory.kw.get("join_transaction_mode")
    factory.configure(join_transaction_mode="create_savepoint")
    with engine.connect() as connection:
        outer = connection.begin()
        engines[None] = connection
        app.extensions["own_transaction"] = lambda _primary: _nested(connection)
        app.extensions["own_statement"] = lambda _primary: _one_statement(connection)
        try:
            yield
        finally:
            engines[None] = engine
            app.extensions.update(opened)
            factory.configure(join_transaction_mode=before or "conditional_savepoint")
            outer.rollback()
    redis().flushdb()


@contextmanager
def _nested(connection):
    with connection.begin_nested():
        yield connection


@contextmanager
def _one_statement(connection):
    driver = connection.connection.driver_connection
    with connection.begin_nested():
        yield lambda statement, values: driver.execute(statement, values).fetchone()[0]


@pytest.fixture
def acting(app):
    """Act for a tenant as a person, the way a service is called from a view: `with acting(CIRCLE, BOB): …`."""
    from portal.identity.sessions import acting_as
    from portal.kernel.tenancy import tenant_scope
    from portal.tenants.hosts import tenant_by_id

    @contextmanager
    def acting(tenant, person=None):
        assert not has_app_context()
        with (
            app.app_context(),
            tenant_scope(tenant.id),
            acting_as(person.id if person else None, "member" if person else "system"),
        ):
            g.tenant = tenant_by_id(tenant.id)
            yield

    return acting


@pytest.fixture
def seen_by(app):
    """Look at the database the way one tenant sees it: `with seen_by(CIRCLE) as session: …`."""
    from portal.extensions import db
    from portal.kernel.tenancy import tenant_scope

    @contextmanager
    def seen_by(tenant):
        with app.app_context(), tenant_scope(tenant.id):
            yield db.session

    return seen_by


@pytest.fixture
def seed(app):
    """Put rows of one tenant where no service makes them: `seed(CIRCLE, row, …)`."""
    from portal.extensions import db
    from portal.kernel.tenancy import tenant_scope

    def seed(tenant, *rows):
        with app.app_context(), tenant_scope(tenant.id):
            g.seeding = True
            db.session.add_all(rows)
            db.session.commit()
            g.seeding = False
        return rows[0] if len(rows) == 1 else rows

    seed.app = app
    return seed


@pytest.fixture
def visitor(app):
    """A browser without a session: `visitor(CIRCLE)`; `csrf=True` gives it a token, so that POSTs get past that check."""

    def visitor(tenant=cast.CIRCLE, *, csrf=False):
        assert not has_app_context()
        host = tenant.host if hasattr(tenant, "host") else tenant
        client = CheckedClient(app, host=host, csrf=secrets.token_hex(20) if csrf else None)
        if csrf:
            with client.session_transaction(base_url=f"http://{host}:8000") as session:
                session["csrf_token"] = client.csrf
        return client

    return visitor


@pytest.fixture
def sign_in(app):
    """A browser with a session of this person: `sign_in(ALICE).get("/me")`; `at=` opens another tenant's host with it.

    `half=True` has shown the first factor only, `impersonator_id=` looks through this person's eyes.
    """
    from portal.extensions import db
    from portal.identity.sessions import kind_of, open_session
    from portal.kernel import clock
    from portal.kernel.tenancy import tenant_scope

    def sign_in(person, at=None, **how):
        assert not has_app_context()
        csrf = secrets.token_hex(20)
        with app.app_context(), tenant_scope(person.tenant.id):
            g.seeding = True
            token = open_session(
                person.id,
                auth_epoch=0,
                kind=kind_of(list(person.roles), [role for _, role in person.posts]),
                user_agent="pytest",
                ip="127.0.0.1",
                now=clock.now(),
                **how,
            )
            for row in db.session.new:
                row.data = {"csrf_token": csrf, "_fresh": False}  # as after the first page, which is then not kept anew
            db.session.commit()
            g.seeding = False
        client = CheckedClient(app, host=(at or person.tenant).host, csrf=csrf)
        client.set_cookie("sid", token, domain=(at or person.tenant).host)
        return client

    return sign_in


@pytest.fixture
def statements(app):
    """Count the statements of a block: `with statements() as seen: …; assert len(seen) <= 8`."""
    from psycopg import Cursor

    @contextmanager
    def statements():
        seen, execute = [], Cursor.execute

        def note(cursor, statement, *values, **options):
            if not statement.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
                seen.append(statement)
            return execute(cursor, statement, *values, **options)

        Cursor.execute = note
        try:
            yield seen
        finally:
            Cursor.execute = execute

    return statements


@pytest.fixture
def deliver(app):
    """Carry every due outbox message to its subscribers through the workers' own code."""

    def deliver():
        from workers.outbox import deliver_all

        assert not has_app_context()
        return deliver_all(app)

    return deliver
