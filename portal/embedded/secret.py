"""Passwords of the embedded engines: random, made once, readable by their owner only."""

import os
import secrets
from pathlib import Path


def password_in(path: Path) -> str:
    """The password kept in `path`; made at the first call."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    password = secrets.token_hex(24)
    with os.fdopen(handle, "w") as file:
        file.write(password)
    return password
