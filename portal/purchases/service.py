"""A sale recorded for a member: the ledger, the tier, the receipt and their event in one transaction (G9, WAL-3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask_babel import gettext

from portal.identity import queries
from portal.kernel import clock
from portal.kernel.commands import command, emit, journal
from portal.kernel.errors import Busy
from portal.kyc import levels
from portal.loyalty import moves
from portal.purchases import confirmations, postings, rows, wanted
from portal.purchases.decision import Decision, decide
from portal.purchases.events import PurchaseRecorded
from portal.purchases.rows import Found
from portal.purchases.wanted import Line, Sale
from portal.wallets.errors import IdempotencyMismatch


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


@command("purchase.record", emits=(PurchaseRecorded,))
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

    Eight round trips to PostgreSQL, BEGIN and COMMIT among them, whatever the purchase; a spend by code takes more.
    `historical` allows an `occurred_at` older than 72 hours. Raises the errors of `wanted`, `decision` and
    `confirmations`, `kyc.levels.LevelMissing`, and the ledger's `IdempotencyMismatch` and `InsufficientFunds`.
    """
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
    whole, parts = sale.fingerprint()
    found = rows.load(sale)
    if found.existing:
        return _replay(found.existing, whole, parts, found.member_id)
    if found.member_id and found.member_id != member_id:
        sale = replace(sale, member_id=found.member_id)
    decided = decide(sale, found, clock.now())
    if bonus_to_spend:
        levels.require(sale.member_id, "bonus.spend", bonus_to_spend)
        confirmations.check(
            found.spend_confirmation,
            confirmed_by,
            business_id=business_id,
            member_id=member_id,
            amount=bonus_to_spend,
        )
    return _carry_out(sale, found, decided, whole, parts)


def _carry_out(sale: Sale, found: Found, decided: Decision, whole: str, parts: dict[str, str]) -> Outcome:
    """Move the ledger, then write everything else; the event goes out with the commit."""
    earned, tier = decided.earned, decided.tier
    receipt_number = sale.receipt_number or _receipt(sale, decided)
    told_earning = earned.trace(
        found.currency,
        tier=tier.code if tier else "",
        tier_name=dict(tier.name_i18n) if tier else {},
        expires_at=decided.expires_at.isoformat() if decided.expires_at else None,
    )
    balance = postings.purchase(
        decided.purchase_id,
        business_id=sale.business_id,
        member_id=sale.member_id,
        currency=found.currency,
        spend=sale.bonus_to_spend,
        accrue=earned.bonus,
        expires_at=decided.expires_at,
        occurred_at=decided.occurred_at,
        details={"receipt_number": receipt_number, "earn": told_earning},
    )
    outcome = Outcome(
        purchase_id=decided.purchase_id,
        replayed=False,
        amount=sale.amount,
        currency=found.currency,
        paid_with_bonus=sale.bonus_to_spend,
        bonus_accrued=earned.bonus,
        balances={"bonus": found.balance if balance is None else balance},
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
    }
    trace = {
        "earn": told_earning,
        "request": parts,
        "outcome": {"balances": outcome.balances, "tier": outcome.tier},
    }
    if (theirs := rows.write(sale, made, trace, decided.move)) is not None:
        raise _mismatch(theirs, parts) if wanted.differing(theirs, parts) else Busy()  # an import's: repeat, and replay
    _tell(sale, outcome, decided)
    return outcome


def _tell(sale: Sale, outcome: Outcome, decided: Decision) -> None:
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
            balance=outcome.balances["bonus"],
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
