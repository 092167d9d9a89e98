"""Ports of this machine, for servers that are told where to listen."""

import fcntl
import itertools
import os
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from io import TextIOWrapper
from pathlib import Path

FIRST, LAST = 12_000, 30_000
"""Below what Linux gives to outgoing connections (32768 and up) and to NodePorts (30000 and up)."""
SLICE = 600


@cache
def _slice() -> tuple[TextIOWrapper, Iterator[int]]:
    """The ports of this process, in turns, and the lock that keeps every other process from them while it lives.

    "Bind to port 0, close, and tell a server the number" gives a port to two who ask at the same time, and HAProxy,
    which binds with SO_REUSEPORT, does not even notice: each of the two then gets a part of the other's requests.

    Raises:
        RuntimeError: as many processes as there are slices hold one.
    """
    folder = Path(tempfile.gettempdir()) / f"vllm-charts-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for first in range(FIRST, LAST, SLICE):
        lock = (folder / str(first)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return lock, itertools.cycle(range(first, first + SLICE))
    raise RuntimeError(f"Every slice of ports {FIRST} to {LAST} is held by a process that runs: see {folder}.")


def free_port(address: str = "127.0.0.1") -> int:
    """A TCP port of an address of this machine that nothing listens on, and that no other caller is given.

    Raises:
        RuntimeError: no port of this process is free.
    """
    for port in itertools.islice(_slice()[1], SLICE):
        with socket.socket() as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"None of the {SLICE} ports of this process is free on {address}.")
