"""The words of this noun as people read them (G16)."""

from flask_babel import gettext


def source(code: str) -> str:
    """Where a purchase came from."""
    return {
        "till": gettext("Till"),
        "api": gettext("Cash register"),
        "import": gettext("Import"),
        "demo": gettext("Demo"),
    }.get(code, code)


def cause(code: str) -> str:
    """Why money went back."""
    return {"refund": gettext("Refund"), "undo": gettext("Undone")}.get(code, code)


def undo_reasons() -> list[tuple[str, str]]:
    """What a cashier may say about a slip of the hand, most common first."""
    return [
        ("amount", gettext("Wrong amount")),
        ("member", gettext("Wrong member")),
        ("twice", gettext("Rung up twice")),
        ("changed", gettext("The customer changed their mind")),
    ]


def reason(code: str) -> str:
    """A reason as stored: one of the above in the reader's language, or the person's own words."""
    return dict(undo_reasons()).get(code, code)
