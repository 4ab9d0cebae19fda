"""Every page of everybody by axe, in each size, theme and language, and whether it fits there (ui.md).

The short form is tests/browser/test_axe.py, by whose machinery it runs on engines of its own.
"""

from collections.abc import Iterator

from tests.load.elsewhere import by_pytest
from tests.load.proof import Row

NAMES = ("axe",)
FEWEST = 1_000


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    cases, wrong, note = by_pytest("WHOLE_AXE", "tests/browser/test_axe.py", "-k", "page_of_everybody")
    what = "every page × role × phone, tablet, laptop × light, dark × language: axe, and nothing cut"
    yield Row("axe", what, cases, len(wrong) or int(bool(note) or cases < FEWEST), note)
