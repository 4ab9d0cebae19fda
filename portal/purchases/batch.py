"""Past sales in bulk: decided one by one by the rules of a single purchase, read and written set-wise (D5, D26, D27).

A thousand sales cost about a dozen statements. The outcome is the one that `record_purchase` would give for the same
sales in the same order: the same bonus, tier and balance.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction
from typing import Any
from uuid import UUID

from flask_babel import gettext
from pydantic_core import to_json
from sqlalchemy import text

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.commands import command, emit, journal
from portal.kernel.errors import NotFound, PortalError
from portal.kernel.tenancy import current_tenant_id
from portal.loyalty import batch as loyalty_batch
from portal.loyalty import queries as loyalty
from portal.loyalty.earn import earning
from portal.loyalty.queries import Position, Program
from portal.loyalty.service import RECOUNT_LOCK
from portal.purchases import wanted
from portal.purchases.decision import Decision, decide
from portal.purchases.events import HistoryImported, PurchaseRecorded
from portal.purchases.rows import Found
from portal.purchases.service import told
from portal.purchases.wanted import Sale
from portal.wallets.service import Accrual, post_batch

HISTORY = timedelta(hours=72)
MOST = 1000  # rows a transaction: longer ones hold folding, sealing and ClickHouse back (D19)
COLUMNS = (
    "tenant_id", "id", "business_id", "member_id", "location_id", "till", "category", "receipt_number", "external_id",
    "request_hash", "amount", "earn_base", "bonus_accrued", "currency", "rate_num", "rate_den", "tier_id", "source",
    "historical", "trace", "occurred_at",
)  # fmt: skip
_LIST = ", ".join(COLUMNS)
_SHOP = text(f"""
SELECT b.currency, b.category, b.archived_at, b.max_bonus_share, b.spend_confirmation, {RECOUNT_LOCK}
  FROM businesses b WHERE b.tenant_id = :tenant AND b.id = :business""")
_MEMBERS = text("""
SELECT id, suspended_at, suspended_reason FROM users
 WHERE tenant_id = :tenant AND id = ANY (:members) AND archived_at IS NULL AND merged_into IS NULL
 ORDER BY id FOR NO KEY UPDATE""")
_BALANCES = text("""
SELECT owner_id, posted FROM wallet_accounts WHERE tenant_id = :tenant AND owner_kind = 'member'
   AND owner_id = ANY (:members) AND owner_key = '' AND currency = :currency AND type = 'bonus'""")
_KNOWN = text("""
SELECT external_id, request_hash, trace -> 'request' AS request FROM purchases
 WHERE tenant_id = :tenant AND business_id = :business AND external_id = ANY (:ids)""")
_PLACES = text("""
SELECT id FROM business_locations WHERE tenant_id = :tenant AND business_id = :business AND id = ANY (:places)""")
_MAKE = text(f"""
CREATE TEMP TABLE IF NOT EXISTS purchase_batch ON COMMIT DELETE ROWS AS SELECT {_LIST} FROM purchases WITH NO DATA""")
_CLEAR = text("DELETE FROM pg_temp.purchase_batch")
_INSERT = text(f"""
INSERT INTO purchases ({_LIST}) SELECT {_LIST} FROM pg_temp.purchase_batch
ON CONFLICT (tenant_id, business_id, external_id) DO NOTHING""")


class Overtaken(Exception):
    """Another session recorded one of these sales a moment ago: the batch is to be tried again."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a sale: `recorded`, `repeated` (it was there, unchanged) or `refused` with the reason."""

    state: str
    reason: str = ""


RECORDED, REPEATED = Fate("recorded"), Fate("repeated")


@dataclass(slots=True)
class _Shop:
    """The business and everything about its buyers, kept in step while the batch is decided."""

    business_id: UUID
    found: Found
    program: Program | None
    members: Mapping[UUID, Any]
    positions: dict[UUID, Position]
    balances: dict[UUID, int]
    places: set[UUID]


@dataclass(slots=True)
class _Writing:
    """What the batch will write."""

    rows: list[tuple[Any, ...]] = field(default_factory=list)
    accruals: list[Accrual] = field(default_factory=list)
    moves: loyalty_batch.Moves = field(default_factory=loyalty_batch.Moves)
    news: list[PurchaseRecorded] = field(default_factory=list)
    history: list[tuple[UUID, int]] = field(default_factory=list)


@command("purchase.record_history")
def record_history(business_id: UUID, sales: Sequence[Sale], *, accrue: bool = True) -> list[Fate]:
    """Record sales of one business, at most a thousand, in their order; returns the fate of each.

    A sale known by its `external_id` is compared and left as it is. `accrue=False` gives no bonus for them; they count
    towards tiers all the same. Sales older than 72 hours are history: nobody is notified (D27). Raises `Overtaken`.
    """
    if len(sales) > MOST:
        raise ValueError(f"at most {MOST} sales a transaction")
    by_index()
    known = _known(business_id, sales)
    shop = _shop(
        business_id, {sale.member_id for sale in sales}, {sale.location_id for sale in sales if sale.location_id}
    )
    writing, now = _Writing(), clock.now()
    fates = []
    for sale in sales:
        whole, parts = sale.fingerprint()
        if (stored := known.get(sale.external_id)) is not None:
            fates.append(_compared(stored, whole, parts))
            continue
        historical = sale.occurred_at is not None and sale.occurred_at < now - HISTORY
        dated = sale if sale.historical == historical else replace(sale, historical=historical)
        try:
            decided = _decided(dated, shop, now, accrue=accrue)
        except PortalError as error:
            fates.append(Fate("refused", error.message))
            continue
        known[sale.external_id] = (whole, parts)
        _take(writing, shop, dated, decided, whole, parts)
        fates.append(RECORDED)
    _write(writing, shop)
    return fates


def by_index() -> None:
    """Plan this transaction's statements and foreign keys anew, by index.

    A table that grows while it is filled has no statistics yet: a foreign key's plan that was made while it was empty
    would read all of the tenant's rows for each row written, and stay so until autovacuum looks at the table. What
    must be read as a whole looks so costly then that it would be compiled first.
    """
    db.session.execute(text("SET LOCAL enable_seqscan = off; SET LOCAL jit = off"))
    db.session.execute(text("DISCARD PLANS"))


def _known(business_id: UUID, sales: Sequence[Sale]) -> dict[str, tuple[str, Mapping[str, str]]]:
    values = {"tenant": current_tenant_id(), "business": business_id, "ids": [sale.external_id for sale in sales]}
    return {row.external_id: (row.request_hash, row.request or {}) for row in db.session.execute(_KNOWN, values)}


def _compared(stored: tuple[str, Mapping[str, str]], whole: str, parts: Mapping[str, str]) -> Fate:
    """A field that only one of the two sendings had is no difference: tills and files tell different things of a sale."""
    if stored[0] == whole:
        return REPEATED
    names = [n for n in wanted.differing(stored[1], parts) if n in stored[1] and n in parts]
    if not names:
        return REPEATED
    return Fate(
        "refused",
        gettext(
            "this number was recorded before with other content; it differs in: %(fields)s", fields=", ".join(names)
        ),
    )


def _shop(business_id: UUID, buyers: Iterable[UUID], places: Iterable[UUID]) -> _Shop:
    """Lock the members in id order, then read: as a single purchase does (D18)."""
    values: dict[str, Any] = {"tenant": current_tenant_id(), "business": business_id, "members": sorted(buyers)}
    members = {row.id: row for row in db.session.execute(_MEMBERS, values)}
    row = db.session.execute(_SHOP, values).one_or_none()
    if row is None:
        raise NotFound(gettext("There is no such shop."))
    found = Found(
        currency=row.currency,
        category=row.category,
        archived_at=row.archived_at,
        max_bonus_share=row.max_bonus_share,
        spend_confirmation=row.spend_confirmation,
        location_is_own=None,
        existing=None,
        balance=0,
        position=None,
        suspended_reason=None,
        suspended=False,
        now=clock.now(),
    )
    program = loyalty.program()
    own = {p for (p,) in db.session.execute(_PLACES, {**values, "places": list(places)})} if places else set()
    return _Shop(
        business_id,
        found,
        program,
        members,
        loyalty_batch.positions(program, members) if program else {},
        dict(db.session.execute(_BALANCES, {**values, "currency": row.currency}).all()),
        own,
    )


def _decided(sale: Sale, shop: _Shop, now: Any, *, accrue: bool) -> Decision:
    member = shop.members.get(sale.member_id)
    if member is None:
        raise NotFound(gettext("There is no such member."))
    found = replace(
        shop.found,
        location_is_own=sale.location_id in shop.places,
        balance=shop.balances.get(sale.member_id, 0),
        position=shop.positions.get(sale.member_id),
        suspended_reason=member.suspended_reason,
        suspended=member.suspended_at is not None,
    )
    decided = decide(sale, found, now)
    return decided if accrue else replace(decided, earned=earning(sale.amount, Fraction(0), no_earn=sale.no_earn))


def _take(writing: _Writing, shop: _Shop, sale: Sale, decided: Decision, whole: str, parts: Mapping[str, str]) -> None:
    """Put the sale among what is written, and move the member on for their next sale in the batch."""
    earned, tier, move, code = decided.earned, decided.tier, decided.move, shop.found.currency
    receipt = sale.receipt_number or sale.external_id[: wanted.LONGEST["receipt_number"]]
    told_earning = earned.trace(
        code,
        tier=tier.code if tier else "",
        tier_name=dict(tier.name_i18n) if tier else {},
        expires_at=decided.expires_at.isoformat() if decided.expires_at else None,
    )
    if earned.bonus:
        writing.accruals.append(
            Accrual(
                external_id=str(decided.purchase_id),
                member_id=sale.member_id,
                amount=earned.bonus,
                occurred_at=decided.occurred_at,
                expires_at=decided.expires_at,
                caused_by=decided.purchase_id,
                details={"purchase_id": str(decided.purchase_id), "receipt_number": receipt, "earn": told_earning},
            )
        )
        burnt = decided.expires_at is not None and decided.expires_at <= clock.now()
        shop.balances[sale.member_id] = shop.balances.get(sale.member_id, 0) + (0 if burnt else earned.bonus)
    if move:
        writing.moves.add(move, decided.purchase_id, historical=sale.historical)
        shop.positions[sale.member_id] = loyalty_batch.after(shop.positions[sale.member_id], move)
    balance, reached = shop.balances.get(sale.member_id, 0), told(move)
    trace = {"earn": told_earning, "request": parts, "outcome": {"balances": {"bonus": balance}, "tier": reached}}
    writing.rows.append(
        (
            current_tenant_id(), decided.purchase_id, sale.business_id, sale.member_id, sale.location_id, sale.till,
            sale.category or shop.found.category, receipt, sale.external_id, whole, sale.amount, earned.base, earned.bonus,
            code, earned.rate.numerator, earned.rate.denominator, tier.id if tier else None, sale.source, sale.historical,
            to_json(trace).decode(), decided.occurred_at,
        )
    )  # fmt: skip
    if sale.historical:
        writing.history.append((decided.purchase_id, sale.amount))
        return
    event = PurchaseRecorded(
        purchase_id=decided.purchase_id, business_id=sale.business_id, member_id=sale.member_id, amount=sale.amount,
        paid_with_bonus=0, bonus_accrued=earned.bonus, currency=code, balance=balance, tier=reached["code"] if reached else "",
        version=1, source=sale.source, occurred_at=decided.occurred_at,
    )  # fmt: skip
    writing.news.append(event)


def _write(writing: _Writing, shop: _Shop) -> None:
    if not writing.rows:
        return
    post_batch(writing.accruals, currency=shop.found.currency, business_id=shop.business_id, source="purchase")
    db.session.execute(_MAKE)
    db.session.execute(_CLEAR)
    connection: Any = db.session.connection().connection.driver_connection
    with connection.cursor().copy(f"COPY pg_temp.purchase_batch ({_LIST}) FROM STDIN") as copy:
        for row in writing.rows:
            copy.write_row(row)
    inserted: Any = db.session.execute(_INSERT)
    if inserted.rowcount != len(writing.rows):
        raise Overtaken
    if shop.program:
        writing.moves.write(shop.program)
    journal().note("purchases", shop.business_id, {"recorded": [None, len(writing.rows)]})
    for event in writing.news:
        emit(event)
    if writing.history:
        ids = [purchase_id for purchase_id, _ in writing.history]
        imported = HistoryImported(
            business_id=shop.business_id, first_id=min(ids), last_id=max(ids), count=len(ids),
            amount=sum(amount for _, amount in writing.history), currency=shop.found.currency,
        )  # fmt: skip
        emit(imported, historical=True)
