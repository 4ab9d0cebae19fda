"""Runs one command that must not outlive its owner: `python -I -S guard.py OPTIONS -- COMMAND…`.

The owner holds the other end of this program's standard input. When that end closes, because the owner stopped,
crashed or was killed with -9, the command is asked to stop and then killed, together with everything it has started:
also what moved into a session of its own, since on Linux this program adopts orphans. Started by its path, with the
standard library only, so that it takes milliseconds.
"""

import argparse
import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

LINUX = sys.platform == "linux"
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
LEFTOVERS_GRACE_S = 1.0  # for what the command itself left behind


def main() -> int:
    options = read_options()
    wake_up = wake_up_on(signal.SIGTERM, signal.SIGCHLD)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    leader = launch(options)
    code: int | None = None
    stop_at: float | None = None  # when patience ends, once stopping
    while code is None:
        if stop_at is None and owner_is_gone(options.owner, wake_up):
            stop_at = time.monotonic() + options.patience
            signal_quietly(os.kill, leader, options.stop_signal)
        elif stop_at is not None:
            if time.monotonic() > stop_at:
                signal_quietly(os.killpg, leader, signal.SIGKILL)
            time.sleep(0.01)
        code = reap().get(leader)
    sweep(leader)
    return code if code >= 0 else 128 - code


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--owner", type=int, required=True)
    parser.add_argument("--stop-signal", type=int, default=int(signal.SIGTERM))
    parser.add_argument("--patience", type=float, default=5.0)
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("--pid-to", type=int, required=True, help="file descriptor that is told the command's pid")
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def wake_up_on(*signals: signal.Signals) -> int:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.set_blocking(reader, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in signals:
        signal.signal(number, lambda *_: None)
    return reader


def launch(options: argparse.Namespace) -> int:
    """Start the command in a session of its own; the pid of its leader."""
    identity = {} if options.uid is None else {"user": options.uid, "group": options.gid, "extra_groups": []}

    def die_with_the_guard() -> None:  # after the change of user, which would clear it
        prctl(PR_SET_PDEATHSIG, options.stop_signal)

    try:
        command = subprocess.Popen(  # noqa: S603
            options.command,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=die_with_the_guard,  # noqa: PLW1509  this program has one thread
            **identity,
        )
    except OSError as error:
        sys.exit(f"{options.command[0]}: {error.strerror}")
    os.write(options.pid_to, b"%d" % command.pid)
    os.close(options.pid_to)
    command.returncode = 0  # reaped here, not by Popen
    return command.pid


def owner_is_gone(owner: int, wake_up: int) -> bool:
    """Wait up to a second for a reason to look; True when the command has to stop."""
    ready, _, _ = select.select([0, wake_up], [], [], 1.0)
    if wake_up in ready and signal.SIGTERM in os.read(wake_up, 512):
        return True
    return (0 in ready and not os.read(0, 512)) or os.getppid() != owner


def sweep(leader: int) -> None:
    """End what the command left behind."""
    for number, seconds in ((signal.SIGTERM, LEFTOVERS_GRACE_S), (signal.SIGKILL, LEFTOVERS_GRACE_S)):
        deadline = time.monotonic() + seconds
        if not LINUX:
            signal_quietly(os.killpg, leader, number)
        asked: set[int] = set()
        while (left := descendants()) and time.monotonic() < deadline:
            for pid in left - asked:
                signal_quietly(os.kill, pid, number)
            asked |= left
            time.sleep(0.01)
            reap()


def descendants() -> set[int]:
    """All living processes below this one; empty where there is no /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat") if LINUX else ():
        with contextlib.suppress(OSError):  # it has ended meanwhile
            state, parent = entry.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                children.setdefault(int(parent), []).append(int(entry.parent.name))
    found: set[int] = set()
    queue = [os.getpid()]
    while queue:
        below = children.get(queue.pop(), [])
        found.update(below)
        queue.extend(below)
    return found


def reap() -> dict[int, int]:
    ended: dict[int, int] = {}
    with contextlib.suppress(ChildProcessError):
        while (result := os.waitpid(-1, os.WNOHANG))[0]:
            ended[result[0]] = os.waitstatus_to_exitcode(result[1])
    return ended


def signal_quietly(send: Callable[[int, int], None], target: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        send(target, number)


def prctl(option: int, value: int) -> None:
    if LINUX:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
