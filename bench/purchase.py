"""A sale as the till and the API record it, against what could not be less: the same rows, an empty answer, an empty shop.

`record_purchase` checks, earns bonus, looks at the tier and leaves its entry and its message; its reference is one function
in SQL that writes as many rows of the same width into copies of the same tables, with their indexes.
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from uuid import UUID, uuid4

from bench.crowd import crowd, pgbench, written
from bench.harness import Figure, compare, engines
from bench.world import Standing, World

NAMES = ("purchase.command", "purchase.api", "growth.purchase")
MEMBERS, HISTORY, DAYS = 1_000, 5_000, 300
COPIED = (
    "wallet_accounts", "ledger_transactions", "ledger_entries", "lots", "purchases", "tier_progress", "audit_entries",
    "outbox_messages", "outbox_deliveries",
)  # fmt: skip
ONE_FUNCTION = """
CREATE SCHEMA bare;
{copies}
INSERT INTO bare.wallet_accounts SELECT * FROM public.wallet_accounts WHERE tenant_id = '{tenant}' AND type = 'bonus';
CREATE TABLE bare.buyer AS SELECT row_number() OVER () AS n, owner_id AS member, id AS account, tenant_id FROM bare.wallet_accounts;
CREATE INDEX ON bare.buyer (n);
CREATE FUNCTION bare.purchase(p_n int, p_amount bigint, p_trace jsonb, p_data jsonb) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE b bare.buyer; p uuid := gen_random_uuid(); x uuid := gen_random_uuid(); m uuid := gen_random_uuid(); at timestamptz := now();
        bonus bigint := p_amount / 20; w record; s bigint;
BEGIN
    SELECT * INTO b FROM bare.buyer WHERE n = p_n;
    INSERT INTO bare.ledger_transactions (tenant_id, id, type, module, action, source, external_id, request_hash, currency, amount, member_id,
           business_id, caused_by, metadata, occurred_at)
    VALUES (b.tenant_id, x, 'accrual', 'purchases', 'accrual', 'purchase', p::text, md5(p::text), 'RUB', bonus, b.member, '{shop}', p, p_trace, at);
    UPDATE bare.wallet_accounts a SET posted = posted + bonus, version = version + 1 WHERE a.tenant_id = b.tenant_id AND a.id = b.account
    RETURNING posted, version INTO w;
    INSERT INTO bare.lots (tenant_id, id, account_id, source_transaction_id, amount, remaining, activates_at, created_at)
    VALUES (b.tenant_id, gen_random_uuid(), b.account, x, bonus, bonus, at, at);
    INSERT INTO bare.ledger_entries (tenant_id, id, transaction_id, account_id, member_id, currency, amount, balance_before, balance_after, account_version, occurred_at)
    VALUES (b.tenant_id, gen_random_uuid(), x, b.tenant_id, NULL, 'RUB', -bonus, NULL, NULL, NULL, at),
           (b.tenant_id, gen_random_uuid(), x, b.account, b.member, 'RUB', bonus, w.posted - bonus, w.posted, w.version, at);
    INSERT INTO bare.purchases (tenant_id, id, business_id, member_id, receipt_number, external_id, request_hash, amount, earn_base, bonus_accrued,
           currency, rate_num, rate_den, source, trace, occurred_at)
    VALUES (b.tenant_id, p, '{shop}', b.member, p::text, p::text, md5(p::text), p_amount, p_amount, bonus, 'RUB', 1, 20, 'api', p_trace, at);
    INSERT INTO bare.tier_progress (tenant_id, member_id, program_id, window_start, qualifying)
    VALUES (b.tenant_id, b.member, b.tenant_id, date_trunc('year', at), p_amount)
    ON CONFLICT (tenant_id, member_id, program_id, window_start) DO UPDATE SET qualifying = bare.tier_progress.qualifying + excluded.qualifying;
    INSERT INTO bare.audit_entries (tenant_id, id, action, actor_kind, changes, occurred_at)
    VALUES (b.tenant_id, gen_random_uuid(), 'purchase.record', 'system', p_data, at);
    INSERT INTO bare.outbox_messages (tenant_id, id, type, schema_version, aggregate_type, aggregate_id, occurred_at, historical, data)
    VALUES (b.tenant_id, m, 'purchase.recorded', 1, 'purchase', p, at, false, p_data) RETURNING seq INTO s;
    INSERT INTO bare.outbox_deliveries (tenant_id, id, message_id, seq, subscriber, aggregate_type, aggregate_id)
    SELECT b.tenant_id, gen_random_uuid(), m, s, name, 'purchase', p FROM unnest('{subscribers}'::text[]) AS name;
    RETURN p;
END $$;
"""
SCRIPT = """
\\set n random(1, {members})
\\set amount random(1000, 100000)
SELECT bare.purchase((:n)::int, (:amount)::bigint, '{trace}', '{data}');
"""


def run(names: list[str]) -> Iterator[Figure]:
    with engines() as var:
        world = World(members=MEMBERS)
        world.request(partial(bought, world, HISTORY))
        world.settle()
        if "purchase.command" in names:
            bare = partial(pgbench, world.admin_url, _bare(world, var))
            world.settle()
            with crowd(buying, **_given(world)) as buyers:
                yield compare("purchase.command", buyers.rate, bare, bar=0.35)
        if "purchase.api" in names:
            yield _api(world)
        if "growth.purchase" in names:
            large = World(members=MEMBERS * 10, slug="large")
            large.request(partial(bought, large, HISTORY * 10))
            large.settle()
            with crowd(buying, **_given(world)) as few, crowd(buying, **_given(large)) as many:
                yield compare("growth.purchase", many.rate, few.rate, bar=0.75)


def _given(world: World) -> dict[str, object]:
    return {"tenant_id": world.tenant_id, "members": world.members, "business_id": world.business_id}


def bought(world: World, count: int) -> None:
    """So many purchases of the last months, spread over the members."""
    from portal.imports import statistics
    from portal.kernel import clock
    from portal.purchases.batch import MOST, record_history
    from portal.purchases.wanted import Sale

    now = clock.now()
    sales = [
        Sale(
            business_id=world.business_id, member_id=world.members[n % len(world.members)], amount=random.randint(1_000, 100_000),
            external_id=f"h{n}", currency=None, occurred_at=now - timedelta(days=4 + DAYS * (count - n) / count), category=None,
            location_id=None, till="", receipt_number=None, lines=(), bonus_to_spend=0, source="import", historical=True,
        )
        for n in range(count)
    ]  # fmt: skip
    for n in range(0, count, MOST):
        record_history(world.business_id, sales[n : n + MOST])
        statistics.refresh(n, n + MOST)


def buying(_n: int, tenant_id: UUID, members: list[UUID], business_id: UUID) -> Callable[[], object]:
    """A sale to somebody, of some amount."""
    from portal.purchases.service import record_purchase

    standing = Standing(tenant_id)

    def sell() -> None:
        record_purchase(
            business_id=business_id, member_id=random.choice(members), amount=random.randint(1_000, 100_000),
            external_id=str(uuid4()), source="api",
        )  # fmt: skip

    return lambda: standing.request(sell)


def _bare(world: World, folder: Path) -> Path:
    """The one function, fed with the trace and the message of a real purchase."""
    from sqlalchemy import text

    from portal.extensions import db

    world.request(partial(_sell_one, world))

    def real() -> tuple[object, object, list[str]]:
        trace = db.session.scalar(text("SELECT trace FROM purchases WHERE source = 'api' LIMIT 1"))
        message = db.session.execute(
            text("SELECT id, data FROM outbox_messages WHERE type = 'purchase.recorded' ORDER BY seq DESC LIMIT 1")
        ).one()
        told = text("SELECT subscriber FROM outbox_deliveries WHERE message_id = :message")
        return trace, message.data, list(db.session.scalars(told, {"message": message.id}))

    trace, data, subscribers = world.request(real)
    copies = "\n".join(f"CREATE TABLE bare.{table} (LIKE public.{table} INCLUDING ALL);" for table in COPIED)
    world.owner(
        ONE_FUNCTION.format(
            copies=copies, tenant=world.tenant_id, shop=world.business_id, subscribers="{" + ",".join(subscribers) + "}"
        )
    )
    quoted = {name: json.dumps(value).replace("'", "''") for name, value in (("trace", trace), ("data", data))}
    return written(folder, "purchase.sql", SCRIPT.format(members=len(world.members), **quoted))


def _sell_one(world: World) -> None:
    from portal.purchases.service import record_purchase

    record_purchase(
        business_id=world.business_id, member_id=world.members[0], amount=50_000, external_id=str(uuid4()), source="api"
    )


def _api(world: World) -> Figure:
    """Sales over HTTP against an empty view of the same gunicorn, eight tills at a time."""
    key = world.request(partial(_key, world))
    with _gunicorn() as port:
        host = f"bench.localhost:{port}"
        body = {"port": port, "host": host, "key": key, "cards": world.request(partial(_cards, world))}
        with crowd(till, size=8, **body, empty=False) as selling, crowd(till, size=8, **body, empty=True) as idle:
            return compare("purchase.api", selling.rate, idle.rate, bar=0.15)


def _key(world: World) -> str:
    from portal.partners.keys import create_key

    return create_key(world.business_id, name="bench")[1]


def _cards(world: World) -> list[str]:
    from sqlalchemy import select

    from portal.extensions import db
    from portal.identity.models import User

    return list(db.session.scalars(select(User.card_number).where(User.id.in_(world.members))))


@contextmanager
def _gunicorn() -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "-c", "python:portal.web.server", "bench.wsgi:app"]
    server = subprocess.Popen(
        command, env=os.environ | {"BIND": "127.0.0.1", "PORT": str(port), "API_RATE": "1000000 per minute"}
    )
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def till(_n: int, port: int, host: str, key: str, cards: list[str], empty: bool) -> Callable[[], object]:
    """A till with a connection of its own."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)

    def ask() -> None:
        try:
            status, text = once()
        except (RemoteDisconnected, ConnectionError):  # kept open for five seconds only, and it waits between rounds
            connection.close()
            status, text = once()
        if status not in {200, 201}:
            raise RuntimeError(f"{status} {text[:300]!r}")

    def once() -> tuple[int, bytes]:
        if empty:
            connection.request("GET", "/bench/empty", headers={"Host": host})
        else:
            sale = {"external_id": str(uuid4()), "member": random.choice(cards), "amount": "250.00", "currency": "RUB"}
            headers = {
                "Host": host,
                "Authorization": f"Bearer {key}",
                "Content-Type": "application/json",
                "Idempotency-Key": str(uuid4()),
            }
            connection.request("POST", "/api/v1/purchases", json.dumps(sale), headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    return ask
