"""Ports for servers that are told where to listen."""

import socket
import subprocess
import sys

from scripts.ports import SLICE, free_port


def ports_of_another_process(count: int) -> subprocess.Popen[str]:
    """A process that has taken ports and lives until its input ends."""
    code = f"from scripts.ports import free_port; print([free_port() for _ in range({count})], flush=True); input()"
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_no_port_is_given_to_two_processes_that_run() -> None:
    others = [ports_of_another_process(SLICE // 2) for _ in range(2)]
    given = [str(free_port()) for _ in range(SLICE // 2)]
    for other in others:
        assert other.stdout
        given += other.stdout.readline().strip("[]\n").split(", ")
    for other in others:
        other.communicate("\n", timeout=10)
    assert len(set(given)) == 3 * (SLICE // 2)


def test_a_port_that_something_listens_on_is_not_given() -> None:
    first = free_port()
    with socket.socket() as server:
        server.bind(("127.0.0.1", first))
        assert first not in [free_port() for _ in range(SLICE)]
    assert first in [free_port() for _ in range(SLICE)]
