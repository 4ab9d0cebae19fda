"""Words and figures of wallets as members read them (G16)."""

from collections.abc import Sequence

from flask_babel import gettext

from portal.kernel import money
from portal.web.locale import current as locale


def type_name(kind: str) -> str:
    """A posting's type (G5)."""
    names = {
        "accrual": gettext("Bonus earned"),
        "redemption": gettext("Paid with bonus"),
        "refund_reversal": gettext("Taken back after a refund"),
        "refund_restore": gettext("Given back after a refund"),
        "activation": gettext("Became spendable"),
        "expiry": gettext("Burnt"),
        "adjustment": gettext("Correction"),
        "transfer": gettext("Transfer"),
        "deposit": gettext("Top-up"),
        "withdrawal": gettext("Withdrawal"),
        "merge": gettext("Came with another account"),
        "opening_balance": gettext("Brought from the old programme"),
        "reward": gettext("Reward"),
    }
    return names.get(kind, kind)


def type_icon(kind: str) -> str:
    """The sign beside a movement that no shop brought about."""
    return {
        "accrual": "coin",
        "redemption": "receipt",
        "refund_reversal": "receipt-refund",
        "refund_restore": "arrow-back-up",
        "activation": "clock",
        "expiry": "flame",
        "adjustment": "adjustments-horizontal",
        "opening_balance": "history",
        "reward": "gift",
    }.get(kind, "arrows-left-right")


def account_name(kind: str) -> str:
    """An account's type (WAL-6)."""
    return {
        "bonus": gettext("Bonus"),
        "main": gettext("Money"),
        "locked": gettext("Waiting bonus"),
        "points": gettext("Points"),
    }.get(kind, kind)


def signed(minor: int, code: str) -> str:
    """An amount with its plus or minus."""
    plus = "+" if minor > 0 else ""
    return plus + money.format_amount(minor, code, locale(), symbol=False)


def parts(minor: int, code: str) -> Sequence[str]:
    """A figure for the hero: the whole and the fraction with its mark, which is set smaller; no fraction, no mark."""
    shown = money.format_amount(minor, code, locale(), symbol=False)
    decimals = money.currency(code).exponent
    if not decimals:
        return shown, ""
    cut = len(shown) - decimals - 1
    return shown[:cut], shown[cut:]
