"""The file that shows how a file looks."""

HEADER = ("external_id", "member", "name", "purchased_at", "amount", "currency", "category", "receipt_number")
ROWS = (
    ("S-1001", "+7 912 000 01 01", "Anna Volkova", "2026-03-14 09:30", "1240.00", "{currency}", "food", "0001-77"),
    ("S-1002", "boris@example.com", "Boris Lee", "2026-03-14", "356.50", "{currency}", "", ""),
    ("S-1003", "C00042", "", "14.03.2026", "89", "{currency}", "", ""),
)


def rows(currency: str) -> list[list[str]]:
    """Three sales, in the business's currency."""
    return [[cell.format(currency=currency) for cell in row] for row in ROWS]
