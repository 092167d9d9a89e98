"""One scenario: steady load on a model, something happens, every request's fate is counted and kept."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scripts import tools
from scripts.bench import local
from scripts.bench.load import Request
from scripts.bench.proof import RECORDS, Record
from scripts.bench.traffic import Report, Traffic
from scripts.cluster import Cluster
from scripts.kubernetes_modules import KUBERNETES_VERSION

REQUESTS = 1000
STREAMS = 100


@dataclass(frozen=True)
class Timing:
    """Seconds of a replica's life in a scenario, and the lengths of streams that follow from them.

    Attributes:
        endpoint: preStop sleep.
        drain: --shutdown-timeout.
        rate: tokens per second of one stream.
    """

    endpoint: int = 10
    drain: int = 20
    rate: float = 10

    @property
    def values(self) -> dict[str, Any]:
        """The values of the chart."""
        return {"shutdown": {"endpointSeconds": self.endpoint, "drainSeconds": self.drain}}

    @property
    def stream_tokens(self) -> int:
        """A stream longer than preStop that ends inside preStop + drain, wherever it is when the event begins."""
        return int((self.endpoint + 0.6 * self.drain) * self.rate)

    @property
    def overlong_tokens(self) -> int:
        """A stream that no drain lets end."""
        return int(2 * (self.endpoint + self.drain) * self.rate)


@dataclass
class Scenario:
    """A model under load in a namespace.

    Attributes:
        path: what the requests pass through, for the table.
        answers: see :class:`scripts.bench.load.Client`.
    """

    cluster: Cluster
    namespace: str
    url: str
    engine: str = "double"
    path: str = "Service"
    model: str = "tiny"
    timing: Timing = field(default_factory=Timing)
    options: dict[str, Any] = field(default_factory=dict)

    def traffic(self, **options: Any) -> Traffic:
        """The steady load of the scenarios."""
        load = {
            "rate": 20, "tokens": 16, "streams": STREAMS + 10, "stream_tokens": self.timing.stream_tokens,
            "answers": "known" if self.engine == "double" else "counted", "seed": 5, "limit": 180,
        }  # fmt: skip
        return local.traffic(self.cluster, self.url, self.model, **(load | self.options | options))

    def run(self, name: str, event: Callable[[Traffic], None], *, overlong: int = 0, **options: Any) -> "Outcome":
        """Loads the model, makes the event happen, and waits until enough requests have ended and all is quiet."""
        with self.traffic(**options) as traffic:
            traffic.wait_for_streams(STREAMS, seconds=90)
            if overlong:
                traffic.tell(f"burst {overlong} {self.timing.overlong_tokens} overlong")
                traffic.wait_for("overlong streams", lambda: traffic.status["running"].get("overlong", 0) == overlong)
            with traffic.window("event"):
                event(traffic)
            traffic.wait_for_requests(REQUESTS)
        return self.keep(name, traffic.report())

    def keep(self, name: str, report: Report) -> "Outcome":
        """Writes the whole run below .artifacts."""
        log = RECORDS / "runs" / f"{name}-{self.path}-{self.engine}-{time.strftime('%H%M%S')}.jsonl".replace(" ", "-")
        report.write(log)
        return Outcome(self, name, report, str(log.relative_to(RECORDS.parent)))


@dataclass
class Outcome:
    """What a scenario came to."""

    scenario: Scenario
    name: str
    report: Report
    log: str

    @property
    def event(self) -> tuple[float, float]:
        """Begin and end of the event, Unix seconds."""
        return self.report.windows["event"]

    @property
    def in_flight(self) -> list[Request]:
        """Streams that the event met; the overlong ones aside."""
        return self.report.in_flight_at(self.event[0])

    def record(self, table: str = "nothing-lost", note: str = "", **figures: Any) -> None:
        """Keeps the figures for docs/proof.md."""
        report, began, ended = self.report, *self.event
        overlong = report.fates("overlong")
        own = {
            "path": self.scenario.path,
            "requests": f"{len(report.of()):,}",
            "in_flight": len(self.in_flight),
            "lost": len(report.not_ok()),
            "wrong": report.fates()["wrong"],
            "overlong": ", ".join(f"{count} {fate}" for fate, count in sorted(overlong.items())),
            "took": f"{ended - began:.0f} s",
            "note": note,
        }
        versions = {"Kubernetes": KUBERNETES_VERSION, "vLLM": "0.32.0 (CPU)"} if self.scenario.engine == "real" else {
            "Kubernetes": KUBERNETES_VERSION}  # fmt: skip
        Record(table, self.name, self.scenario.engine, own | figures, versions, self.log, seed=5).write()

    def assert_big_enough(self) -> None:
        """A scenario proves nothing with a handful of requests."""
        assert len(self.report.of()) >= REQUESTS, self.report.summary()
        assert len(self.in_flight) >= STREAMS, self.report.summary()

    def assert_nothing_lost(self) -> None:
        """Enough requests, and every one of them answered whole and right."""
        self.assert_big_enough()
        assert self.report.not_ok() == [], self.report.summary()


def versions(*names: str) -> dict[str, str]:
    """Versions of pinned tools by name."""
    return {name: tools.TOOLS[name].version for name in names}
