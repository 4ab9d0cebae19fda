"""Who may open what, at its full size: every address × method × role, kind of session, key or operator × whose object ×
by htmx or not (D52, T1, T3).

The short form is tests/architecture/test_access*.py, by whose machinery it runs on engines of its own.
"""

from collections.abc import Iterator

from tests.load.elsewhere import by_pytest
from tests.load.proof import Row

NAMES = ("access",)
FEWEST = 20_000
TESTS = ("tests/architecture/test_access.py", "tests/architecture/test_access_elsewhere.py", "-k", "whole_matrix")


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    cases, wrong, note = by_pytest("WHOLE_MATRIX", *TESTS)
    what = "every address × method × role, kind of session, key, operator × own, foreign, missing object × htmx"
    yield Row("access", what, cases, len(wrong) or int(bool(note) or cases < FEWEST), note)
