"""Pages of a member, in process: Python's CPU a request against an empty view of the same app, with the same cookie.

A circle of ten shops, where each of fifty members has bought sixty times; ten times as many purchases for growth.page, of
the member whose pages are measured too. Half of the lines on a statement's page are bonus with its formula, as in life.
"""

import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bench.harness import Figure, compare, cpu_seconds, engines, seconds
from bench.world import settle

NAMES = ("page.list", "page.home", "page.fragment", "rls.page", "growth.page")
LIST, HOME, EMPTY, BARE, ROWS = "/me/wallet", "/me", "/bench/empty", "/bench/bare", 20
SHOPS, MEMBERS, EACH, SPENT, DAYS = 10, 50, 60, 8, 300
REQUESTS, ROUNDS, WARM = 60, 8, 3


def run(names: list[str]) -> Iterator[Figure]:
    with engines():
        world = World("krug", 1)
        if "page.list" in names:
            yield _against_empty("page.list", world, LIST)
        if "page.home" in names:
            yield _against_empty("page.home", world, HOME)
        if "page.fragment" in names:
            yield _fragment(world)
        if "rls.page" in names:
            yield _policy(world)
        if "growth.page" in names:
            large = World("krug_large", 10)
            yield compare(
                "growth.page",
                lambda: 1 / seconds(large.asking(LIST)),
                lambda: 1 / seconds(world.asking(LIST)),
                bar=0.75,
                rounds=ROUNDS,
                warm=WARM,
            )


def _against_empty(name: str, world: "World", path: str) -> Figure:
    return compare(
        name,
        lambda: cpu_seconds(world.asking(path)) / REQUESTS,
        lambda: cpu_seconds(world.asking(EMPTY)) / REQUESTS,
        bar=9,
        at_most=True,
        rounds=ROUNDS,
        warm=WARM,
    )


def _fragment(world: "World") -> Figure:
    """The block of the wallet that htmx asks for, against the same block with its rows at hand."""
    htmx = {"HTTP_HX_REQUEST": "true"}
    world.hold(LIST, htmx)
    return compare(
        "page.fragment",
        lambda: cpu_seconds(world.asking(LIST, htmx)) / REQUESTS,
        lambda: cpu_seconds(world.asking(BARE, htmx)) / REQUESTS,
        bar=1.8,
        at_most=True,
        rounds=ROUNDS,
        warm=WARM,
    )


def _policy(world: "World") -> Figure:
    """The statements of both pages, which name their tenant themselves, as `portal_app` and as one whom no policy binds."""
    import psycopg

    from portal.settings import settings

    statements = [one for path in (LIST, HOME) for one in world.statements(path)]
    with (
        psycopg.connect(settings().database_url("portal_app"), autocommit=True) as bound,
        psycopg.connect(settings().DATABASE_URL, autocommit=True) as free,
    ):
        for connection, bypasses in ((bound, False), (free, True)):
            row = connection.execute(
                "SELECT rolbypassrls OR rolsuper FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
            if row != (bypasses,):
                raise SystemExit(f"rls.page: {connection.info.user} is not the role it should be")
            connection.execute("SELECT set_config('app.tenant_id', %s, false)", (str(world.tenant_id),))

        def asked(connection: Any) -> Callable[[], float]:
            def work() -> None:
                for _ in range(REQUESTS):
                    for statement, values in statements:
                        connection.execute(statement, values).fetchall()

            return lambda: 1 / seconds(work)

        return compare("rls.page", asked(bound), asked(free), bar=0.85, rounds=ROUNDS, warm=WARM)


@dataclass
class World:
    """A database of its own with a circle in it, the app that shows it, and a member who is signed in."""

    database: str
    times: int

    def __post_init__(self) -> None:
        from portal import create_app

        self._migrate()
        self.app = create_app()
        self.app.add_url_rule(EMPTY, "empty", lambda: "")
        self.app.add_url_rule(BARE, "bare", self._bare)
        self._fill()

    def asking(self, path: str, more: dict[str, str] | None = None) -> Callable[[], None]:
        """Work that asks for a page `REQUESTS` times."""
        environ = self._environ(path, more or {})
        return lambda: [self._ask(environ) for _ in range(REQUESTS)] and None

    def statements(self, path: str) -> list[tuple[str, Any]]:
        """What a page asks of the database, with the values it asks for."""
        from sqlalchemy import event

        seen: list[tuple[str, Any]] = []

        def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
            if statement.lstrip().startswith("SELECT") and "set_config" not in statement:
                seen.append((statement, values))

        with self.app.app_context():
            from portal.extensions import db

            engine = db.engine
        environ = self._environ(path, {})
        event.listen(engine, "before_cursor_execute", note)
        self._ask(environ)
        event.remove(engine, "before_cursor_execute", note)
        return seen

    def hold(self, path: str, more: dict[str, str]) -> None:
        """Keep what the page's view hands to its template; `BARE` shows it again without a query."""
        from portal.wallets import views

        drawn, by_day = views.render, views.by_day

        def draw(template: str, **context: Any) -> Any:
            self.template, self.context = template, context
            return drawn(template, **context)

        def lines(*rows: Any) -> Any:
            self.lines = lambda: by_day(*rows)
            return by_day(*rows)

        views.render, views.by_day = draw, lines
        self._ask(self._environ(path, more))
        views.render, views.by_day = drawn, by_day

    def _bare(self) -> Any:
        from portal.web.fragments import render

        return render(self.template, **{**self.context, "days_of_lines": self.lines()})

    def _environ(self, path: str, more: dict[str, str]) -> dict[str, Any]:
        from werkzeug.test import EnvironBuilder

        headers = {
            "Cookie": f"sid={self.token}", "Accept-Encoding": "gzip, deflate, br", "Accept-Language": "en",
            "User-Agent": "Mozilla/5.0", "Accept": "text/html",
        }  # fmt: skip
        builder = EnvironBuilder(path=path, base_url=f"http://{self.host}:8000", headers=headers)
        environ = {**builder.get_environ(), **more}
        body = self._ask(environ)
        if not body and path != EMPTY:
            raise SystemExit(f"{path} shows nothing")
        return environ

    def _ask(self, environ: dict[str, Any]) -> bytes:
        said: list[str] = []
        answer = self.app({**environ, "wsgi.input": io.BytesIO()}, lambda status, *_: said.append(status))
        body = b"".join(answer)
        answer.close()
        if said != ["200 OK"]:
            raise SystemExit(f"{environ['PATH_INFO']}: {said}")
        return body

    def _migrate(self) -> None:
        import os

        import psycopg

        from portal.cli import database
        from portal.settings import settings

        base = os.environ["DATABASE_URL"].rpartition("/")[0]
        with psycopg.connect(settings().DATABASE_URL, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (self.database,)).fetchone():
                connection.execute(f"CREATE DATABASE {self.database} TEMPLATE template0")
        os.environ["DATABASE_URL"] = f"{base}/{self.database}"
        settings.cache_clear()
        database.upgrade()

    def _fill(self) -> None:
        from flask import g

        from portal.identity.batch import Newcomer, register_members
        from portal.identity.sessions import acting_as, open_session, real_now
        from portal.kernel import clock
        from portal.kernel.tenancy import tenant_scope
        from portal.loyalty.service import create_default_program
        from portal.settings import settings
        from portal.tenants.hosts import tenant_by_id
        from portal.tenants.service import create_tenant

        with self.app.app_context():
            self.tenant_id = create_tenant(self.database.replace("_", "-"), name="Krug", currency="EUR")
        with self.app.app_context(), tenant_scope(self.tenant_id), acting_as(None, "system"):
            g.tenant = tenant_by_id(self.tenant_id)
            self.host = g.tenant.host
            create_default_program("EUR", bonus_expiry="12M_U")
            people = [
                Newcomer(name=f"Ada Number{n}", joined_at=clock.now() - timedelta(days=DAYS))
                for n in range(MEMBERS * self.times)
            ]
            members = [
                one
                for start in range(0, len(people), 500)
                for one in register_members(people[start : start + 500], joined_via="import")
            ]
            self._sell(members)
            from portal.extensions import db

            g.seeding = True
            now = real_now()
            self.token = open_session(
                members[0], auth_epoch=0, kind="member", user_agent="bench", ip="127.0.0.1", now=now
            )
            db.session.commit()
            g.seeding = False
        settle(settings().DATABASE_URL)

    def _sell(self, members: list[Any]) -> None:
        """Sixty purchases a member, of the first of them as many times more as the world is larger; the last are part paid with bonus."""
        from flask import g

        from portal.extensions import db
        from portal.kernel import clock
        from portal.kernel.model import new_id
        from portal.partners.models import Business
        from portal.purchases.batch import record_history
        from portal.purchases.service import record_purchase
        from portal.purchases.wanted import Sale

        rng, now = random.Random(1), clock.now()
        g.seeding = True
        shops = [
            Business(
                id=new_id(),
                slug=f"shop-{n}",
                name=f"Shop Number {n}",
                category="food",
                currency="EUR",
                spend_confirmation="none",
            )
            for n in range(SHOPS)
        ]
        db.session.add_all(shops)
        db.session.commit()
        g.seeding = False
        sales: dict[Any, list[Sale]] = {shop.id: [] for shop in shops}
        for number, member in enumerate(members):
            for n in range(EACH * (self.times if number == 0 else 1)):
                shop = rng.choice(shops).id
                at = now - timedelta(days=4) - timedelta(seconds=rng.randrange((DAYS - 4) * 86_400))
                sales[shop].append(
                    Sale(
                        business_id=shop, member_id=member, amount=rng.randrange(500, 5_000), external_id=f"{number}-{n}", currency="EUR",
                        occurred_at=at, category=None, location_id=None, till="1", receipt_number=None, lines=(), bonus_to_spend=0,
                        source="import", historical=True,
                    )
                )  # fmt: skip
        for shop, rows in sales.items():
            for start in range(0, len(rows), 1000):
                record_history(shop, rows[start : start + 1000])
        for n in range(SPENT):
            record_purchase(
                business_id=shops[n].id, member_id=members[0], amount=2_000, external_id=f"spent-{n}",
                occurred_at=now - timedelta(hours=n + 1), bonus_to_spend=50, source="till",
            )  # fmt: skip
