"""The hook of a worker: it stays as long as its leader takes connections, and no longer."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from scripts.paths import CHARTS

SCRIPT = CHARTS / "vllm-model" / "files" / "leader_end.py"


@pytest.fixture
def leader() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def start(port: int, seconds: float, address: str = "127.0.0.1") -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", SCRIPT.read_text(), str(port), str(seconds)]
    return subprocess.Popen(command, env={**os.environ, "LWS_LEADER_ADDRESS": address})


def test_a_worker_stays_while_its_leader_listens_and_goes_when_it_is_gone(leader: socket.socket) -> None:
    worker = start(leader.getsockname()[1], 30)
    with pytest.raises(subprocess.TimeoutExpired):
        worker.wait(3)
    leader.close()
    assert worker.wait(6) == 0


def test_a_worker_without_a_leader_goes_at_once(leader: socket.socket) -> None:
    port = leader.getsockname()[1]
    leader.close()
    assert start(port, 30).wait(6) == 0
    assert start(port, 30, "leader.invalid").wait(6) == 0


def test_a_worker_does_not_wait_longer_than_it_was_told(leader: socket.socket) -> None:
    began = time.monotonic()
    assert start(leader.getsockname()[1], 1).wait(6) == 0
    assert time.monotonic() - began >= 1
