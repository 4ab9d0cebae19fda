"""Programs that come in wheels."""

from importlib.util import find_spec
from pathlib import Path


def folder_of(package: str) -> Path:
    """Where a package lies. It is not imported: that of PostgreSQL makes folders and takes locks of its own."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"the wheel of `{package}` is not installed: run `make`")
    return Path(spec.origin).parent
