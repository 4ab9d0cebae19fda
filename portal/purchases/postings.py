"""How a purchase and a refund move the ledger (G18)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from portal.extensions import db
from portal.kernel import money
from portal.kernel.tenancy import current_tenant_id
from portal.wallets.service import Account, Posting, post


def purchase(
    purchase_id: UUID,
    *,
    business_id: UUID,
    member_id: UUID,
    currency: str,
    spend: int,
    accrue: int,
    expires_at: datetime | None,
    occurred_at: datetime,
    now: datetime,
    details: Mapping[str, Any],
) -> list[Posting]:
    """Spend, then accrue; nothing when both are zero."""
    bonus, common = (
        Account.member(member_id),
        _common(purchase_id, business_id, member_id, currency, occurred_at, details),
    )
    made: list[Posting] = []
    if spend:
        payable = Account.payable(business_id)
        made.append(
            Posting(
                type="redemption",
                source="purchase",
                external_id=f"{purchase_id}:spend",
                amount=spend,
                payer=bonus,
                payee=payable,
                **common,
            )
        )
    if accrue:
        issuance = Account.issuance(business_id)
        made.append(
            Posting(
                type="accrual",
                source="purchase",
                external_id=str(purchase_id),
                amount=accrue,
                payer=issuance,
                payee=bonus,
                activates_at=min(occurred_at, now),
                expires_at=expires_at,
                **common,
            )
        )
    return made


def refund(
    refund_id: UUID,
    *,
    purchase_id: UUID,
    business_id: UUID,
    member_id: UUID,
    currency: str,
    take_back: int,
    give_back: int,
    grace_days: int,
    occurred_at: datetime,
    details: Mapping[str, Any],
) -> tuple[int, int | None]:
    """Give back what was paid with bonus, then take back what was earned, as far as the balance reaches (LOY-6).

    Returns what was really taken and the member's bonus afterwards, None when nothing moved.
    """
    bonus, common = (
        Account.member(member_id),
        _common(purchase_id, business_id, member_id, currency, occurred_at, details),
    )
    made: list[Posting] = []
    if give_back:
        paid = _to_their_lots(purchase_id, give_back, occurred_at, timedelta(days=grace_days))
        back: dict[str, Any] = {
            "type": "refund_restore",
            "source": "refund",
            "payer": Account.payable(business_id),
            "payee": bonus,
            **common,
        }
        if own := [
            {name: part[name] for name in ("lot", "amount", "expires_at")}
            for part in paid
            if part["owner"] == member_id
        ]:
            amount = sum(part["amount"] for part in own)
            made.append(Posting(external_id=f"{refund_id}:restore", amount=amount, restores=own, **back))
        made += [  # paid from an account that has another owner since a merge (D28): a lot alike
            Posting(
                external_id=f"{refund_id}:restore:{part['lot']}",
                amount=part["amount"],
                expires_at=part["expires_at"] or part["until"],
                **back,
            )
            for part in paid
            if part["owner"] != member_id
        ]
    if take_back:
        made.append(
            Posting(
                type="refund_reversal",
                source="refund",
                external_id=str(refund_id),
                amount=take_back,
                payer=bonus,
                payee=Account.issuance(business_id),
                first=_accrual(purchase_id),
                partial=True,
                **common,
            )
        )
    if not made:
        return 0, None
    last = post(*made)[-1]
    return (last.amount, last.payer_balance) if take_back else (0, last.payee_balance)


def _common(
    purchase_id: UUID,
    business_id: UUID,
    member_id: UUID,
    currency: str,
    occurred_at: datetime,
    details: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "module": "purchases",
        "currency": currency,
        "member_id": member_id,
        "business_id": business_id,
        "occurred_at": occurred_at,
        "caused_by": purchase_id,
        "details": {"purchase_id": str(purchase_id), **details},
    }


def _accrual(purchase_id: UUID) -> UUID | None:
    """The posting whose lot goes back first."""
    return db.session.scalar(
        text(
            "SELECT id FROM ledger_transactions WHERE tenant_id = :tenant AND caused_by = :purchase AND type = 'accrual' LIMIT 1"
        ),
        {"tenant": current_tenant_id(), "purchase": purchase_id},
    )


def _to_their_lots(purchase_id: UUID, amount: int, now: datetime, grace: timedelta) -> list[dict[str, Any]]:
    """Parts of `amount` for the lots that paid, in proportion to what each still has out; a burnt lot gets a grace.

    `owner` is whose lot it is, `until` its date as it stands.
    """
    paid = db.session.execute(
        text("""
        SELECT l.id, l.expires_at, w.owner_id, sum(a.amount)::bigint AS still_out
          FROM ledger_transactions x
          JOIN lot_allocations a ON a.tenant_id = x.tenant_id AND a.debit_transaction_id = x.id
          JOIN lots l ON l.tenant_id = a.tenant_id AND l.id = a.lot_id
          JOIN wallet_accounts w ON w.tenant_id = l.tenant_id AND w.id = l.account_id
         WHERE x.tenant_id = :tenant AND x.caused_by = :purchase AND x.type IN ('redemption', 'refund_restore')
         GROUP BY l.id, l.expires_at, w.owner_id, l.seq HAVING sum(a.amount) > 0 ORDER BY l.seq"""),
        {"tenant": current_tenant_id(), "purchase": purchase_id},
    ).all()
    parts = money.split(amount, [lot.still_out for lot in paid])
    return [
        {
            "lot": lot.id,
            "owner": lot.owner_id,
            "amount": part,
            "expires_at": now + grace if lot.expires_at and lot.expires_at <= now else None,
            "until": lot.expires_at,
        }
        for lot, part in zip(paid, parts, strict=True)
        if part
    ]
