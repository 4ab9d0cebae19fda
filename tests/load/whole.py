"""Tests of the suite with all of their cases, on engines of their own; how they are told so stands in tests/whole.py."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.load.proof import Row

NAMES = ("access", "axe", "B2", "B4", "B5", "S1")
# what is done, the fewest cases that are all, and the tests
PROOFS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "access": (
        "every address × method × role, kind of session, key, operator × own, foreign, missing object × htmx: as access.csv says",
        20_000,
        ("tests/architecture/test_access.py", "tests/architecture/test_access_elsewhere.py", "-k", "whole_matrix"),
    ),
    "axe": (
        "every page × role × phone, tablet, laptop × light, dark × language: axe finds nothing serious, nothing is cut",
        1_000,
        ("tests/browser/test_axe.py", "-k", "page_of_everybody"),
    ),
    "B2": (
        "every text of the list in every text field, as many at once as it takes: kept and shown, or refused in words",
        700,  # sendings: a field of 60 characters takes two or three of the texts, one of 2,000 nearly all
        ("tests/web/test_naughty.py",),
    ),
    "B4": (
        "every markup of the list in every text of every table, first to last and last to first, on everybody's pages in a browser",
        100,
        ("tests/browser/test_xss.py",),
    ),
    "B5": (
        "SQL, templates, formats, commands, paths, line ends, XML in every parameter alone: no 500, nothing run, nothing told",
        5_000,
        ("tests/web/test_injection.py",),
    ),
    "S1": (
        "every unsafe address × every way of forging a call: refused, and nothing is written",
        2_000,
        ("tests/web/test_csrf.py",),
    ),
}


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    for name in names:
        yield whole(name, *PROOFS[name])


def whole(name: str, what: str, fewest: int, tests: tuple[str, ...]) -> Row:
    """Wrong are the cases that were told so; one, where a test failed without, or told of fewer cases than there are."""
    with tempfile.TemporaryDirectory() as var:
        told = Path(var) / "told.jsonl"
        env = {**os.environ, "TEST_VAR": var, "WHOLE": str(told)}
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *tests]
        root = Path(__file__).resolve().parents[2]
        ended = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
        parts = [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
    cases, wrong, more = sum(one["cases"] for one in parts), [case for one in parts for case in one["wrong"]], Counter()
    for one in parts:
        more.update(one["more"])
    print(*wrong, sep="\n", flush=True)
    if ended.returncode and not wrong:
        print(ended.stdout[-4_000:], ended.stderr[-2_000:], flush=True)
    note = ", ".join(f"{count:,} {of}" for of, count in more.items())
    return Row(name, what, cases, len(wrong) or int(ended.returncode != 0 or cases < fewest), note)
