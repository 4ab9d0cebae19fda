"""A community to measure in: one tenant, its business, members with money; and an app that stands in a process of its own."""

from collections.abc import Callable
from typing import Any
from uuid import UUID


class Standing:
    """The app of one process, answering as one tenant's system: each request pays its own transaction."""

    def __init__(self, tenant_id: UUID) -> None:
        from portal import create_app

        self.app, self.tenant_id = create_app(), tenant_id

    def request(self, act: Callable[[], Any]) -> Any:
        from flask import g

        from portal.kernel.tenancy import tenant_scope
        from portal.tenants.hosts import tenant_by_id

        with self.app.app_context(), tenant_scope(self.tenant_id):
            g.tenant = tenant_by_id(self.tenant_id)
            return act()


def settle(admin_url: str) -> None:
    """Fresh figures for the planner, and pages marked as all visible."""
    import psycopg

    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


class World(Standing):
    """A tenant in the engines that the environment names, with `members` and `purse` minor units for each."""

    def __init__(self, members: int, purse: int = 0, slug: str = "bench") -> None:
        from portal import create_app
        from portal.settings import settings
        from portal.tenants.service import create_tenant

        self.admin_url = settings().DATABASE_URL
        self.app = create_app()
        with self.app.app_context():
            self.tenant_id = create_tenant(slug, name="Bench", currency="RUB")
        self.business_id: UUID = self.request(self._shop)
        self.members: list[UUID] = self.request(lambda: self._people(members))
        if purse:
            self.request(lambda: self._fund(purse))

    def inside(self, act: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: self.request(act)

    def owner(self, script: str) -> None:
        """Run SQL as the database's administrator."""
        import psycopg

        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(script)

    def settle(self) -> None:
        """What autovacuum does within a minute: planned without it, a look-up may read all of a tenant's rows."""
        settle(self.admin_url)

    def _shop(self) -> UUID:
        from flask import g

        from portal.extensions import db
        from portal.kernel.model import new_id
        from portal.loyalty.service import create_default_program
        from portal.partners.models import Business

        create_default_program("RUB")
        g.seeding = True
        shop = Business(id=new_id(), slug="shop", name="Shop", category="food", currency="RUB")
        db.session.add(shop)
        db.session.commit()
        g.seeding = False
        return shop.id

    def _people(self, count: int) -> list[UUID]:
        from portal.identity.batch import Newcomer, register_members
        from portal.kernel import clock

        made = []
        for n in range(0, count, 500):
            newcomers = [Newcomer(f"Member {n + m}", clock.now()) for m in range(min(500, count - n))]
            made += register_members(newcomers, joined_via="bench")
        return made

    def _fund(self, purse: int) -> None:
        from portal.kernel.commands import command
        from portal.wallets.service import Account, Posting, post

        @command("bench.fund")
        def fund(some: list[UUID]) -> None:
            post(
                *(
                    Posting(
                        type="deposit", source="fund", external_id=str(member), currency="RUB", amount=purse,
                        payer=Account.system("clearing:bench"), payee=Account.member(member, "main"),
                    )
                    for member in some
                )
            )  # fmt: skip

        for n in range(0, len(self.members), 100):
            fund(self.members[n : n + 100])
