"""B5 at its full size: every text of an attacker in every parameter of every address, alone; nothing of it is run.

The short form is tests/web/test_injection.py, by whose machinery it runs on engines of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.load.proof import Row

NAMES = ("B5",)
FEWEST = 5_000
TEST = "tests/web/test_injection.py"


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as var:
        told = Path(var) / "told.jsonl"
        env = {**os.environ, "TEST_VAR": var, "INJECTION": str(told)}
        root = Path(__file__).resolve().parents[2]
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", TEST]
        ended = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
        parts = [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
    wrong = [case for part in parts for case in part["wrong"]]
    print(*wrong, sep="\n")
    if ended.returncode and not wrong:
        print(ended.stdout[-4_000:], ended.stderr[-2_000:], flush=True)
    cases, parameters, addresses = (sum(part[name] for part in parts) for name in ("cases", "parameters", "addresses"))
    yield Row(
        "B5",
        "SQL, templates, formats, commands, paths, line ends, XML in every parameter alone: no 500, nothing run, nothing told",
        cases,
        len(wrong) or int(ended.returncode != 0 or cases < FEWEST),
        f"{parameters} parameters of {addresses} addresses",
    )
