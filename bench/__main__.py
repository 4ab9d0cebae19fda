"""`python -m bench [PREFIX…]`: every bench whose name begins so, each module in a process of its own; exit 1 when a bar is missed."""

import ast
import subprocess
import sys
from pathlib import Path


def main(prefixes: list[str]) -> int:
    if prefixes[:1] == ["--module"]:
        return run_module(prefixes[1], prefixes[2:])
    ended = 0
    for module, names in modules().items():
        wanted = [name for name in names if not prefixes or name.startswith(tuple(prefixes))]
        if wanted:
            ended |= subprocess.run(
                [sys.executable, "-m", "bench", "--module", module, *wanted], check=False
            ).returncode
    return ended


def modules() -> dict[str, tuple[str, ...]]:
    """NAMES of every module, read from its text: importing one may need engines that only its own process starts."""
    found = {}
    for file in sorted(Path(__file__).parent.glob("*.py")):
        for statement in ast.parse(file.read_text()).body:
            if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") == "NAMES":
                found[file.stem] = ast.literal_eval(statement.value)
    return found


def run_module(module: str, names: list[str]) -> int:
    import importlib

    short = False
    for figure in importlib.import_module(f"bench.{module}").run(names):
        print(figure, flush=True)
        short |= not figure.holds
    return int(short)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
