"""Tests of the suite with all of their cases, where `make test` takes every third; on engines of their own (tests/whole.py)."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.load.proof import Row

NAMES = ("B2", "S1")
TESTS = {
    "B2": ("every text of the list in every text field: kept and shown, or refused in words", "tests/web/test_naughty.py"),
    "S1": ("every unsafe address × every way of forging a call: refused, and nothing is written", "tests/web/test_csrf.py"),
}  # fmt: skip


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    for name in names:
        yield whole(name, *TESTS[name])


def whole(name: str, what: str, test: str) -> Row:
    """Wrong is 1 when a test failed; its words are printed."""
    with tempfile.TemporaryDirectory() as var:
        told = Path(var) / "told.jsonl"
        env = {**os.environ, "TEST_VAR": var, "WHOLE": str(told)}
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", test]
        root = Path(__file__).resolve().parents[2]
        ended = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
        cases = sum(json.loads(line)["cases"] for line in told.read_text().splitlines()) if told.exists() else 0
    if ended.returncode:
        print(ended.stdout[-4_000:], ended.stderr[-2_000:], flush=True)
    return Row(name, what, cases, int(ended.returncode != 0 or not cases))
