"""Rows and outcomes as answers: decimal strings, moments in UTC with `Z` (G6, G11)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from portal.kernel.model import I18n
from portal.kernel.money import decimal_string
from portal.web.locale import current as locale


def moment(value: datetime) -> str:
    """RFC 3339 in UTC."""
    return (
        value.astimezone(UTC)
        .isoformat(timespec="microseconds" if value.microsecond else "seconds")
        .replace("+00:00", "Z")
    )


def balances(by_type: Mapping[str, int], currency: str) -> dict[str, str]:
    """Balances by account type; bonus is always there."""
    return {name: decimal_string(minor, currency) for name, minor in {"bonus": 0, **by_type}.items()}


def tier(found: Any) -> dict[str, str] | None:
    """A tier, whether it comes as the ladder's or as an outcome's mapping."""
    if not found:
        return None
    code, name = (found["code"], found["name"]) if isinstance(found, Mapping) else (found.code, found.name_i18n)
    return {"code": code, "name": I18n(name).in_(locale()) or code}


def outcome(made: Any, external_id: str, member_id: Any) -> dict[str, Any]:
    """What a recorded sale is answered with."""
    return {
        "id": made.purchase_id,
        "external_id": external_id,
        "member_id": member_id,
        "receipt_number": made.receipt_number,
        "amount": decimal_string(made.amount, made.currency),
        "currency": made.currency,
        "paid_with_bonus": decimal_string(made.paid_with_bonus, made.currency),
        "bonus_accrued": decimal_string(made.bonus_accrued, made.currency),
        "balances": balances(made.balances, made.currency),
        "tier": tier(made.tier),
        "occurred_at": moment(made.occurred_at),
    }


def purchase(row: Any) -> dict[str, Any]:
    """A purchase as it stands."""
    code = row.currency
    return {
        "id": row.id,
        "external_id": row.external_id,
        "member_id": row.member_id,
        "receipt_number": row.receipt_number,
        "amount": decimal_string(row.amount, code),
        "currency": code,
        "paid_with_bonus": decimal_string(row.paid_with_bonus, code),
        "bonus_accrued": decimal_string(row.bonus_accrued, code),
        "refunded_total": decimal_string(row.refunded_total, code),
        "bonus_taken_back": decimal_string(row.bonus_taken_back, code),
        "bonus_given_back": decimal_string(row.bonus_given_back, code),
        "category": row.category,
        "till": row.till,
        "source": row.source,
        "occurred_at": moment(row.occurred_at),
        "recorded_at": moment(row.recorded_at),
    }


def line(row: Any, code: str) -> dict[str, Any]:
    """A line of the receipt."""
    return {
        "number": row.number,
        "sku": row.sku,
        "name": row.name,
        "category": row.category,
        "quantity": f"{row.quantity.normalize():f}",
        "amount": decimal_string(row.amount, code),
        "earns": row.earns,
    }


def refund(made: Any, purchase_id: Any, external_id: str) -> dict[str, Any]:
    """What a refund is answered with (D25)."""
    code = made.currency
    return {
        "refund_id": made.refund_id,
        "purchase_id": purchase_id,
        "external_id": external_id,
        "amount": decimal_string(made.amount, code),
        "refunded_total": decimal_string(made.refunded_total, code),
        "currency": code,
        "bonus_taken_back": decimal_string(made.bonus_taken_back, code),
        "bonus_given_back": decimal_string(made.bonus_given_back, code),
        "unrecovered": decimal_string(made.unrecovered, code),
        "balances": balances(made.balances, code),
        "tier": tier(made.tier),
    }
