"""Locks between processes: two commands at once never do the same work twice or write over each other."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.console import console
from scripts.paths import LOCKS


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Holds the lock of that name. The system frees it when the process ends, however it ends."""
    LOCKS.mkdir(parents=True, exist_ok=True)
    with (LOCKS / f"{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"  [dim]... another process works on {name}: waiting for it[/]")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
