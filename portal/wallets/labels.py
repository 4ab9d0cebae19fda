"""Words and figures of wallets as members read them (G16)."""

from collections.abc import Sequence

from flask_babel import lazy_gettext as _

from portal.kernel import money
from portal.web.locale import current as locale

# Spoken when they are read: a statement names its kinds many times over.
_TYPES = {
    "accrual": _("Bonus earned"),
    "redemption": _("Paid with bonus"),
    "refund_reversal": _("Taken back after a refund"),
    "refund_restore": _("Given back after a refund"),
    "activation": _("Became spendable"),
    "expiry": _("Burnt"),
    "adjustment": _("Correction"),
    "transfer": _("Transfer"),
    "deposit": _("Top-up"),
    "withdrawal": _("Withdrawal"),
    "merge": _("Moved between two accounts of one person"),
    "opening_balance": _("Brought from the old programme"),
    "reward": _("Reward"),
}
_ICONS = {
    "accrual": "coin",
    "redemption": "receipt",
    "refund_reversal": "receipt-refund",
    "refund_restore": "arrow-back-up",
    "activation": "clock",
    "expiry": "flame",
    "adjustment": "adjustments-horizontal",
    "opening_balance": "history",
    "reward": "gift",
}
_ACCOUNTS = {
    "bonus": _("Bonus"),
    "main": _("Money"),
    "locked": _("Waiting bonus"),
    "points": _("Points"),
}


def type_name(kind: str) -> str:
    """A posting's type (G5)."""
    return str(_TYPES.get(kind, kind))


def type_icon(kind: str) -> str:
    """The sign beside a movement."""
    return _ICONS.get(kind, "arrows-left-right")


def account_name(kind: str) -> str:
    """An account's type (WAL-6)."""
    return str(_ACCOUNTS.get(kind, kind))


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
