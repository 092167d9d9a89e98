"""The control loop against time lines recorded on a cluster.

A time line is a CSV file with a row a sample: ``seconds``, ``metric`` (the sum that the scaler saw, over all replicas)
and ``wanted`` (the replicas of the Deployment's spec or the HPA's desiredReplicas); further columns are ignored. Lines
before the header that begin with ``#`` may carry the rules it was recorded with: ``# target=5 maximum=3 up_window=60``.
The recorded metric goes through the same controller as in a simulation, and its wish is compared with the recorded one.
"""

import csv
import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

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
    target = settings.pop("target", target)
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    names = {wanted: _column(path, rows, wanted, spellings) for wanted, spellings in COLUMNS.items()}
    samples = []
    for number, row in enumerate(rows, 1):
        try:
            values = {column: float(row[name]) for column, name in names.items()}
        except (TypeError, ValueError) as error:
            raise UserError(f"--compare: {path} sample {number}: {error}", fix="three numbers a row") from error
        samples.append(Sample(values["seconds"], values["metric"], int(values["wanted"])))
    return Timeline(tuple(sorted(samples, key=lambda s: s.seconds)), replace(rules, **_typed(settings)), target)


def _column(path: Path, rows: list[dict[str, str]], wanted: str, spellings: tuple[str, ...]) -> str:
    found = next((s for s in spellings if rows and s in rows[0]), None)
    if found is None:
        raise UserError(f"--compare: {path} has no column {wanted}, or no rows", fix="columns: seconds, metric, wanted")
    return found


def _settings(path: Path, comments: list[str]) -> dict[str, float]:
    """``# target=5 maximum=3`` as numbers. Raises UserError for a name that is no rule."""
    known = {"target", *(f.name for f in fields(Rules))}
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
    """Replays the metric through the controller, which looks every ``rules.sync`` seconds at what was last scraped."""
    samples, rules, target = recorded.samples, recorded.rules, recorded.target
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
