"""How kinds and states of work are called on pages (G16)."""

from flask_babel import gettext

TONES = {"queued": "", "running": "", "done": "yes", "failed": "bad", "cancelled": "off"}


def state(code: str) -> str:
    """The state in words."""
    return {
        "queued": gettext("Waiting"),
        "running": gettext("Running"),
        "done": gettext("Done"),
        "failed": gettext("Failed"),
        "cancelled": gettext("Cancelled"),
    }[code]


def kind(code: str) -> str:
    """What the work is."""
    return {"purchases.import": gettext("Import of purchases"), "data.export": gettext("Your data")}.get(
        code, gettext("Work")
    )


def figures(result: dict[str, int]) -> list[tuple[str, int]]:
    """The counts of a result that have a name, in reading order."""
    names = {
        "lines": gettext("Lines read"),
        "recorded": gettext("Purchases recorded"),
        "repeated": gettext("Known already, unchanged"),
        "rejected": gettext("Lines rejected"),
        "members": gettext("Members created"),
        "tables": gettext("Kinds of data"),
        "rows": gettext("Entries"),
    }
    return [(label, int(result[name])) for name, label in names.items() if name in result]


def message(code: str) -> str:
    """A stored message: a code of ours in words, anything else as it is."""
    return {"interrupted": gettext("The command was interrupted. Run it again: nothing is recorded twice.")}.get(
        code, code
    )
