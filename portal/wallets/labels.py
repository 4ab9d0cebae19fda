"""Words for what the ledger stores as codes (G16)."""

from flask_babel import gettext


def type_name(kind: str) -> str:
    """A posting's type as members read it (G5)."""
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
        "opening_balance": gettext("Brought from the old programme"),
        "reward": gettext("Reward"),
    }
    return names.get(kind, kind)


def account_name(kind: str) -> str:
    """An account's type as members read it."""
    return {
        "bonus": gettext("Bonus"),
        "main": gettext("Money"),
        "locked": gettext("Waiting bonus"),
        "points": gettext("Points"),
    }.get(kind, kind)
