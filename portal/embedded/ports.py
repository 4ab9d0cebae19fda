"""Ports of this machine: which are free, and what to say when one is not."""

import random
import socket

LOOPBACK = "127.0.0.1"
BELOW_EPHEMERAL = range(20_000, 32_000)  # outgoing connections take theirs from 32768 on


class PortTaken(RuntimeError):
    """Somebody listens on this port; the text says how to choose another."""

    def __init__(self, port: int, *, variable: str = "PORT", command: str = "make demo") -> None:
        super().__init__(f"port {port} is taken; choose another with {variable}={port + 1} {command}")
        self.port = port


def is_free(port: int, host: str = LOOPBACK) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def require_free(port: int, *, variable: str = "PORT", command: str = "make demo", host: str = LOOPBACK) -> int:
    """The port, or `PortTaken` with the way out in words."""
    if not is_free(port, host):
        raise PortTaken(port, variable=variable, command=command)
    return port


def choose(preferred: int | None = None, *, taken: frozenset[int] = frozenset()) -> int:
    """The preferred port while it is free, otherwise a free one."""
    if preferred and preferred not in taken and is_free(preferred):
        return preferred
    for port in random.sample(BELOW_EPHEMERAL, 200):
        if port not in taken and is_free(port):
            return port
    raise RuntimeError("no free port between 20000 and 32000: stop something that listens there")


def accepts(port: int, host: str = LOOPBACK) -> bool:
    """Whether somebody answers there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
