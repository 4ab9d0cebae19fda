"""A sale recorded for a member: the ledger, the tier, the receipt and their event in one transaction (G9, WAL-3)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy.exc import DBAPIError

from portal.identity import queries
from portal.kernel import books
from portal.kernel.commands import command, emit, journal, refuse_looking, repeated, stands_alone
from portal.kernel.driver import as_sqlalchemy
from portal.kernel.errors import Busy
from portal.kernel.journal import Journal
from portal.kernel.outbox import wake_relay
from portal.kernel.primaries import own_statement
from portal.kyc import levels
from portal.loyalty import moves
from portal.purchases import confirmations, postings, rows, wanted
from portal.purchases.decision import Decision, decide
from portal.purchases.events import PurchaseRecorded
from portal.purchases.rows import Found
from portal.purchases.wanted import Line, Sale
from portal.wallets.errors import IdempotencyMismatch
from portal.wallets.service import Posting, named, planned


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the till shows: amounts in minor units; `balances` by account type, `tier` as it is now."""

    purchase_id: UUID
    replayed: bool
    amount: int
    currency: str
    paid_with_bonus: int
    bonus_accrued: int
    balances: dict[str, int]
    tier: dict[str, Any] | None
    occurred_at: datetime
    receipt_number: str


def record_purchase(
    *,
    business_id: UUID,
    member_id: UUID,
    amount: int,
    external_id: str,
    currency: str | None = None,
    occurred_at: datetime | None = None,
    category: str | None = None,
    location_id: UUID | None = None,
    till: str = "",
    receipt_number: str | None = None,
    lines: Sequence[Line | Mapping[str, Any]] = (),
    bonus_to_spend: int = 0,
    confirmed_by: str | None = None,
    source: str,
    historical: bool = False,
) -> Outcome:
    """Ring up a purchase of `amount` minor units; the same `external_id` at the same business is the same purchase.

    Two statements, whatever the purchase: one reads, one writes, the command's books among it. A sale that is nobody
    else's business (no command, request or transaction to join) is those two alone: the member is not locked while it is
    decided, and where something came between it is done again under the lock. A spend by code takes more statements.
    `historical` allows an `occurred_at` older than 72 hours. Raises the errors of `wanted`, `decision` and
    `confirmations`, `kyc.levels.LevelMissing`, and the ledger's `IdempotencyMismatch` and `InsufficientFunds`.
    """
    refuse_looking("purchase.record")
    sale = Sale(
        business_id=business_id,
        member_id=member_id,
        amount=amount,
        external_id=external_id,
        currency=currency,
        occurred_at=occurred_at,
        category=category,
        location_id=location_id,
        till=till,
        receipt_number=receipt_number,
        lines=wanted.lines_of(lines, amount),
        bonus_to_spend=bonus_to_spend,
        source=source,
        historical=historical,
    )
    done = None
    if not bonus_to_spend and stands_alone():
        done = repeated("purchase.record", lambda: _alone(sale))
    return done or _recorded(sale, confirmed_by)


@command("purchase.record", emits=(PurchaseRecorded,))
def _recorded(sale: Sale, confirmed_by: str | None) -> Outcome:
    """Within a transaction, with the member held."""
    done = _sold(sale, confirmed_by, rows.inside, hold=True)
    assert done is not None  # noqa: S101  the member is held
    return done


record_purchase.command = _recorded.command  # type: ignore[attr-defined]
record_purchase.emits = _recorded.emits  # type: ignore[attr-defined]


def _alone(sale: Sale) -> Outcome | None:
    """Two statements, each a transaction; None where something came between them."""
    g.journal = own = Journal("purchase.record")
    try:
        with own_statement() as ask:
            done = _sold(sale, None, as_sqlalchemy(ask), hold=False)
    finally:
        g.journal = None
    if done and own.events:
        wake_relay(own.events)
    return done


def _sold(sale: Sale, confirmed_by: str | None, ask: rows.Ask, *, hold: bool) -> Outcome | None:
    whole, parts = sale.fingerprint()
    found = rows.read(sale, ask, hold=hold)
    if found.existing and not hold:
        return None  # whose it is may take a further look
    if found.existing:
        return _replay(found.existing, whole, parts, found.member_id)
    named_member = sale.member_id  # who asked for a code may have been merged into another meanwhile
    if found.member_id and found.member_id != sale.member_id:
        sale = replace(sale, member_id=found.member_id)
    decided = decide(sale, found, found.now)
    if sale.bonus_to_spend:
        levels.require(sale.member_id, "bonus.spend", sale.bonus_to_spend)
        confirmations.check(
            found.spend_confirmation,
            confirmed_by,
            business_id=sale.business_id,
            member_id=named_member,
            amount=sale.bonus_to_spend,
        )
    return _carry_out(sale, found, decided, whole, parts, ask)


def _carry_out(
    sale: Sale, found: Found, decided: Decision, whole: str, parts: dict[str, str], ask: rows.Ask
) -> Outcome | None:
    """Move the ledger and write everything else; the event goes out with the commit."""
    earned, tier = decided.earned, decided.tier
    receipt_number = sale.receipt_number or _receipt(sale, decided)
    told_earning = earned.trace(
        found.currency,
        tier=tier.code if tier else "",
        tier_name=dict(tier.name_i18n) if tier else {},
        expires_at=decided.expires_at.isoformat() if decided.expires_at else None,
    )
    moved = postings.purchase(
        decided.purchase_id,
        business_id=sale.business_id,
        member_id=sale.member_id,
        currency=found.currency,
        spend=sale.bonus_to_spend,
        accrue=earned.bonus,
        expires_at=decided.expires_at,
        occurred_at=decided.occurred_at,
        now=found.now,
        details={"receipt_number": receipt_number, "earn": told_earning},
    )
    outcome = Outcome(
        purchase_id=decided.purchase_id,
        replayed=False,
        amount=sale.amount,
        currency=found.currency,
        paid_with_bonus=sale.bonus_to_spend,
        bonus_accrued=earned.bonus,
        balances={},
        tier=told(decided.move),
        occurred_at=decided.occurred_at,
        receipt_number=receipt_number,
    )
    made = {
        "id": decided.purchase_id,
        "category": sale.category or found.category,
        "receipt_number": receipt_number,
        "request_hash": whole,
        "earn_base": earned.base,
        "bonus_accrued": earned.bonus,
        "currency": found.currency,
        "rate_num": earned.rate.numerator,
        "rate_den": earned.rate.denominator,
        "tier_id": tier.id if tier else None,
        "occurred_at": decided.occurred_at,
        "postings": planned(moved),
        "balance_of": "payee_balance" if earned.bonus else "payer_balance",
        "trace": {"earn": told_earning, "request": parts, "outcome": {"tier": outcome.tier}},
    }
    if decided.move:
        made["move"] = moves.stored(decided.move)
    own = journal()
    if not own.joined:  # the balance is written into the message as it is moved
        _tell(sale, outcome, decided, 0)
        made["books"] = books.of(own, found.now)
        own.written = True
    try:
        balance = rows.write(sale, found, made, ask)
    except DBAPIError as error:
        raise _refused(error, moved, parts) from error
    if balance is None:
        return None
    if own.joined:
        _tell(sale, outcome, decided, balance)
    return replace(outcome, balances={"bonus": balance})


def _refused(error: DBAPIError, moved: Sequence[Posting], parts: Mapping[str, str]) -> Exception:
    if getattr(error.orig, "sqlstate", None) != "KR410":
        return named(error, moved)
    theirs = json.loads(error.orig.diag.message_detail or "{}")  # type: ignore[union-attr]
    return _mismatch(theirs, parts) if wanted.differing(theirs, parts) else Busy()  # an import's: repeat, and replay


def _tell(sale: Sale, outcome: Outcome, decided: Decision, balance: int) -> None:
    journal().about("purchase", outcome.purchase_id)
    journal().note(
        "purchases",
        outcome.purchase_id,
        {"amount": [None, sale.amount], "bonus_accrued": [None, outcome.bonus_accrued]},
    )
    emit(
        PurchaseRecorded(
            purchase_id=outcome.purchase_id,
            business_id=sale.business_id,
            member_id=sale.member_id,
            amount=sale.amount,
            paid_with_bonus=sale.bonus_to_spend,
            bonus_accrued=outcome.bonus_accrued,
            currency=outcome.currency,
            balance=balance,
            tier=outcome.tier["code"] if outcome.tier else "",
            version=1,
            source=sale.source,
            occurred_at=outcome.occurred_at,
        ),
        historical=sale.historical,
    )
    moves.tell(decided.move, historical=sale.historical)


def _replay(existing: dict[str, Any], whole: str, parts: Mapping[str, str], member_id: UUID | None) -> Outcome:
    """The stored answer to the same request; another request under the same key is refused (WAL-3).

    Whoever was merged into another since is the same person under another id (D28).
    """
    differing = wanted.differing(existing["trace"].get("request", {}), parts)
    renamed = differing == ["member_id"] and queries.survivor(UUID(existing["member_id"])) == member_id
    if existing["request_hash"] != whole and not renamed:
        raise _mismatch(existing["trace"].get("request", {}), parts)
    journal().unchanged()
    stored = existing["trace"].get("outcome", {})
    return Outcome(
        purchase_id=UUID(existing["id"]),
        replayed=True,
        amount=existing["amount"],
        currency=existing["currency"],
        paid_with_bonus=existing["paid_with_bonus"],
        bonus_accrued=existing["bonus_accrued"],
        balances=stored.get("balances", {}),
        tier=stored.get("tier"),
        occurred_at=datetime.fromisoformat(existing["occurred_at"]).astimezone(UTC),
        receipt_number=existing["receipt_number"],
    )


def _mismatch(stored: Mapping[str, str], sent: Mapping[str, str]) -> IdempotencyMismatch:
    names = wanted.differing(stored, sent)
    return IdempotencyMismatch(
        gettext("This purchase was recorded before with other content: %(fields)s.", fields=", ".join(names)),
        fields=names,
    )


def told(move: moves.Move | None) -> dict[str, Any] | None:
    """The tier as an answer says it: `up` when this very step raised it."""
    if move is None:
        return None
    tier = move.standing.tier
    up = any(step.after.rank > step.before.rank for step in move.steps if step.cause == "earned")
    return {"code": tier.code, "name": dict(tier.name_i18n), "rank": tier.rank, "up": up}


def _receipt(sale: Sale, decided: Decision) -> str:
    """The number of a sale whose till gave none (G10)."""
    if sale.source != "till":
        return sale.external_id[: wanted.LONGEST["receipt_number"]]
    day = decided.occurred_at.strftime("%Y%m%d")
    return "-".join(part for part in (sale.till, day, decided.purchase_id.hex[-6:].upper()) if part)
