"""One gateway pod as a process: the files that the chart renders, in a folder, and HAProxy on them.

The configuration is run as it is rendered. Only the two folders that are mounts in the pod are put elsewhere.
"""

import json
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.gateway.programs import haproxy

MOUNT = "/etc/llm-gateway"
"""Where the pod mounts configuration and Secrets, a folder each."""

RUN = "/run/llm-gateway"


def wait_until(condition: Callable[[], bool], *, seconds: float = 10, what: str = "the condition") -> None:
    """Waits for a condition, looking every 10 ms.

    Raises:
        TimeoutError: it did not come true in time.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come true within {seconds} s")
        time.sleep(0.01)


def write_files(folder: Path, config: Mapping[str, str], secrets: Mapping[str, Mapping[str, str]]) -> Path:
    """Writes the gateway's files as the pod would see them.

    Args:
        folder: takes the place of the mounts.
        config: data of the gateway's ConfigMap.
        secrets: data of Secrets by the folder they are mounted at (``keys``, ``jwt``, ``tls``, ``client-ca``).

    Returns:
        The path of haproxy.cfg.
    """
    (folder / "run").mkdir(parents=True, exist_ok=True)
    for name, files in {"config": config, **secrets}.items():
        (folder / name).mkdir(exist_ok=True)
        for file, text in files.items():
            moved = text.replace(MOUNT, str(folder)).replace(RUN, str(folder / "run"))
            (folder / name / file).write_text(moved, encoding="utf-8")
    return folder / "config" / "haproxy.cfg"


def check(config: Path, program: Path | None = None) -> str:
    """What ``haproxy -c`` says against a configuration; "" if it takes it without a warning."""
    done = subprocess.run([program or haproxy(), "-c", "-q", "-f", config], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 and "WARNING" not in done.stderr else done.stderr or f"exit {done.returncode}"


class HAProxy:
    """A running HAProxy in master-worker mode, as in the pod.

    Attributes:
        process: the master.
        log: every line it wrote, as it comes.
    """

    def __init__(self, config: Path, *, environment: Mapping[str, str] | None = None) -> None:
        command: list[str | Path] = [
            haproxy(),
            "-W",
            "-db",
            "-f",
            config,
            "-p",
            config.parent.parent / "run" / "haproxy.pid",
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )
        self.log: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        self.log.extend(iter(self.process.stdout.readline, ""))

    @property
    def access_log(self) -> list[dict[str, Any]]:
        """The lines of the access log."""
        return [json.loads(line) for line in list(self.log) if line.startswith("{")]

    def reload(self) -> None:
        """Takes up changed files, as the pod's reloader asks for it, and waits until the new worker serves."""
        loaded = sum("Loading success" in line for line in self.log)
        self.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: sum("Loading success" in line for line in self.log) > loaded, what="the reload")

    def drain(self) -> None:
        """A soft stop: no new connection, and streams may end."""
        self.process.send_signal(signal.SIGUSR1)

    def stop(self) -> None:
        """Ends it at once."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)


@contextmanager
def running(config: Path, ready: tuple[str, int], **options: Any) -> Iterator[HAProxy]:
    """Runs HAProxy until the block ends; begins when it listens on ``ready``.

    Raises:
        RuntimeError: it ended instead, with what it said.
    """
    server = HAProxy(config, **options)

    def listens() -> bool:
        if server.process.poll() is not None:
            raise RuntimeError("HAProxy ended:\n" + "".join(server.log))
        with socket.socket() as probe:
            return probe.connect_ex(ready) == 0

    try:
        wait_until(listens, what="HAProxy")
        yield server
    finally:
        server.stop()
