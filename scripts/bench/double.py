"""The engine's double as a process of this machine and as an image of the local cluster."""

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts import tools
from scripts.console import UserError
from scripts.ports import free_port

REFERENCE = "localhost/engine-double:v0.33.0"
"""The tag is the engine's version that the double stands for: the chart reads from it which flags it may pass."""


class Double:
    """A running double.

    Attributes:
        url: its base URL.
        process: the process itself, for signals.
    """

    def __init__(self, process: "subprocess.Popen[str]", port: int) -> None:
        self.process, self.port = process, port
        self.url = f"http://127.0.0.1:{port}"

    def wait_until_healthy(self, seconds: float = 10) -> None:
        """Waits for the first answer on /health."""
        deadline = time.monotonic() + seconds
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise UserError(f"the double on port {self.port} does not answer after {seconds:g} s")
            time.sleep(0.02)

    def answers(self) -> bool:
        """Whether /health says 200."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:  # noqa: S310 (http on loopback)
                return int(answer.status) == 200
        except OSError:
            return False

    def terminate(self) -> None:
        """What the kubelet sends first."""
        self.process.send_signal(signal.SIGTERM)


def command(*flags: str, model: str = "tiny") -> list[str | Path]:
    """How the double is called: as the engine is."""
    return [tools.ensure("engine-double"), "serve", "/models/tiny", f"--served-model-name={model}", *flags]


@contextmanager
def running(*flags: str, wait: bool = True, **settings: str | float) -> Iterator[Double]:
    """A double on a free port of the loopback interface.

    Args:
        flags: flags of the engine.
        settings: what only a double needs: ``tokens_per_second=50`` is DOUBLE_TOKENS_PER_SECOND; upper-case names are
            environment variables as they stand.
    """
    port = free_port()
    environment = dict(os.environ)
    for name, value in settings.items():
        environment[name if name.isupper() else f"DOUBLE_{name.upper()}"] = str(value)
    process = subprocess.Popen(command(f"--port={port}", "--host=127.0.0.1", *flags), env=environment, text=True)
    double = Double(process, port)
    try:
        if wait:
            double.wait_until_healthy()
        yield double
    finally:
        process.kill()
        process.wait()
