"""Keeps what scenarios measured, and writes docs/proof.md from it.

A test that has run a scenario records its figures under ``.artifacts/proof``. ``vllm-charts bench proof`` takes the
newest record of each scenario into docs/proof.json, which is committed, and renders docs/proof.md. No figure is typed
by hand.
"""

import json
import os
import platform
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from scripts.paths import ARTIFACTS, REPO

RECORDS = ARTIFACTS / "proof"
RESULTS = REPO / "docs" / "proof.json"
PAGE = REPO / "docs" / "proof.md"


@dataclass(frozen=True)
class Table:
    """A table of the page: its heading, what a reader has to know, its columns (key of the figure and heading)."""

    heading: str
    text: str
    columns: dict[str, str]


TABLES = {
    "nothing-lost": Table(
        "Nothing lost",
        "Steady load of short requests and long streams while something happens. `lost` is every request without a "
        "whole and right answer. `in flight` are the streams that had begun when the event began; each is longer than "
        "the preStop sleep and ends inside preStop + drain. Streams that are longer on purpose are counted apart: they "
        "must end with an error event, not with silence.\n\n"
        "What is lost, and why: a killed or hung engine takes the streams that it held, whatever is in front of it. "
        "Behind a plain Service it also takes requests that are sent to it until its endpoint is gone (about a second "
        "for a dead one, three readiness probes for a hung one), because a Service cannot try another pod; the gateway "
        "can, and does as long as no byte of an answer has come.",
        {
            "path": "path", "requests": "requests", "in_flight": "in flight", "lost": "lost", "wrong": "wrong",
            "overlong": "longer than the drain", "took": "event took", "note": "note",
        },
    ),
    "scaling": Table(
        "Scaling",
        "`decision` is the time from the change of load to the right number of wanted replicas, `ready` to as many "
        "ready ones. The target is the sum of up-window, scrape, polling and 5 s.",
        {
            "load": "load", "replicas": "replicas", "decision": "decision", "target": "target", "ready": "ready",
            "lost": "lost", "note": "note",
        },
    ),
    "nodes": Table(
        "Nodes",
        "Where replicas are before and after a node or a zone has gone, in each of three zones. The scheduler and the "
        "controllers are real, the nodes are simulated (kwok), so there are no requests here; those of a reclaim are "
        "above.",
        {"replicas": "replicas", "before": "before", "after": "after", "took": "took", "note": "note"},
    ),
    "zero": Table(
        "Scale to zero",
        "Requests to a model without a replica. `decision` is the time from the request to \"scaled to 1\", `added` "
        "what a request waited after the pod was ready.",
        {"requests": "requests", "decision": "decision", "added": "added", "answered": "answered", "note": "note"},
    ),
    "rollouts": Table(
        "Canary and groups",
        "Two versions behind one name, and replicas of several pods, under load.",
        {"what": "what happened", "requests": "requests", "lost": "lost", "took": "took", "note": "note"},
    ),
    "platform": Table(
        "The platform's release",
        "The umbrella on an empty cluster: two models on the real engine and one that sleeps, gateway, tenants, KEDA, "
        "the Prometheus Operator, its Prometheus and kube-state-metrics, all real; the charts around the operators are "
        "stand-ins. `not restarted` are pods of the real engine that went through it.",
        {"took": "took", "restarted": "not restarted", "note": "note"},
    ),
}  # fmt: skip
"""The tables by name, in the order of the page."""


@dataclass
class Record:
    """What one run of a scenario measured.

    Attributes:
        engine: ``real`` (vLLM's CPU build) or ``double``; ``simulated`` where pods are objects without a process.
        figures: by the keys of the table's columns, as they are printed.
        log: where the whole run is kept, below .artifacts.
    """

    table: str
    scenario: str
    engine: str
    figures: dict[str, Any]
    versions: dict[str, str]
    log: str = ""
    seed: int = 0
    when: str = field(default_factory=lambda: time.strftime("%Y-%m-%d %H:%M", time.gmtime()))
    machine: str = field(default_factory=lambda: machine())

    @property
    def key(self) -> str:
        """Names the record: a newer one of the same name replaces it."""
        text = f"{self.table} {self.scenario} {self.figures.get('path', '')} {self.engine}"
        return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")

    def write(self) -> Path:
        """Keeps the record.

        Raises:
            KeyError: a figure that no column shows.
        """
        unknown = self.figures.keys() - TABLES[self.table].columns.keys()
        if unknown:
            raise KeyError(f"no column of the table {self.table} shows {', '.join(sorted(unknown))}")
        RECORDS.mkdir(parents=True, exist_ok=True)
        path = RECORDS / f"{self.key}.json"
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")
        return path


def machine() -> str:
    """``2 cores, 24 GiB, Linux 6.1``: what the figures were measured on."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    kernel = ".".join(platform.release().split(".")[:2])
    return f"{os.cpu_count()} cores, {pages / 2**30:.0f} GiB, {platform.system()} {kernel}"


def collect() -> dict[str, Record]:
    """The committed results with the newest records of this tree over them."""
    results = {key: Record(**record) for key, record in read(RESULTS).items()}
    for path in sorted(RECORDS.glob("*.json")):
        record = Record(**json.loads(path.read_text()))
        if record.key not in results or results[record.key].when <= record.when:
            results[record.key] = record
    return results


def read(path: Path) -> dict[str, Any]:
    """The content of a JSON file; empty if there is none."""
    return dict(json.loads(path.read_text())) if path.exists() else {}


def write() -> None:
    """Writes docs/proof.json and docs/proof.md."""
    results = collect()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({key: asdict(results[key]) for key in sorted(results)}, indent=2) + "\n")
    PAGE.write_text(page(results.values()))


def page(records: Iterable[Record]) -> str:
    """The whole page."""
    records = list(records)
    parts = [INTRODUCTION]
    for name, table in TABLES.items():
        rows = sorted((each for each in records if each.table == name), key=lambda each: (each.scenario, each.engine))
        if rows:
            parts.append(f"## {table.heading}\n\n{table.text}\n\n{markdown(table, rows)}")
    versions = sorted({f"{name} {version}" for record in records for name, version in record.versions.items()})
    machines = sorted({record.machine for record in records})
    parts.append(f"## Versions and machine\n\n{', '.join(versions)}.\n\nMeasured on {'; '.join(machines)}.\n")
    return "\n\n".join(part.strip() for part in parts) + "\n"


INTRODUCTION = """
# Proof

What happens to requests and replicas while a model is changed, scaled, evicted or killed, measured on the local cluster
(a real Kubernetes, see [local cluster](local-cluster.md)). `engine: real` is vLLM's CPU build with a tiny model;
`engine: double` is a stand-in that is itself compared with the real one (`tests/unit/bench/test_double.py`,
`tests/cluster/test_nothing_lost_real.py`).

This page is written by `vllm-charts bench proof` from what `make test-cluster` and `make test-cluster-long` recorded.
Each run keeps its requests, one a line, and its seed under `.artifacts/proof`. The same load against a server of your
own: `vllm-charts bench traffic --help`.
"""


def markdown(table: Table, rows: list[Record]) -> str:
    """A table with a row for each record; columns that no row fills are left out."""
    used = {
        key: heading for key, heading in table.columns.items() if any(str(row.figures.get(key, "")) for row in rows)
    }
    lines = ["| scenario | engine | " + " | ".join(used.values()) + " | date |"]
    lines.append("|---" * (len(used) + 3) + "|")
    for row in rows:
        cells = [row.scenario, row.engine, *(str(row.figures.get(key, "")) for key in used), row.when]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
