"""Proofs that are tests of the suite at their full size: pytest on engines of its own, told what to count by an environment name."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def by_pytest(name: str, *tests: str) -> tuple[int, list[str], str]:
    """(cases, wrong ones, what broke off) of tests that write lines {"cases": …, "wrong": […]} into the file that `name` names."""
    with tempfile.TemporaryDirectory() as var:
        told = Path(var) / "told.jsonl"
        env = {**os.environ, "TEST_VAR": var, name: str(told)}
        root = Path(__file__).resolve().parents[2]
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", *tests]
        ended = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
        parts = [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
    wrong = [case for one in parts for case in one["wrong"]]
    print(*wrong, sep="\n", flush=True)
    if ended.returncode and not wrong:
        print(ended.stdout[-4_000:], ended.stderr[-2_000:], flush=True)
    return (
        sum(one["cases"] for one in parts),
        wrong,
        f"pytest ended with {ended.returncode}" if ended.returncode else "",
    )
