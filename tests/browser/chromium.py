"""Which browser the tests drive: one that is there, else Playwright's own, else the system's package, else plain words.

`python -m tests.browser.chromium` fetches one where there is none.
"""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def found() -> str | None:
    """The executable of an installed Chromium."""
    given = os.environ.get("CHROMIUM")
    return given or next((path for path in map(shutil.which, NAMES) if path), None) or _playwrights()


def _playwrights() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if os.path.exists(path) else None


def main() -> int:
    """Fetch a browser unless there is one; 1 with what to do where none can be had."""
    if found():
        return 0
    print("No Chromium here; fetching Playwright's…", flush=True)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if (
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False, **quiet).returncode
        == 0
        and found()
    ):
        return 0
    if shutil.which("apt-get") and os.geteuid() == 0:
        print("…which failed; installing the system's package…", flush=True)
        subprocess.run(["apt-get", "update", "-qq"], check=False, **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=False, **quiet)
        if found():
            return 0
    print(
        "The browser tests need Chromium: install the package `chromium`, or name one with CHROMIUM=/path/to/chromium"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
