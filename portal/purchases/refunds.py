"""Money given back for a purchase, whole or in parts, and the undo of a slip of the hand (LOY-6, D25, G9)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import g
from flask_babel import gettext
from sqlalchemy import text

from portal.extensions import db
from portal.kernel import clock
from portal.kernel.commands import command, emit, journal
from portal.kernel.errors import NotFound, PortalError
from portal.kernel.model import new_id
from portal.kernel.tenancy import current_tenant_id
from portal.loyalty import moves
from portal.loyalty import queries as loyalty
from portal.loyalty.earn import due_back
from portal.loyalty.service import RECOUNT_LOCK, held_before
from portal.purchases import policies, postings, wanted
from portal.purchases.events import PurchaseRefunded
from portal.purchases.service import told
from portal.wallets.errors import IdempotencyMismatch

LONGEST_REASON = 500


class RefundExceeds(PortalError):
    """More than is left of the purchase, or of a line of it; `left` says how much there is."""

    code = "refund.exceeds"


class RefundInvalid(PortalError):
    """The refund cannot be read."""

    code = "refund.invalid"


class UndoRefused(PortalError):
    """The purchase can no longer be undone here; a refund still can be given."""

    code, status = "refund.undo_refused", 409


@dataclass(frozen=True, slots=True)
class RefundOutcome:
    """What went back, in minor units; `unrecovered` is bonus that the member no longer had."""

    refund_id: UUID
    purchase_id: UUID
    external_id: str
    replayed: bool
    amount: int
    currency: str
    refunded_total: int
    bonus_taken_back: int
    bonus_given_back: int
    unrecovered: int
    balances: dict[str, int]
    tier: dict[str, Any] | None
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class Share:
    """What one refund is: its `amount`, the part of it that had earned bonus, and what that means for the bonus."""

    amount: int
    eligible: int
    take_back: int
    give_back: int


@command("purchase.refund", emits=(PurchaseRefunded,))
def refund_purchase(
    purchase_id: UUID,
    *,
    amount: int | None = None,
    lines: Sequence[Mapping[str, Any]] | None = None,
    external_id: str,
    reason: str = "",
    cause: str = "refund",
) -> RefundOutcome:
    """Give back an `amount`, or `lines` as `{number, amount}`, or, with neither, all that is left.

    The same `external_id` for the same purchase is the same refund. What the purchase had earned is taken back in
    proportion, never below a balance of zero; what had been paid with bonus returns to the lots it came from.
    Raises `RefundExceeds`, `RefundInvalid`, `IdempotencyMismatch`, `NotFound`.
    """
    wanted.check_texts(external_id=external_id)
    if not external_id or len(reason) > LONGEST_REASON or "\x00" in reason:
        raise RefundInvalid(gettext("The reason is too long or cannot be stored."), field="reason")
    bought = _locked(purchase_id, external_id)
    returned = [{"number": int(line["number"]), "amount": int(line["amount"])} for line in lines or ()]
    asked = wanted.fingerprint(
        {
            "amount": amount,
            "lines": [str(sorted(r.items())) for r in returned] or None,
            "reason": reason,
            "cause": cause,
        }
    )
    if bought.existing:
        return _replay(bought, amount, returned, reason, cause, asked[0])
    share = _share(bought, amount, returned)
    now, refund_id = clock.now(), new_id()
    taken, moved = postings.refund(
        refund_id,
        purchase_id=purchase_id,
        business_id=bought.business_id,
        member_id=bought.member_id,
        currency=bought.currency,
        take_back=share.take_back,
        give_back=share.give_back,
        grace_days=_grace_days(bought),
        occurred_at=now,
        details={"refund_id": str(refund_id), "receipt_number": bought.receipt_number, "amount": share.amount},
    )
    balance = bought.balance if moved is None else moved
    total = bought.refunded_total + share.amount
    values = {
        "tenant": current_tenant_id(),
        "id": refund_id,
        "purchase": purchase_id,
        "external_id": external_id,
        "hash": asked[0],
        "amount": share.amount,
        "eligible": share.eligible,
        "lines": json.dumps(returned),
        "taken": taken,
        "given": share.give_back,
        "unrecovered": share.take_back - taken,
        "cause": cause,
        "reason": reason,
        "actor": g.get("actor_id"),
        "now": now,
    }
    version = db.session.scalar(_WRITE, values)
    move = _tier_move(bought, share, now)
    if move:
        moves.write(move, purchase_id)
    journal().about("purchase", purchase_id)
    journal().reason(reason)
    journal().note("purchases", purchase_id, {"refunded_total": [bought.refunded_total, total]})
    emit(
        PurchaseRefunded(
            purchase_id=purchase_id,
            refund_id=refund_id,
            business_id=bought.business_id,
            member_id=bought.member_id,
            amount=share.amount,
            refunded_total=total,
            bonus_taken_back=taken,
            bonus_given_back=share.give_back,
            unrecovered=share.take_back - taken,
            currency=bought.currency,
            balance=balance,
            cause=cause,
            version=version,
            occurred_at=now,
        )
    )
    return RefundOutcome(
        refund_id=refund_id,
        purchase_id=purchase_id,
        external_id=external_id,
        replayed=False,
        amount=share.amount,
        currency=bought.currency,
        refunded_total=total,
        bonus_taken_back=taken,
        bonus_given_back=share.give_back,
        unrecovered=share.take_back - taken,
        balances={"bonus": balance},
        tier=told(move),
        occurred_at=now,
    )


@command("purchase.undo", emits=(PurchaseRefunded,))
def undo_purchase(purchase_id: UUID, *, reason: str, key: str) -> RefundOutcome:
    """Take a whole purchase back as if it had not been: within 12 hours, on its own device or by a manager (G9)."""
    if not reason.strip():
        raise RefundInvalid(gettext("Say what went wrong."), field="reason")
    bought = _locked(purchase_id, key)
    if not bought.existing:
        device = g.get("device_session")
        if not policies.may_undo(bought, g.get("person"), device.id if device else None, clock.now()):
            raise UndoRefused(
                gettext(
                    "It can be undone for 12 hours, on the till that rang it up or by a manager. Give a refund instead."
                )
            )
    return refund_purchase(purchase_id, external_id=key, reason=reason, cause="undo")


_LOCK = text(f"SELECT id, {RECOUNT_LOCK} FROM users WHERE tenant_id = :tenant AND id = :member FOR NO KEY UPDATE")
_WHOSE = text("""
SELECT coalesce(u.merged_into, u.id) FROM purchases p JOIN users u ON u.tenant_id = p.tenant_id AND u.id = p.member_id
 WHERE p.tenant_id = :tenant AND p.id = :purchase""")
_LOAD = text(f"""
SELECT p.id, p.business_id, cast(:member AS uuid) AS member_id, p.receipt_number, p.currency, p.amount, p.paid_with_bonus, p.bonus_accrued, p.refunded_total,
       p.bonus_given_back, p.occurred_at, p.recorded_at, p.device_id, p.version,
       coalesce((SELECT sum(r.bonus_taken_back + r.unrecovered) FROM purchase_refunds r
                  WHERE r.tenant_id = p.tenant_id AND r.purchase_id = p.id), 0)::bigint AS reversed,
       coalesce((SELECT sum(r.eligible) FROM purchase_refunds r
                  WHERE r.tenant_id = p.tenant_id AND r.purchase_id = p.id), 0)::bigint AS eligible_refunded,
       (SELECT jsonb_agg(jsonb_build_array(l.number, l.amount, l.earns,
               (SELECT coalesce(sum((x ->> 'amount')::bigint), 0) FROM purchase_refunds r, jsonb_array_elements(r.lines) x
                 WHERE r.tenant_id = p.tenant_id AND r.purchase_id = p.id AND (x ->> 'number')::int = l.number)))
          FROM purchase_lines l WHERE l.tenant_id = p.tenant_id AND l.purchase_id = p.id) AS lines,
       (SELECT to_jsonb(r) FROM purchase_refunds r
         WHERE r.tenant_id = p.tenant_id AND r.purchase_id = p.id AND r.external_id = :external_id) AS existing,
       coalesce((SELECT a.posted FROM wallet_accounts a
                  WHERE a.tenant_id = p.tenant_id AND a.owner_kind = 'member' AND a.owner_id = :member AND a.owner_key = ''
                    AND a.currency = p.currency AND a.type = 'bonus'), 0) AS balance,
       {loyalty.position_sql()}
  FROM purchases p WHERE p.tenant_id = :tenant AND p.id = :purchase""")
_WRITE = text("""
WITH refund AS (
    INSERT INTO purchase_refunds (tenant_id, id, purchase_id, external_id, request_hash, amount, eligible, lines,
        bonus_taken_back, bonus_given_back, unrecovered, cause, reason, actor_id, occurred_at)
    VALUES (:tenant, :id, :purchase, :external_id, :hash, :amount, :eligible, cast(:lines AS jsonb), :taken, :given,
        :unrecovered, :cause, :reason, :actor, :now)
)
UPDATE purchases SET refunded_total = refunded_total + :amount, bonus_taken_back = bonus_taken_back + :taken,
       bonus_given_back = bonus_given_back + :given, version = version + 1
 WHERE tenant_id = :tenant AND id = :purchase
RETURNING version""")


def _locked(purchase_id: UUID, external_id: str) -> Any:
    """The purchase as it stands with its member's and its own row locked, in that order (D18).

    A purchase of somebody who was merged into another is the other one's to give back (D28).
    """
    values: dict[str, Any] = {"tenant": current_tenant_id(), "purchase": purchase_id, "external_id": external_id}
    values["member"] = None
    while (member_id := db.session.scalar(_WHOSE, values)) != values["member"]:  # a merge may come before the lock
        values["member"] = member_id
        db.session.execute(_LOCK, values)
    if member_id is None:
        raise NotFound(gettext("There is no such purchase."))
    db.session.execute(text("SELECT 1 FROM purchases WHERE tenant_id = :tenant AND id = :purchase FOR UPDATE"), values)
    return db.session.execute(_LOAD, values).one()


def _share(bought: Any, amount: int | None, returned: Sequence[Mapping[str, int]]) -> Share:
    """How much goes back, and its part in what was earned and in what was paid with bonus (LOY-6). Exact to the unit."""
    left = bought.amount - bought.refunded_total
    lines = {number: (line, earns, back) for number, line, earns, back in bought.lines or ()}
    if returned:
        amount = _checked_lines(returned, lines)
    amount = left if amount is None else amount
    if amount <= 0:
        raise RefundInvalid(gettext("The amount must be above zero."), field="amount") if left else _exceeds(left)
    if amount > left:
        raise _exceeds(left)
    whole = amount == left
    eligible = sum(line for line, earns, _ in lines.values() if earns) if lines else bought.amount
    eligible_left = eligible - bought.eligible_refunded
    if whole:
        part = eligible_left
    elif returned:
        part = min(eligible_left, sum(r["amount"] for r in returned if lines[r["number"]][1]))
    else:
        part = min(eligible_left, amount * eligible // bought.amount)
    return Share(
        amount=amount,
        eligible=part,
        take_back=due_back(
            bought.bonus_accrued, bought.eligible_refunded + part, eligible, bought.reversed, whole=whole
        ),
        give_back=due_back(
            bought.paid_with_bonus, bought.refunded_total + amount, bought.amount, bought.bonus_given_back, whole=whole
        ),
    )


def _checked_lines(returned: Sequence[Mapping[str, int]], lines: Mapping[int, tuple[int, bool, int]]) -> int:
    numbers = [r["number"] for r in returned]
    if (
        len(set(numbers)) != len(numbers)
        or any(n not in lines for n in numbers)
        or any(r["amount"] <= 0 for r in returned)
    ):
        raise RefundInvalid(gettext("Name each line that comes back once, with an amount above zero."), field="lines")
    for r in returned:
        line, _, back = lines[r["number"]]
        if r["amount"] > line - back:
            raise _exceeds(line - back)
    return sum(r["amount"] for r in returned)


def _exceeds(left: int) -> RefundExceeds:
    return RefundExceeds(gettext("That is more than is left of this purchase."), left=left)


def _grace_days(bought: Any) -> int:
    place = loyalty.position_of(bought)
    return place.program.refund_grace_days if place else 14


def _tier_move(bought: Any, share: Share, now: datetime) -> moves.Move | None:
    place = loyalty.position_of(bought)
    spent = share.amount - share.give_back
    if place is None or place.program.currency != bought.currency:
        return None
    held = held_before(place, bought.member_id, place.program.rules.calendar.start(now))
    return moves.taking_back(place, bought.member_id, spent, bought.occurred_at, now, held_before=held)


def _replay(
    bought: Any, amount: int | None, returned: list[dict[str, int]], reason: str, cause: str, sent: str
) -> RefundOutcome:
    done = bought.existing
    if done["request_hash"] != sent:
        stored = {"amount": done["amount"], "lines": done["lines"], "reason": done["reason"], "cause": done["cause"]}
        given = {
            "amount": done["amount"] if amount is None else amount,
            "lines": returned,
            "reason": reason,
            "cause": cause,
        }
        names = sorted(name for name in stored if stored[name] != given[name]) or ["amount"]
        raise IdempotencyMismatch(
            gettext("This refund was given before with other content: %(fields)s.", fields=", ".join(names)),
            fields=names,
        )
    journal().unchanged()
    place = loyalty.position_of(bought)
    tier = place.at(clock.now()).tier if place else None
    return RefundOutcome(
        refund_id=UUID(done["id"]),
        purchase_id=bought.id,
        external_id=done["external_id"],
        replayed=True,
        amount=done["amount"],
        currency=bought.currency,
        refunded_total=bought.refunded_total,
        bonus_taken_back=done["bonus_taken_back"],
        bonus_given_back=done["bonus_given_back"],
        unrecovered=done["unrecovered"],
        balances={"bonus": bought.balance},
        tier={"code": tier.code, "name": dict(tier.name_i18n), "rank": tier.rank, "up": False} if tier else None,
        occurred_at=datetime.fromisoformat(done["occurred_at"]),
    )
