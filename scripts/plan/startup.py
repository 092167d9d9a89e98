"""How long a start takes, phase by phase, and the probe budget that follows.

The budget is the chart's: the constants are read from its own template, so the two cannot drift apart. What the
planner adds is the expectation of each phase, the read rate for a storage and a loader, and the phases before the
container starts (node, image), which no probe sees but a scaler must plan with.
"""

import math
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from scripts.console import UserError
from scripts.paths import CHARTS
from scripts.plan.catalog import load
from scripts.plan.overhead import parse_version

TEMPLATE = CHARTS / "vllm-model" / "templates" / "_startup-budget.tpl"


@dataclass(frozen=True)
class Start:
    """What decides how long a replica starts.

    size_gib is the checkpoint on disk, whole. gpus and nodes are those of one replica.
    """

    size_gib: float
    gpus: int = 1
    nodes: int = 1
    loader: str = "safetensors"
    storage: str = "unknown"
    downloads: bool = False
    """The engine's own container downloads from a hub before it loads."""
    eager: bool = False
    warm: bool = False
    """The compile cache is there from an earlier start."""
    image_present: bool = False
    node_present: bool = False
    image_gib: float | None = None
    compiles: bool = True
    """False for engines before 0.6.5, which do not run torch.compile."""
    read_rate: float | None = None
    """Measured MiB/s, instead of storage and loader."""
    download_rate: float | None = None


@dataclass(frozen=True)
class Phase:
    """Seconds of one phase: what to expect, and a bound that holds in at least 95 % of the measured starts."""

    name: str
    expected: float
    bound: float
    probe: bool
    """Whether it counts against the startup probe."""


@dataclass(frozen=True)
class Plan:
    """The phases and what follows from them."""

    start: Start
    phases: tuple[Phase, ...]
    needed_seconds: int
    """What the chart computes for the same model: the floor, cold caches."""
    read_rate_mib: float

    @property
    def expected_ready(self) -> float:
        """Container start to ready, as it usually goes."""
        return sum(p.expected for p in self.phases if p.probe)

    @property
    def bound_ready(self) -> float:
        """The same, as it goes in the slow cases, without the floor."""
        return sum(p.bound for p in self.phases if p.probe)

    @property
    def scale_up_delay(self) -> float:
        """From the wish for a replica to its first answer, as it usually goes."""
        return sum(p.expected for p in self.phases)


@cache
def constants() -> dict[str, float]:
    """The chart's constants, from the named template that holds them."""
    text = TEMPLATE.read_text(encoding="utf-8")
    body = re.search(r'define "vllm-model\.startup\.constants" -}}(.*?){{- end', text, re.DOTALL)
    if not body:
        raise RuntimeError(f'{TEMPLATE} has no define "vllm-model.startup.constants"')
    return dict(yaml.load(body.group(1), Loader=yaml.CSafeLoader))


@cache
def tables() -> dict[str, Any]:
    return dict(load("startup.yaml"))


def compiles(version: str) -> bool:
    """Whether an engine of this version runs torch.compile at start."""
    return parse_version(version) >= (0, 6, 5)


def startup_budget_seconds(
    size_gib: float,
    *,
    gpus: int = 1,
    nodes: int = 1,
    eager: bool = False,
    downloads: bool = False,
    read_rate_mib: float = 0,
    download_rate_mib: float = 0,
) -> int:
    """Seconds a start may take: the chart's ``vllm-model.startup.neededSeconds``. Rates in MiB/s, 0: unknown."""
    c = constants()
    mib = size_gib * 1024
    total = c["importsSeconds"] + (c["multiGpuSeconds"] if gpus > 1 else 0)
    total += c["extraNodeSeconds"] * (max(1, nodes) - 1)
    total += mib / (download_rate_mib or c["downloadRateMiBps"]) if downloads else 0
    total += c["loadFixedSeconds"] + mib / (read_rate_mib or c["readRateMiBps"])
    total += c["eagerSeconds"] if eager else c["compileSeconds"] + c["graphsSeconds"]
    total += min(c["kernelSecondsMax"], c["kernelSecondsPerGiB"] * size_gib) + c["slackSeconds"]
    return int(max(c["floorSeconds"], math.ceil(total)))


def failure_threshold(needed_seconds: float, *, initial_delay: int = 60, period: int = 10) -> int:
    """The probe's ``failureThreshold``: only initial_delay + (threshold - 1) x period is sure."""
    return 1 + math.ceil(max(0.0, needed_seconds - initial_delay) / period)


def read_rate(storage: str, loader: str, gpus: int) -> tuple[float, float]:
    """[sure, expected] MiB/s of the slower of storage and loader. Raises UserError for an unknown name."""
    t = tables()
    choices = (("--storage", storage, t["storage"]), ("--loader", loader, t["loaders"]))
    for flag, name, known in choices:
        if name not in known:
            raise UserError(f"{flag}: {name!r} is unknown", fix=f"choose one of {', '.join(known)}")
    entry = t["loaders"][loader]
    in_memory = storage in ("page-cache", "ram")
    caps = entry.get("memory", entry["rate"]) if in_memory else entry["rate"]
    together = 1 + (min(gpus, 8) - 1) / 2 if entry.get("perGpu") and storage != "page-cache" else 1
    sure, expected = (min(s, c * together) for s, c in zip(t["storage"][storage]["rate"], caps, strict=True))
    return sure, expected


def plan(start: Start) -> Plan:
    """The phases of a start, in order."""
    if start.size_gib < 0 or start.gpus < 1 or start.nodes < 1:
        raise UserError("--size-gib, --gpus, --nodes: must not be negative, and a replica has a GPU and a node")
    sure, expected = (
        (start.read_rate, start.read_rate) if start.read_rate else read_rate(start.storage, start.loader, start.gpus)
    )
    needed = startup_budget_seconds(
        start.size_gib,
        gpus=start.gpus,
        nodes=start.nodes,
        eager=start.eager,
        downloads=start.downloads,
        read_rate_mib=sure,
        download_rate_mib=start.download_rate or 0,
    )
    phases = (*_before(start), *_in_container(start, sure, expected))
    return Plan(start, phases, needed, sure)


def _before(start: Start) -> list[Phase]:
    t = tables()["before"]
    image = start.image_gib if start.image_gib is not None else t["imageGiB"]
    phases = [] if start.node_present else [Phase("node", t["nodeSeconds"][1], t["nodeSeconds"][0], False)]
    if not start.image_present:
        bound, usual = (rate * image for rate in t["imageSecondsPerGiB"])
        phases.append(Phase("image", usual, bound, False))
    return phases


def _in_container(start: Start, sure: float, expected: float) -> list[Phase]:
    """Imports, download, load, compile, graphs and warm-up: bounds from the chart, expectations from startup.yaml."""
    usual, bound = _engine_seconds(start, tables()["expected"]), _engine_seconds(start, constants())
    mib = start.size_gib * 1024
    slack, fixed = constants()["slackSeconds"], constants()["loadFixedSeconds"]
    phases = [Phase("imports", usual["imports"], bound["imports"] + slack, True)]
    if start.downloads:
        slow, normal = ([start.download_rate] * 2) if start.download_rate else tables()["downloadRate"]
        phases.append(Phase("download", mib / normal, mib / slow, True))
    phases.append(Phase("load", fixed / 2 + mib / expected, fixed + mib / sure, True))
    if bound["compile"]:
        phases.append(Phase("compile", usual["compile"], bound["compile"], True))
    phases.append(Phase("graphs and warm-up", usual["graphs"], bound["graphs"], True))
    return phases


def _engine_seconds(start: Start, c: dict[str, float]) -> dict[str, float]:
    """Seconds of the phases that do not read weights, by one set of constants."""
    warm = tables()["warm"] if start.warm else {"compile": 1, "graphs": 1}
    many = c["multiGpuSeconds"] if start.gpus > 1 else 0
    kernels = min(c["kernelSecondsMax"], c["kernelSecondsPerGiB"] * start.size_gib) if start.compiles else 0
    compiles = start.compiles and not start.eager
    return {
        "imports": c["importsSeconds"] + many + c["extraNodeSeconds"] * (start.nodes - 1),
        "compile": c["compileSeconds"] * warm["compile"] if compiles else 0,
        "graphs": (c["eagerSeconds" if start.eager else "graphsSeconds"] + kernels) * warm["graphs"],
    }
