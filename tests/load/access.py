"""Who may open what, at its full size: every address × method × role × whose object × by htmx or not (D52, T1).

The short form is tests/architecture/test_access.py, by whose machinery it runs on engines of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.load.proof import Row

NAMES = ("access",)
FEWEST = 5_000
TEST = "tests/architecture/test_access.py::test_the_whole_matrix"


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    yield matrix()


def matrix() -> Row:
    with tempfile.TemporaryDirectory() as var:
        told = Path(var) / "told.jsonl"
        env = {**os.environ, "TEST_VAR": var, "WHOLE_MATRIX": str(told)}
        root = Path(__file__).resolve().parents[2]
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", TEST]
        ended = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
        parts = [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
    wrong, unclassified = ([case for one in parts for case in one[kind]] for kind in ("wrong", "unclassified"))
    print(*wrong, *unclassified, sep="\n")
    if ended.returncode and not wrong and not unclassified:
        print(ended.stdout[-4_000:], ended.stderr[-2_000:], flush=True)
    cases = sum(one["cases"] for one in parts)
    return Row(
        "access",
        "every address × method × role × own, foreign, missing object × htmx: as access.csv says",
        cases,
        len(wrong) + len(unclassified) or int(ended.returncode != 0 or cases < FEWEST),
        f"{len(unclassified)} unclassified",
    )
