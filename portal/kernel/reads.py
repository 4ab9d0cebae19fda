"""Reads that the audit log keeps (AUD-2): documents looked at, contacts shown, lists taken away as files.

There is one way to write them down, before anything of what was asked for leaves the process.
"""

from uuid import UUID

from flask import g

from portal.kernel.commands import command, journal


def written_down(action: str, *told: str, about: tuple[str, UUID] | None = None) -> None:
    """Note that the acting person reads something: the object it is `about`, and what of it in words that name nobody.

    `action` is a frozen name of the audit log. In a request the permission is asked for once more (R14); whoever looks
    through another's eyes is refused (S14). A command of its own: call it outside of others.
    """

    @command(action, reads=True)
    def note() -> None:
        if about:
            journal().about(*about)
        if told:
            journal().reason(", ".join(told))

    if g.get("journal"):  # whose entry would be this one's
        raise RuntimeError("a read is written down outside of other commands")
    note()
