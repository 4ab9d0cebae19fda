"""Two PostgreSQL primaries with tenants of their own: the host leads home, workers and operators see both.

Seen red: with `home_of` always saying `main` the member of the second is unknown; without `search` passing over a primary
that is down, everybody's pages fail with it.
"""

import json
import os

import psycopg
import pytest
from flask import g

from portal.settings import settings
from tests.cast import CIRCLE, OPERATOR_EMAIL
from tests.checked import CheckedClient
from tests.conftest import _admin

pytestmark = pytest.mark.commits
SECRET = "lantern orchard seventeen"
EAST = "eastside.localhost"
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture
def with_east_at(app, monkeypatch):
    """The portal whose second primary, `east`, is at the given address."""
    from portal import create_app
    from portal.kernel import primaries
    from portal.tenants import hosts

    apps = []

    def with_east_at(address):
        monkeypatch.setenv("DATABASE_URLS", json.dumps({"east": address}))
        settings.cache_clear()
        hosts.forget()
        made = create_app()
        made.testing = True
        made.config["PROPAGATE_EXCEPTIONS"] = False
        apps.append(made)
        return made

    yield with_east_at
    for made in apps:
        with made.app_context():
            primaries.dispose()
    monkeypatch.undo()
    settings.cache_clear()
    hosts.forget()


@pytest.fixture
def two(with_east_at):
    """An installation of two primaries, each in a database of its own; the second has the tenant `eastside`."""
    from portal.cli import database
    from portal.tenants.start import open_tenant

    name = f"{os.environ['CLICKHOUSE_DATABASE']}_east"
    with psycopg.connect(_admin(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    made = with_east_at(_admin(name))
    database.upgrade()
    with made.app_context():
        open_tenant(
            "eastside", name="Eastside", currency="EUR", timezone="UTC", locales=("en",), kind="live",
            admin=("ada@east.example", SECRET), businesses=("kiosk",), primary="east",
        )  # fmt: skip
    yield made
    with psycopg.connect(_admin(), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def ask(primary, statement, *values, role="portal_owner"):
    from portal.kernel.primaries import connect

    with connect(role, primary) as connection:
        return connection.execute(statement, values).fetchall()


def names_on(primary):
    return [slug for (slug,) in ask(primary, "SELECT slug FROM tenants ORDER BY slug")]


def test_the_host_leads_to_the_primary_of_its_tenant(two):
    assert names_on("east") == ["eastside"]
    assert "eastside" not in names_on("main")
    browser = CheckedClient(two, host=EAST)
    answer = browser.submit("/login", form="sign-in", email="ada@east.example", password=SECRET)
    assert answer.status_code == 303
    assert "Eastside" in browser.get("/admin/businesses").text
    assert "kiosk" in browser.get("/admin/businesses").text.lower()
    stranger = CheckedClient(two, host=CIRCLE.host)
    assert stranger.submit("/login", form="sign-in", email="ada@east.example", password=SECRET).status_code == 422
    assert CheckedClient(two, host="nobody.localhost").get("/").status_code == 404


def test_a_slug_or_host_of_one_primary_is_taken_on_the_other(two):
    from portal.tenants.service import SlugTaken, create_tenant

    with two.app_context():
        for slug, primary, domains in (
            ("eastside", "main", ()),
            (CIRCLE.slug, "east", ()),
            ("third", "main", (EAST,)),
        ):
            with pytest.raises(SlugTaken):
                create_tenant(slug, name="Third", currency="EUR", primary=primary, domains=domains)
    assert names_on("east") == ["eastside"]


def test_relay_workers_and_cron_serve_the_tenants_of_both(two):
    """A commit on either primary is claimed by its own relay's role and delivered by the one pool of workers."""
    from portal.identity.service import register_member
    from portal.kernel.primaries import connect, home_of
    from portal.kernel.redis import redis
    from portal.kernel.tenancy import tenant_scope
    from portal.tenants.hosts import every_tenant, tenant_by_id
    from workers import jobs, outbox
    from workers.periodic import each_tenant
    from workers.tasks import Queue, rq_queue

    with two.app_context():
        homes = {slug: (home_of(tenant_id), tenant_id) for tenant_id, slug in every_tenant()}
        assert {slug: home for slug, (home, _) in homes.items()} == {
            "circle": "main",
            "globex": "main",
            "eastside": "east",
        }
        for slug in ("circle", "eastside"):
            tenant_id = homes[slug][1]
            with tenant_scope(tenant_id):
                g.tenant = tenant_by_id(tenant_id)
                register_member(name="Zoe Quill", email="zoe@example.org", password=SECRET, joined_via="web")
    for primary in ("main", "east"):
        with connect("portal_relay", primary, autocommit=True) as relay:
            assert outbox.relay_once(relay) > 0
    queue = rq_queue(Queue.FAST)
    jobs.load_tasks()
    with two.app_context():
        while job := queue.dequeue_any([queue], None, connection=redis(), serializer=queue.serializer):
            from workers.tasks import REGISTRY

            REGISTRY[job[0].args[0]].run(*job[0].args[1:])
    for primary in ("main", "east"):
        left = ask(primary, "SELECT count(*) FROM outbox_deliveries WHERE open AND attempts = 0", role="portal_relay")
        done = ask(primary, "SELECT count(*) FROM outbox_deliveries WHERE status = 'delivered'", role="portal_relay")
        assert (left[0][0], done[0][0] > 0) == (0, True), primary
    seen = []
    with two.app_context():
        each_tenant(lambda: seen.append(g.tenant.slug))
    assert seen == ["circle", "eastside", "globex"]


@pytest.fixture
def operator(two):
    from portal.platform import service

    with two.app_context():
        service.create_operator(OPERATOR_EMAIL, "Sergey Petrov", SECRET)


def test_the_operator_sees_the_tenants_of_both_and_what_does_not_answer(two, operator, with_east_at):
    browser = CheckedClient(two, host="ops.localhost")
    browser.submit("/login", form="sign-in", email=OPERATOR_EMAIL, password=SECRET)
    page = browser.get("/tenants").text
    assert 'id="tenant-circle"' in page
    assert 'id="tenant-eastside"' in page
    assert "PostgreSQL (east)" in browser.get("/health").text
    without = CheckedClient(with_east_at(NOWHERE), host="ops.localhost")
    without.submit("/login", form="sign-in", email=OPERATOR_EMAIL, password=SECRET)
    page = without.get("/tenants").text
    assert 'id="tenant-circle"' in page
    assert "its tenants are missing here: PostgreSQL east" in page
    assert without.get("/health").status_code == 200


def test_a_tenant_of_the_other_primary_is_stopped_and_the_log_says_what_was_done_and_what_failed(two, operator):
    """Security 11: the log stands on `main`, so the line is there before the act. Seen red with the act before its line."""
    from portal.kernel.primaries import connect
    from portal.platform import tenants as acts
    from portal.tenants import hosts

    log = "SELECT action, detail->>'failed' FROM platform_audit WHERE action LIKE %s ORDER BY seq"
    with two.app_context():
        eastside = hosts.tenant_at(EAST)
        acts.suspend(None, eastside, "The bill of May")
        assert ask("east", "SELECT status FROM tenants WHERE slug = 'eastside'") == [("suspended",)]
        acts.resume(None, eastside)
        with connect("portal_owner", "east") as connection:
            connection.execute("ALTER TABLE tenants ADD CONSTRAINT never CHECK (status <> 'suspended')")
        with pytest.raises(psycopg.errors.CheckViolation):
            acts.suspend(None, eastside, "The bill of June")
        done = ask("main", log, "tenant.%")
    assert done == [
        ("tenant.suspend", None),
        ("tenant.resume", None),
        ("tenant.suspend", None),
        ("tenant.suspend", "true"),
    ]


def test_a_primary_that_is_down_takes_nobody_elses_tenants_along(two, with_east_at):
    from workers.periodic import each_tenant

    without = with_east_at(NOWHERE)
    assert CheckedClient(without, host=CIRCLE.host).get("/login").status_code == 200
    assert CheckedClient(without, host=EAST).get("/login").status_code in {500, 503}
    answer = CheckedClient(without, host=CIRCLE.host).get("/readyz")
    assert (answer.status_code, answer.get_json()["status"]) == (200, "degraded")
    seen = []
    with without.app_context(), pytest.raises(Exception, match="connection"):
        each_tenant(lambda: seen.append(g.tenant.slug))
    assert seen == ["circle", "globex"]


@pytest.mark.parametrize(
    "given", ['{"main": "postgresql://x/y"}', '{"East!": "postgresql://x/y"}', '{"east": {"adress": ""}}']
)
def test_a_wrong_name_of_a_primary_stops_the_start(monkeypatch, given):
    from portal.settings import SettingsError

    monkeypatch.setenv("DATABASE_URLS", given)
    settings.cache_clear()
    with pytest.raises(SettingsError, match="DATABASE_URLS"):
        settings()
    monkeypatch.undo()
    settings.cache_clear()
