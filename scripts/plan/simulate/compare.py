"""The control loop against time lines recorded on a cluster.

A time line is a CSV file with a row a sample: ``seconds``, ``metric`` (the sum that the scaler saw, over all replicas)
and ``wanted`` (the replicas of the Deployment's spec or the HPA's desiredReplicas). Lines before the header that begin
with ``#`` may carry the rules it was recorded with: ``# target=5 maximum=3 up_window=60``. Instead of the metric a
recording may have ``in_flight`` and ``ready``, as the cluster tests write it, and ``slots=8`` (requests that one
replica runs at once) in its rules: what is over the slots of the ready replicas waits.

The recorded metric goes through the same controller as in a simulation. When a scraper and a scaler look within their
period no recording tells, so the comparison takes the moment that explains the recording best.
"""

import csv
import math
import re
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any

from scripts.console import UserError
from scripts.plan.simulate.scaler import Controller, Rules, average_value

COLUMNS = {
    "seconds": ("seconds", "time", "t"),
    "metric": ("metric", "waiting", "demand", "queue", "value"),
    "in_flight": ("in_flight",),
    "ready": ("ready",),
    "wanted": ("wanted", "desired", "desiredReplicas", "replicas"),
}


@dataclass(frozen=True)
class Sample:
    """One row: seconds since the start, the metric's sum, replicas wanted on the cluster."""

    seconds: float
    metric: float
    wanted: int


@dataclass(frozen=True)
class Timeline:
    """A recording: its samples in order, and the rules and the target that its file names."""

    samples: tuple[Sample, ...]
    rules: Rules
    target: float


@dataclass(frozen=True)
class Comparison:
    """What both wanted at every sample: (seconds, on the cluster, in the model)."""

    samples: tuple[tuple[float, int, int], ...]

    @property
    def equal(self) -> float:
        """Share of samples at which both wanted the same."""
        return sum(a == b for _, a, b in self.samples) / len(self.samples)


def timeline(path: Path, rules: Rules, target: float) -> Timeline:
    """Reads a recording; rules and target hold where its file names none. Raises UserError naming the place."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"--compare: {path} cannot be read ({error.strerror})", fix="--compare TIMELINE.csv") from error
    settings = _settings(path, [line for line in lines if line.startswith("#")])
    target, slots = settings.pop("target", target), settings.pop("slots", 0)
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    kinds = ("seconds", "in_flight", "ready", "wanted") if slots else ("seconds", "metric", "wanted")
    names = {kind: _column(path, rows, kind) for kind in kinds}
    samples = []
    for number, row in enumerate(rows, 1):
        try:
            values = {kind: float(row[name]) for kind, name in names.items()}
        except (TypeError, ValueError) as error:
            raise UserError(f"--compare: {path} sample {number}: {error}", fix="a number in every column") from error
        metric = max(0.0, values["in_flight"] - slots * values["ready"]) if slots else values["metric"]
        samples.append(Sample(values["seconds"], metric, int(values["wanted"])))
    return Timeline(tuple(sorted(samples, key=lambda s: s.seconds)), replace(rules, **_typed(settings)), target)


def _column(path: Path, rows: list[dict[str, str]], kind: str) -> str:
    found = next((s for s in COLUMNS[kind] if rows and s in rows[0]), None)
    if found is None:
        raise UserError(
            f"--compare: {path} has no column {kind}, or no rows",
            fix="columns: seconds, metric, wanted; or seconds, in_flight, ready, wanted and a line `# slots=8`",
        )
    return found


def _settings(path: Path, comments: list[str]) -> dict[str, float]:
    """``# target=5 maximum=3`` as numbers. Raises UserError for a name that is no rule."""
    known = {"target", "slots", *(f.name for f in fields(Rules))}
    found = {}
    for name, value in re.findall(r"(\w+)=(\S+)", " ".join(comments)):
        try:
            found[name] = float(value)
        except ValueError as error:
            raise UserError(f"--compare: {path}: {name}={value} is not a number", fix=f"# {name}=5") from error
        if name not in known:
            raise UserError(f"--compare: {path}: {name} is no rule", fix=f"one of {', '.join(sorted(known))}")
    return found


def _typed(settings: dict[str, float]) -> dict[str, Any]:
    """Pods are whole numbers."""
    whole = ("minimum", "maximum", "up_pods", "down_pods")
    return {name: int(value) if name in whole else value for name, value in settings.items()}


def compare(recorded: Timeline) -> Comparison:
    """What the controller would have wanted, its moments of looking chosen to explain the recording best."""
    rules = recorded.rules
    coarse = max(1.0, len(recorded.samples) / 600)
    moments = product(_phases(rules.scrape, coarse), _phases(rules.sync, coarse))
    return max((_replayed(recorded, *moment) for moment in moments), key=lambda c: c.equal)


def _phases(period: float, coarse: float) -> list[float]:
    """Offsets within a period, a second apart or more."""
    return [i * coarse for i in range(max(1, math.ceil(period / coarse)))]


def _replayed(recorded: Timeline, scrape_offset: float, sync_offset: float) -> Comparison:
    """The metric through the controller, which looks every ``rules.sync`` seconds at what was last scraped."""
    samples, rules = recorded.samples, recorded.rules
    controller = Controller(rules)
    wanted, seen = samples[0].wanted, samples[0].metric
    controller.last_active = samples[0].seconds
    scraped, look = samples[0].seconds + scrape_offset, samples[0].seconds + sync_offset
    both = []
    for sample in samples:
        if sample.seconds >= scraped:
            seen, scraped = sample.metric, scraped + rules.scrape
        wanted = controller.activate(sample.seconds, sample.metric, wanted)
        if sample.seconds >= look:
            raw = average_value(seen, recorded.target, max(1, wanted))
            wanted, look = controller.decide(look, raw, wanted), look + rules.sync
        both.append((sample.seconds, sample.wanted, wanted))
    return Comparison(tuple(both))
