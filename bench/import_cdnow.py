"""import.cdnow: years of a shop's history into a fresh tenant, with bonus, tiers, events and facts, against a bare COPY.

CDNOW_FILE names the history of CDNOW (master.csv as Krug reads it; .xz will do); without it one of the same size is made up.
"""

import csv
import io
import lzma
import os
import random
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from bench.harness import Figure, compare, engines, seconds

NAMES = ("import.cdnow",)
PURCHASES, CUSTOMERS, FIRST, DAYS = 69_659, 23_570, date(1997, 1, 1), 546
COLUMNS = ("external_id", "member_ref", "purchased_at", "amount", "currency")


def run(_names: list[str]) -> Iterator[Figure]:
    file = Path(os.environ["CDNOW_FILE"]) if "CDNOW_FILE" in os.environ else None
    content = _opened(file).read() if file else _made_up()
    with engines() as var:
        source = var / "history.csv"
        source.write_bytes(content)
        made = _World(source)
        figure = compare("import.cdnow", made.history, made.bare_copy, bar=40, at_most=True)
        wanted = _in_file(content)
        for tenant_id in made.tenants:
            if (found := made.found(tenant_id)) != wanted:
                raise SystemExit(f"import.cdnow: {found} in the portal, the file says {wanted}")
        yield figure


class _World:
    def __init__(self, source: Path) -> None:
        from portal import create_app
        from workers.jobs import load_tasks

        self.source, self.tenants = source, []
        self.app = create_app()
        load_tasks()

    def history(self) -> float:
        """Seconds from an empty tenant to purchases, ledger, tiers and facts that agree with the file."""
        from workers.outbox import deliver_all

        slug = self._tenant()

        def work() -> None:
            self._import(slug)
            deliver_all(self.app, rounds=10_000)

        return seconds(work)

    def _tenant(self) -> str:
        from flask import g

        from portal.extensions import db
        from portal.kernel.model import new_id
        from portal.kernel.tenancy import tenant_scope
        from portal.loyalty.service import create_default_program
        from portal.partners.models import Business
        from portal.tenants.hosts import tenant_by_id
        from portal.tenants.service import create_tenant

        slug = f"cdnow{len(self.tenants)}"
        with self.app.app_context():
            tenant_id = create_tenant(slug, name="CDNOW", currency="USD")
            with tenant_scope(tenant_id):
                g.tenant = tenant_by_id(tenant_id)
                create_default_program("USD")
                g.seeding = True
                db.session.add(Business(id=new_id(), slug="cdnow", name="CDNOW", category="music", currency="USD"))
                db.session.commit()
        self.tenants.append(tenant_id)
        return slug

    def _import(self, slug: str) -> None:
        from click.testing import CliRunner

        from portal.cli import imports

        imports.application = lambda: self.app
        wanted = ["purchases", str(self.source), "--tenant", slug, "--business", "cdnow"]
        answer = CliRunner().invoke(imports.import_, wanted)
        if answer.exit_code:
            raise SystemExit(answer.output)

    def bare_copy(self) -> float:
        import psycopg

        from portal.settings import settings

        with psycopg.connect(settings().DATABASE_URL, autocommit=True) as connection:
            columns = "external_id text, member_ref text, purchased_at date, amount numeric, currency text"
            connection.execute(f"DROP TABLE IF EXISTS bare; CREATE TABLE bare ({columns})")

            def copy() -> None:
                with connection.cursor().copy("COPY bare FROM STDIN (FORMAT csv, HEADER)") as target:
                    target.write(self.source.read_bytes())

            return seconds(copy)

    def found(self, tenant_id) -> dict[str, int]:
        from sqlalchemy import text

        from portal.analytics.clickhouse import client
        from portal.extensions import db
        from portal.kernel.tenancy import tenant_scope

        with self.app.app_context(), tenant_scope(tenant_id):
            row = db.session.execute(
                text(
                    "SELECT count(*), sum(amount), count(DISTINCT member_id), count(*) FILTER (WHERE amount = 0) FROM purchases"
                )
            ).one()
            counted = "SELECT count(), sum(amount_minor) FROM transaction_facts FINAL WHERE tenant_id = {tenant:UUID}"
            facts = client().query(counted, parameters={"tenant": tenant_id}).result_rows[0]
        names = ("purchases", "cents", "members", "zero", "facts", "facts_cents")
        return dict(zip(names, map(int, (*row, *facts)), strict=True))


def _in_file(content: bytes) -> dict[str, int]:
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    cents = [int(Decimal(row["amount"]) * 100) for row in rows]
    return {
        "purchases": len(rows), "cents": sum(cents), "members": len({row["member_ref"] for row in rows}), "zero": cents.count(0),
        "facts": len(rows), "facts_cents": sum(cents),
    }  # fmt: skip


def _opened(file: Path) -> io.BufferedIOBase:
    return lzma.open(file) if file.suffix == ".xz" else file.open("rb")


def _made_up() -> bytes:
    """As many customers and purchases as CDNOW had in as many days, most with one purchase, some with dozens."""
    dice = random.Random(1997)
    weights = [dice.paretovariate(1.2) for _ in range(CUSTOMERS)]
    buyers = [*range(CUSTOMERS), *dice.choices(range(CUSTOMERS), weights, k=PURCHASES - CUSTOMERS)]
    days = sorted(dice.randrange(DAYS) for _ in buyers)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for n, (buyer, day) in enumerate(zip(dice.sample(buyers, len(buyers)), days, strict=True)):
        amount = f"{dice.lognormvariate(3.2, 0.8):.2f}"
        writer.writerow((f"{n + 1}", f"C{buyer + 1:05d}", FIRST + timedelta(days=day), amount, "USD"))
    return out.getvalue().encode()
