"""Who may open what, at its full size: every address × method × role × whose object × by htmx or not (D52, T1).

The short form is tests/architecture/test_access.py, by whose machinery it runs on engines of its own.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.load.proof import Row

NAMES = ("access",)
TEST = "tests/architecture/test_access.py::test_the_whole_matrix"


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    yield matrix()


def matrix() -> Row:
    with tempfile.TemporaryDirectory() as var:
        env = {**os.environ, "TEST_VAR": var, "WHOLE_MATRIX": "1"}
        root = Path(__file__).resolve().parents[2]
        command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-s", "-p", "no:cacheprovider", TEST]
        ended = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    told = re.search(r"(\d+) cases, (\d+) wrong, (\d+) unclassified", ended.stdout)
    if not told:
        print(ended.stdout[-4_000:], ended.stderr[-2_000:], flush=True)
        return Row("access", "the matrix did not run", 0, 1)
    cases, wrong, unclassified = map(int, told.groups())
    if wrong or ended.returncode:
        print(ended.stdout[-6_000:], flush=True)
    return Row(
        "access",
        "every address × method × role × own, foreign, missing object × htmx: as access.csv says",
        cases,
        wrong or int(ended.returncode != 0),
        f"{unclassified} unclassified",
    )
