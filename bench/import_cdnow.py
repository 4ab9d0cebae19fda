"""import.cdnow: CDNOW's history into a fresh tenant, with bonus, tiers, events and facts, against a bare COPY.

`python -m bench.import_cdnow FILE [VAR_DIR]` starts engines of its own, durable ones, imports FILE, carries every message
to its subscribers, imports it again, and prints the times. Exit 1 when a figure is not what the file says.
"""

import csv
import lzma
import os
import shutil
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path


def main(file: Path, var: Path) -> int:
    from portal import embedded

    os.environ.update(SECRET_KEY="bench-" * 8, LOG_LEVEL="ERROR", VAR_DIR=str(var))
    running = embedded.start(var, durable=True, given={})
    try:
        os.environ.update(
            DATABASE_URL=running.engines.database_url,
            REDIS_URL=running.engines.redis_url,
            CLICKHOUSE_URL=running.engines.clickhouse_url,
        )
        return measure(file)
    finally:
        running.stop()


def measure(file: Path) -> int:
    app = prepared()
    floor = bare_copy(file)
    first, carried, second = timed(lambda: run(app, file)), timed(lambda: carry(app)), timed(lambda: run(app, file))
    wanted, found = in_file(file), in_portal(app)
    print(
        f"import.cdnow {first + carried:.1f} s: {first:.1f} import, {carried:.1f} facts; again {second:.1f}; bare COPY {floor:.2f}, {(first + carried) / floor:.0f}x"
    )
    for name, value in wanted.items():
        print(f"  {name} {found[name]} {'ok' if found[name] == value else f'WRONG, the file says {value}'}")
    return int(found != wanted)


def timed(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def prepared():
    from flask import g

    from portal import create_app
    from portal.analytics.migrate import upgrade
    from portal.cli import database
    from portal.extensions import db
    from portal.kernel.model import new_id
    from portal.kernel.tenancy import tenant_scope
    from portal.loyalty.service import create_default_program
    from portal.partners.models import Business
    from portal.tenants.hosts import tenant_by_id
    from portal.tenants.service import create_tenant

    database.upgrade()
    upgrade()
    app = create_app()
    tenant_id = create_tenant("cdnow", name="CDNOW", currency="USD")
    with app.app_context(), tenant_scope(tenant_id):
        g.tenant = tenant_by_id(tenant_id)
        create_default_program("USD")
        g.seeding = True
        db.session.add(Business(id=new_id(), slug="cdnow", name="CDNOW", category="music", currency="USD"))
        db.session.commit()
    return app


def bare_copy(file: Path) -> float:
    import psycopg

    from portal.settings import settings

    with psycopg.connect(settings().DATABASE_URL, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE bare (external_id text, member_ref text, purchased_at date, amount numeric, currency text)"
        )

        def copy() -> None:
            with (
                connection.cursor().copy("COPY bare FROM STDIN (FORMAT csv, HEADER)") as target,
                opened(file) as source,
            ):
                shutil.copyfileobj(source, target)

        return timed(copy)


def run(app, file: Path) -> None:
    from click.testing import CliRunner

    from portal.cli import imports

    imports.application = lambda: app
    answer = CliRunner().invoke(imports.import_, ["purchases", str(file), "--tenant", "cdnow", "--business", "cdnow"])
    if answer.exit_code:
        raise SystemExit(answer.output)


def carry(app) -> None:
    from workers.jobs import load_tasks
    from workers.outbox import deliver_all

    load_tasks()
    deliver_all(app, rounds=10_000)


def in_portal(app) -> dict[str, int]:
    from sqlalchemy import text

    from portal.analytics.clickhouse import client
    from portal.extensions import db
    from portal.kernel.tenancy import tenant_scope

    with app.app_context():
        tenant_id = db.session.execute(text("SELECT id FROM tenants WHERE slug = 'cdnow'")).scalar_one()
        with tenant_scope(tenant_id):
            row = db.session.execute(
                text(
                    "SELECT count(*), sum(amount), count(DISTINCT member_id), count(*) FILTER (WHERE amount = 0) FROM purchases"
                )
            ).one()
            facts = client().query("SELECT count(), sum(amount_minor) FROM transaction_facts FINAL").result_rows[0]
    names = ("purchases", "cents", "members", "zero", "facts", "facts_cents")
    return dict(zip(names, map(int, (*row, *facts)), strict=True))


def in_file(file: Path) -> dict[str, int]:
    with opened(file) as source:
        rows = list(csv.DictReader(line.decode() for line in source))
    cents = [int(Decimal(row["amount"]) * 100) for row in rows]
    return {
        "purchases": len(rows), "cents": sum(cents), "members": len({row["member_ref"] for row in rows}), "zero": cents.count(0),
        "facts": len(rows), "facts_cents": sum(cents),
    }  # fmt: skip


def opened(file: Path):
    return lzma.open(file) if file.suffix == ".xz" else file.open("rb")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as own:
        sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else own)))
