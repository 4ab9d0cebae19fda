"""Purchases of a period as a streamed response, against psycopg's COPY of the same rows into a file, and xlsxwriter.

A million purchases of ten thousand members in one shop. `growth` is how far the process grew at its highest, response
against COPY. xlsxwriter is run over a twentieth of the rows, since its time is a row's time.
"""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.harness import Figure, compare, engines, seconds
from bench.page import World
from bench.world import settle

NAMES = ("export.csv", "export.json", "export.xlsx")
ROWS, MEMBERS, SLICE = int(os.environ.get("EXPORT_ROWS", "1000000")), 10_000, 20
BARS = {"csv": (1.3, 16), "json": (3, 16), "xlsx": (0.1, 32)}  # times the reference's time; MiB more than it


def run(names: list[str]) -> Iterator[Figure]:
    with engines() as var:
        shop = Shop("krug", 1)
        for name in names:
            kind = name.removeprefix("export.")
            bar, most = BARS[kind]
            with_xlsxwriter = kind == "xlsx"
            reference = shop.xlsxwriter(var / "plain.xlsx") if with_xlsxwriter else shop.copy(var / "plain.csv")
            figure = compare(
                name, lambda kind=kind: shop.response(kind, var / "file"), reference, bar=bar, at_most=True, rounds=3
            )
            grown = highest(lambda kind=kind: shop.response(kind, var / "file")) - highest(shop.copy(var / "plain.csv"))
            note = f"{figure.note}; {ROWS:,} rows; growth {grown:.1f} MiB of {most} allowed"
            if grown > most:
                raise SystemExit(f"{name}: {note}")
            yield Figure(figure.name, figure.ratios, figure.bar, figure.at_most, note)


def highest(work: Callable[[], object]) -> float:
    """MiB by which the process was larger during the work than before it."""
    Path("/proc/self/clear_refs").write_text("5")  # the mark starts anew from what is used now
    before = _status("VmRSS")
    work()
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1])


class Shop(World):
    """A circle whose purchases are put straight into the table."""

    def response(self, kind: str, to: Path) -> float:
        """Seconds from the request to the last byte in a file; the hour's limit is wiped before."""
        from portal.kernel.redis import redis

        redis().flushdb()
        environ = {
            **self._environ("/me", {}),
            "PATH_INFO": f"/admin/reports/purchases.{kind}",
            "QUERY_STRING": "period=all",
        }
        return seconds(lambda: self._save(environ, to))

    def _save(self, environ: dict[str, Any], to: Path) -> None:
        said: list[str] = []
        answer = self.app(environ, lambda status, *_: said.append(status))
        with to.open("wb") as file:
            for piece in answer:
                file.write(piece)
        answer.close()
        if said != ["200 OK"]:
            raise SystemExit(f"{environ['PATH_INFO']}: {said}")

    def copy(self, to: Path) -> Callable[[], float]:
        """Seconds of COPY of the same columns, as PostgreSQL writes them, by the same role, in the same order."""
        from portal.reports.purchases import _FROM, COLUMNS

        columns = ", ".join(sql for _, _, sql in COLUMNS)
        values = {"codes": ["EUR"], "units": ["0.01"], "zeros": ["0.00"], "exponents": [2], "tenant": self.tenant_id}
        chosen = "SELECT * FROM purchases WHERE tenant_id = %(tenant)s"
        statement = (
            f"COPY (SELECT {columns} {_FROM.format(chosen=chosen)} ORDER BY p.occurred_at, p.id) TO STDOUT (FORMAT csv)"
        )

        def work() -> None:
            with self._connection() as connection, connection.cursor() as cursor, to.open("wb") as file:
                connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(self.tenant_id),))
                with cursor.copy(statement, values) as copied:
                    for piece in copied:
                        file.write(piece)

        return lambda: seconds(work)

    def xlsxwriter(self, to: Path) -> Callable[[], float]:
        """Seconds that xlsxwriter would need for all rows: the same cells of a twentieth of them, from a cursor."""
        import xlsxwriter

        from portal.reports.purchases import _FROM, COLUMNS

        columns = ", ".join(f"{sql} * 0.01" if kind == "money" else f"({sql})::text" for _, kind, sql in COLUMNS)
        values = {"codes": ["EUR"], "units": ["0.01"], "zeros": ["0.00"], "exponents": [2], "tenant": self.tenant_id}
        chosen = "SELECT * FROM purchases WHERE tenant_id = %(tenant)s"
        statement = f"SELECT {columns} {_FROM.format(chosen=chosen)} ORDER BY p.occurred_at, p.id LIMIT {ROWS // SLICE}"

        def work() -> None:
            book = xlsxwriter.Workbook(str(to), {"constant_memory": True, "strings_to_formulas": False})
            sheet = book.add_worksheet()
            with self._connection() as connection:
                connection.execute("SELECT set_config('app.tenant_id', %s, true)", (str(self.tenant_id),))
                for number, row in enumerate(connection.execute(statement, values)):
                    sheet.write_row(number, 0, row)
            book.close()

        return lambda: seconds(work) * SLICE

    def _connection(self) -> Any:
        import psycopg

        from portal.settings import settings

        return psycopg.connect(settings().database_url("portal_app"))

    def _sell(self, members: list[Any]) -> None:
        """Rows made by PostgreSQL, and the first member an admin, whose session the requests carry."""
        import psycopg
        from flask import g

        from portal.extensions import db
        from portal.identity.models import TenantRole
        from portal.kernel.model import new_id
        from portal.partners.models import Business
        from portal.settings import settings

        g.seeding = True
        shop = Business(
            id=new_id(), slug="shop", name="Shop", category="food", currency="EUR", spend_confirmation="none"
        )
        db.session.add_all([shop, TenantRole(user_id=members[0], role="admin")])
        db.session.commit()
        g.seeding = False
        settle(settings().DATABASE_URL)  # else each row's foreign key would read all members
        with psycopg.connect(settings().DATABASE_URL) as connection:
            connection.execute(
                """
                INSERT INTO purchases (tenant_id, id, business_id, member_id, receipt_number, external_id, request_hash, amount, earn_base,
                    paid_with_bonus, bonus_accrued, refunded_total, currency, rate_num, rate_den, source, till, category, occurred_at, recorded_at)
                SELECT %(tenant)s, gen_random_uuid(), %(shop)s, (%(members)s::uuid[])[1 + n %% %(count)s], 'A-' || n, 'x-' || n, 'h',
                       500 + n %% 5000, 500, 0, 15, CASE WHEN n %% 50 = 0 THEN 500 ELSE 0 END, 'EUR', 3, 100, 'till', 'Till 1', 'food',
                       timestamptz '2025-01-01 08:00Z' + n * interval '20 seconds', timestamptz '2025-01-01 08:00Z' + n * interval '20 seconds'
                  FROM generate_series(1, %(rows)s) AS n""",
                {"tenant": self.tenant_id, "shop": shop.id, "members": members, "count": len(members), "rows": ROWS},
            )


assert sys.platform == "linux"  # /proc
