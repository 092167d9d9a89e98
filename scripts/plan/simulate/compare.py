"""The control loop against time lines recorded on a cluster.

A time line is a CSV file with a row a sample: ``seconds``, ``metric`` (the sum that the scaler saw, over all replicas)
and ``wanted`` (the replicas of the Deployment's spec or the HPA's desiredReplicas); ``ready`` is optional. The recorded
metric goes through the same controller as in a simulation, and its wish is compared with the recorded one.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from scripts.console import UserError
from scripts.plan.simulate.scaler import Controller, Rules, average_value

COLUMNS = {
    "seconds": ("seconds", "time", "t"),
    "metric": ("metric", "waiting", "demand", "queue", "value"),
    "wanted": ("wanted", "desired", "desiredReplicas", "replicas"),
}


@dataclass(frozen=True)
class Sample:
    """One row: seconds since the start, the metric's sum, replicas wanted on the cluster."""

    seconds: float
    metric: float
    wanted: int


@dataclass(frozen=True)
class Comparison:
    """What both wanted at every sample: (seconds, on the cluster, in the model)."""

    samples: tuple[tuple[float, int, int], ...]

    @property
    def equal(self) -> float:
        """Share of samples at which both wanted the same."""
        return sum(a == b for _, a, b in self.samples) / len(self.samples)


def timeline(path: Path) -> list[Sample]:
    """Reads a recorded time line. Raises UserError naming the column or line."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise UserError(f"--compare: {path} cannot be read ({error.strerror})", fix="--compare TIMELINE.csv") from error
    names = {}
    for wanted, spellings in COLUMNS.items():
        found = next((s for s in spellings if rows and s in rows[0]), None)
        if found is None:
            raise UserError(f"--compare: {path} has no column {wanted}", fix="columns: seconds, metric, wanted")
        names[wanted] = found
    samples = []
    for number, row in enumerate(rows, 2):
        try:
            values = {column: float(row[name]) for column, name in names.items()}
        except (TypeError, ValueError) as error:
            raise UserError(f"--compare: {path} line {number}: {error}", fix="three numbers a row") from error
        samples.append(Sample(values["seconds"], values["metric"], int(values["wanted"])))
    return sorted(samples, key=lambda s: s.seconds)


def compare(samples: list[Sample], rules: Rules, target: float) -> Comparison:
    """Replays the metric through the controller, which looks every ``rules.sync`` seconds at what was last scraped."""
    controller = Controller(rules)
    wanted = samples[0].wanted
    controller.last_active = samples[0].seconds
    look = scraped = samples[0].seconds
    seen = samples[0].metric
    both = []
    for sample in samples:
        if sample.seconds >= scraped:
            seen, scraped = sample.metric, sample.seconds + rules.scrape
        wanted = controller.activate(sample.seconds, sample.metric, wanted)
        if sample.seconds >= look:
            wanted = controller.decide(sample.seconds, average_value(seen, target, max(1, wanted)), wanted)
            look = sample.seconds + rules.sync
        both.append((sample.seconds, sample.wanted, wanted))
    return Comparison(tuple(both))
