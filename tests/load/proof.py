"""What a proof prints: how many cases, how many of them wrong. The bar is always the same: none wrong.

A module of this package has `NAMES`, the faults and races it can run, and `run(names, full)`, which yields a `Row` for each.
`full=False` is the short form that `make test` runs.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """`what` was done, in how many `cases`, of which so many were `wrong`; differences of the invariants are among them."""

    name: str
    what: str
    cases: int
    wrong: int
    note: str = ""


def table(rows: Iterable[tuple[Row, float]]) -> str:
    """The rows with their seconds, as Markdown."""
    lines = ["| | what was done | cases | wrong | seconds | note |", "|---|---|---:|---:|---:|---|"]
    lines += [
        f"| {row.name} | {row.what} | {row.cases:,} | {row.wrong:,} | {seconds:.0f} | {row.note} |"
        for row, seconds in rows
    ]
    return "\n".join(lines) + "\n"
