"""What the suite does in part and `make prove` in full (tests/load/whole.py): the longest lists, by turns, and tests of their own."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pytest

Case = TypeVar("Case")
TOLD = os.environ.get("WHOLE")  # the file for a line of JSON a test: what it counted
SHARE = 3
in_full = pytest.mark.skipif(not TOLD, reason="make prove runs it")


def share(cases: Sequence[Case], turn: int) -> Sequence[Case]:
    """All cases, or every third from `turn` on: who takes turns leaves none out."""
    return cases if TOLD else cases[turn % SHARE :: SHARE]


def tell(cases: int, wrong: Sequence[str] = (), **more: int) -> None:
    """Count them where somebody asks, and what else is to stand beside them."""
    if TOLD:
        with Path(TOLD).open("a") as file:
            file.write(json.dumps({"cases": cases, "wrong": list(wrong), "more": more}) + "\n")
