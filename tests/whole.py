"""Tests that the suite runs with every third of their cases, and `make prove` with all of them (tests/load/whole.py)."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

Case = TypeVar("Case")
TOLD = os.environ.get("WHOLE")  # the file for a line of JSON a test: how many cases it had
SHARE = 3


def share(cases: Sequence[Case], turn: int) -> Sequence[Case]:
    """All cases, or every third from `turn` on: who takes turns leaves none out."""
    return cases if TOLD else cases[turn % SHARE :: SHARE]


def tell(cases: int) -> None:
    """Count them where somebody asks."""
    if TOLD:
        with Path(TOLD).open("a") as file:
            file.write(json.dumps({"cases": cases}) + "\n")
