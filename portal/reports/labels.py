"""The words of this noun as people read them (G16)."""

from flask_babel import gettext


def columns() -> dict[str, str]:
    """The headings of the workbook; CSV and JSON carry the names themselves, for programs."""
    return {
        "occurred_at": gettext("When"),
        "business": gettext("Shop"),
        "receipt_number": gettext("Receipt"),
        "member": gettext("Member"),
        "card_ends": gettext("Card ends in"),
        "category": gettext("Kind of goods"),
        "currency": gettext("Currency"),
        "gross": gettext("Sales before refunds"),
        "refunded": gettext("Refunded"),
        "net": gettext("Sales after refunds"),
        "paid_with_bonus": gettext("Paid with bonus"),
        "bonus_given_back": gettext("Bonus given back"),
        "bonus_accrued": gettext("Bonus given"),
        "bonus_taken_back": gettext("Bonus taken back"),
        "status": gettext("Status"),
        "source": gettext("Source"),
        "till": gettext("Till"),
        "cashier": gettext("Cashier"),
        "purchase_id": gettext("Purchase"),
    }


def presets() -> list[tuple[str, str]]:
    """Periods with a name."""
    return [
        ("today", gettext("Today")),
        ("yesterday", gettext("Yesterday")),
        ("month", gettext("This month")),
        ("last_month", gettext("Last month")),
        ("all", gettext("All time")),
    ]
