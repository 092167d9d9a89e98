"""Starts the load of ``scripts/bench/load.py`` and reads what became of its requests.

>>> with Traffic("http://127.0.0.1:8000", "tiny", rate="20", streams=100) as traffic:
...     traffic.wait_for_streams(100)
...     with traffic.window("rolling update"):
...         ...
>>> report = traffic.report()
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from scripts.bench.load import Request
from scripts.console import UserError

LOAD = Path(__file__).with_name("load.py")


@dataclass
class Report:
    """What became of the requests of a run.

    Attributes:
        requests: all that have ended, in the order of their end.
        windows: named spans of time, Unix seconds.
        command: how the load was started, seed included: a run can be repeated from it.
    """

    requests: list[Request]
    windows: dict[str, tuple[float, float]] = field(default_factory=dict)
    command: list[str] = field(default_factory=list)

    def of(self, *groups: str) -> list[Request]:
        """The requests of some groups; of all but ``overlong`` without any."""
        return [
            request for request in self.requests if (request.group in groups if groups else request.group != "overlong")
        ]

    def fates(self, *groups: str) -> Counter[str]:
        """How often each fate occurred; see :mod:`scripts.bench.load`."""
        return Counter(request.fate for request in self.of(*groups))

    def not_ok(self, *groups: str) -> list[Request]:
        """Requests that did not get a whole and right answer, those left on purpose aside."""
        return [request for request in self.of(*groups) if request.fate not in {"ok", "left"}]

    def in_flight_at(self, moment: float, *groups: str) -> list[Request]:
        """Streams that had begun and not ended at a moment."""
        return [each for each in self.of(*groups) if each.stream and each.first and each.first <= moment < each.ended]

    def percentile(self, share: float, value: Callable[[Request], float], *groups: str) -> float:
        """A percentile of a figure over the requests that were answered."""
        figures = sorted(value(request) for request in self.of(*groups) if request.fate == "ok")
        return figures[min(len(figures) - 1, int(share * len(figures)))] if figures else float("nan")

    def summary(self) -> str:
        """One line: ``1,204 requests: 1,204 ok``, and the first failures."""
        fates = ", ".join(f"{count:,} {fate}" for fate, count in self.fates().most_common())
        bad = "".join(f"\n  {describe(request)}" for request in self.not_ok()[:10])
        return f"{len(self.of()):,} requests: {fates}{bad}"

    def write(self, path: Path) -> None:
        """Keeps the whole run: a first line with the command and the windows, then one line a request."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as out:
            out.write(json.dumps({"command": self.command, "windows": self.windows}) + "\n")
            out.writelines(json.dumps(vars(request)) + "\n" for request in self.requests)


def describe(request: Request) -> str:
    """One failed request as people read it."""
    clock = time.strftime("%H:%M:%S", time.gmtime(request.started))
    return (
        f"{request.fate}: {request.group} request {request.number}, started {clock}, ended after "
        f"{request.ended - request.started:.1f} s with {request.received} tokens: {request.detail}"
    )


class Traffic:
    """A running load.

    Args:
        url: base URL of the server, without /v1.
        model: the name to ask for.
        around: makes the command line run elsewhere (on the node of the local cluster, say); it gets the command and
            gives the one to start.
        script: the load's file as it is found where the command runs.
        options: the other options of load.py by name: ``rate="20"``, ``streams=100``.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        around: Callable[[Sequence[str]], Sequence[str]] = list,
        script: Path = LOAD,
        python: str = sys.executable,
        **options: Any,
    ) -> None:
        words = [python, "-I", str(script), "--url", url, "--model", model, "--control"]
        for name, value in options.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        self.command = words
        self._start = list(around(words))
        self.requests: list[Request] = []
        self.windows: dict[str, tuple[float, float]] = {}
        self.status: dict[str, Any] = {"running": {}, "in_flight": 0, "ended": {}}
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        # A group of its own: what enters the cluster's namespaces forks, and both must end with an error.
        self._process = subprocess.Popen(
            self._start,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Stops the load and waits for what is in flight; at once if there was an error."""
        process = self._process
        if process is None or process.stdin is None:
            return
        if kind:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        elif process.poll() is None:
            process.stdin.close()
        process.wait()
        self._reader.join()
        if kind is None and process.returncode != 0:
            raise UserError("the load ended with an error", why=self.errors[-2000:])

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            record = json.loads(line)
            if record.pop("kind") == "request":
                self.requests.append(Request(**record))
            else:
                self.status = record
        self.errors = process.stderr.read()

    errors: str = ""

    def tell(self, command: str) -> None:
        """Gives the running load a command: ``burst 50``, ``leave``, ``stop``."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()

    def wait_for(self, what: str, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Waits until something is so.

        Raises:
            UserError: it is not within the time, or the load has ended.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            ended = self._process is not None and self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                last = "\n".join(describe(request) for request in self.requests[-3:] if request.fate != "ok")
                raise UserError(f"{what}: not so after {seconds:g} s", why=f"{self.status}\n{last}{self.errors[-500:]}")
            time.sleep(0.05)

    def wait_for_streams(self, count: int, seconds: float = 60) -> None:
        """Waits until that many long streams are in flight, their first token received."""
        self.wait_for(f"{count} streams in flight", lambda: self.status["running"].get("stream", 0) >= count, seconds)

    def wait_for_requests(self, count: int, seconds: float = 600) -> None:
        """Waits until that many requests have ended."""
        self.wait_for(f"{count} requests ended", lambda: len(self.requests) >= count, seconds)

    @contextmanager
    def window(self, name: str) -> Iterator[None]:
        """Marks the time of an event."""
        began = time.time()
        try:
            yield
        finally:
            self.windows[name] = (began, time.time())

    def report(self) -> Report:
        """What has become of the requests that have ended so far."""
        return Report(list(self.requests), dict(self.windows), self.command)
