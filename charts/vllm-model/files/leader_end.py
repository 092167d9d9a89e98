"""Waits in a worker of a group until its leader is gone: the preStop hook of a worker.

A worker that is told to go together with its leader must outlast the leader's drain. One that is told because its
leader has gone must go at once: started again meanwhile, it would join the next leader, which has the same name, and
then leave it.

Usage: leader_end.py PORT SECONDS. Ends when the leader's port has refused three times, or after that many seconds.
"""

import os
import socket
import sys
import time

REFUSALS = 3


def listens(address: str, port: int) -> bool:
    """Whether the leader takes connections. While it drains, it does."""
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


def main() -> None:
    """Looks by address: the leader's name goes before the leader does."""
    port, end = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
    try:
        address = socket.gethostbyname(os.environ["LWS_LEADER_ADDRESS"])
    except OSError:
        return
    refused = 0
    while time.monotonic() < end and refused < REFUSALS:
        refused = 0 if listens(address, port) else refused + 1
        time.sleep(0.5)


main()
