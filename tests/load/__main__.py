"""`python -m tests.load [--short] [PREFIX…]`: every proof whose name begins so, each module in a process of its own.

Prints a table and keeps it in var/prove.md; exit 1 when anything was wrong.
"""

import ast
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from tests.load.proof import Row, table

OUT = Path(__file__).resolve().parents[2] / "var" / "prove.md"


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["--module"]:
        return run_module(*arguments[1:4], names=arguments[4:])
    full = "--short" not in arguments
    asked = [a for a in arguments if a != "--short"]
    every = modules()
    known = {name for names in every.values() for name in names}
    prefixes = tuple(f"{a} " if a in known else a for a in asked)  # F1 is not F12 too
    rows, broken = [], []
    for module, names in every.items():
        wanted = [name for name in names if not asked or name in asked or name.startswith(prefixes)]
        if not wanted:
            continue
        with tempfile.NamedTemporaryFile("r", suffix=".jsonl") as told:
            command = [sys.executable, "-m", "tests.load", "--module", module, told.name, str(int(full)), *wanted]
            ended = subprocess.run(command, check=False).returncode
            rows += [(Row(**fields), seconds) for fields, seconds in map(json.loads, told)]
        missing = set(wanted) - {row.name for row, _ in rows}
        if ended or missing:
            broken.append(f"{module} ended with code {ended}, without {', '.join(sorted(missing)) or 'a gap'}")
    print("\n" + table(rows) + "".join(f"\n{line}" for line in broken))
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(table(rows))
    return int(bool(broken or any(row.wrong for row, _ in rows)))


def modules() -> dict[str, tuple[str, ...]]:
    """NAMES of every module, read from its text."""
    found = {}
    for file in sorted(Path(__file__).parent.glob("*.py")):
        for statement in ast.parse(file.read_text()).body:
            if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") == "NAMES":
                found[file.stem] = ast.literal_eval(statement.value)
    return found


def run_module(module: str, told: str, full: str, names: list[str]) -> int:
    import importlib

    began = time.monotonic()
    with open(told, "a") as out:
        for row in importlib.import_module(f"tests.load.{module}").run(names, full == "1"):
            seconds, began = time.monotonic() - began, time.monotonic()
            out.write(json.dumps([asdict(row), seconds]) + "\n")
            out.flush()
            print(f"{row.name}: {row.cases} cases, {row.wrong} wrong, {seconds:.0f} s {row.note}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
