"""Records what scaling does over time: load, queue, wanted and ready replicas, once a second."""

import csv
import threading
import time
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from scripts.bench.proof import RECORDS
from scripts.bench.traffic import Traffic
from scripts.cluster import Cluster
from tests.cluster.watch import Watch


@dataclass
class Moment:
    """One second of a scenario.

    Attributes:
        seconds: since the record began.
        rate: requests that ended in the last second.
        in_flight: requests on their way, waiting ones included.
        wanted, ready: replicas of the Deployment.
    """

    seconds: float
    rate: float
    in_flight: int
    wanted: int
    ready: int


class Timeline:
    """The record of one scenario."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, traffic: Traffic | None = None) -> None:
        self.traffic = traffic
        self.watch = Watch(cluster, namespace, name, replicas)
        self.moments: list[Moment] = []

    def __enter__(self) -> Self:
        self.began = time.time()
        self.watch.__enter__()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        self._thread.join()
        self.watch.__exit__(*error)

    def _sample(self) -> None:
        ended = 0
        while not self._stopped.wait(1):
            wanted, ready = self.watch.values()[-1]
            before, ended = ended, len(self.traffic.requests) if self.traffic else 0
            in_flight = int(self.traffic.status["in_flight"]) if self.traffic else 0
            self.moments.append(Moment(round(time.time() - self.began, 1), ended - before, in_flight, wanted, ready))

    @property
    def wanted(self) -> list[int]:
        """The numbers of wanted replicas, in order, each once until it changes."""
        values = [state[0] for state in self.watch.values()]
        return [value for index, value in enumerate(values) if index == 0 or values[index - 1] != value]

    def since(self, moment: float, *, wanted: int | None = None, ready: int | None = None) -> float | None:
        """Seconds from a moment (Unix time) to the first state with at least that many replicas; None if never."""
        for when, (is_wanted, is_ready) in self.watch.states:
            if when >= moment and is_wanted >= (wanted or 0) and is_ready >= (ready or 0):
                return when - moment
        return None

    def changes(self) -> list[tuple[float, int]]:
        """When the wanted number changed, and to what."""
        found: list[tuple[float, int]] = []
        for when, (wanted, _) in self.watch.states:
            if not found or found[-1][1] != wanted:
                found.append((when, wanted))
        return found

    def write(self, name: str) -> str:
        """Keeps the record as CSV below .artifacts, and gives the file's path from there."""
        path = RECORDS / "runs" / f"timeline-{name.replace(' ', '-')}-{time.strftime('%H%M%S')}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Moment)])
            writer.writeheader()
            writer.writerows(asdict(moment) for moment in self.moments)
        return str(path.relative_to(RECORDS.parent))


def replicas(deployment: dict[str, Any]) -> tuple[int, int]:
    """Wanted and ready replicas of a Deployment."""
    return int(deployment["spec"]["replicas"]), int(deployment["status"].get("readyReplicas", 0))
