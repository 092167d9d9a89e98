"""``plan bench``: the planner's scores on measured cases against its targets, and the tables of docs/planner.md."""

import os
import platform
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from scripts.console import UserError, console
from scripts.paths import REPO, TESTS
from scripts.plan import bench, tables
from scripts.plan import options as o
from scripts.plan.catalog import GIB, find_gpu
from scripts.plan.fit import TIGHT_MARGIN, Setup, fit
from scripts.plan.latency import Slo
from scripts.plan.overhead import DEFAULT_VERSION
from scripts.plan.simulate import strategies, trace
from scripts.plan.simulate.compare import compare, timeline
from scripts.plan.simulate.scaler import Rules
from scripts.plan.simulate.world import simulate
from scripts.plan.simulate_command import COLUMNS, body, setting_for
from scripts.plan.sources import find_model

DATA = TESTS / "data"
TIMELINES = DATA / "timelines"
DOCS = REPO / "docs" / "planner.md"
SIMULATED: tuple[tuple[str, str, str, int, int, float | None], ...] = (
    ("conv", "meta-llama/Llama-3.1-8B-Instruct", "L4", 1, 24, None),
    ("conv", "meta-llama/Llama-3.1-8B-Instruct", "L4", 1, 24, 120),
    ("conv", "meta-llama/Llama-3.1-70B-Instruct", "H100", 4, 8, 300),
    ("code", "meta-llama/Llama-3.1-8B-Instruct", "A100-80GB", 1, 24, None),
)
"""Tables of strategies: trace, model, GPU, tensor size, maxReplicas, seconds of a cold start (None: new node)."""
SPEED_TARGET_SECONDS = 10.0

Section = tuple[str, Sequence[str], Sequence[Sequence[str]]]
"""Title, columns, rows."""


def command(
    kv_cases: Annotated[Path, typer.Option(help="Measured memory, one row a start.")] = DATA / "kv_cases.csv",
    startup_cases: Annotated[Path, typer.Option(help="Measured phases of starts.")] = DATA / "startup_cases.csv",
    latency_cases: Annotated[Path, typer.Option(help="Measured times under load.")] = DATA / "latency_cases.csv",
    traces: Annotated[
        Path | None, typer.Option(help="Folder with *code*.csv and *conv*.csv of the Azure trace.")
    ] = None,
    write_docs: Annotated[bool, typer.Option("--write-docs", help="Write the tables into docs/planner.md.")] = False,
    details: Annotated[bool, typer.Option("--details", help="Print every case.")] = False,
    json: o.Json = False,
) -> None:
    """Scores the planner on measured cases and prints its targets.

    Example: [bold]vllm-charts plan bench --details[/], with the Azure traces: [bold]--traces FOLDER --write-docs[/]

    Exit status 1 where a target is missed.
    """
    memory, no_memory = bench.score_memory(kv_cases)
    starts, no_start = bench.score_start(startup_cases)
    latency, no_latency = bench.score_latency(latency_cases)
    left_out = [*no_memory, *no_start, *no_latency]
    targets = [*bench.memory_targets(memory), *bench.start_targets(starts), *_loop_targets(TIMELINES)]
    simulations = [_simulated(traces, *which) for which in SIMULATED] if traces else []
    if traces:
        slowest = max(seconds for _, seconds in simulations)
        targets.append(
            bench.Target("one hour of a trace, slowest, processor time", slowest, SPEED_TARGET_SECONDS, False, "s")
        )
    sections: dict[str, Section] = {
        "memory": _memory_section(memory),
        "start": _start_section(starts),
        "latency": _latency_section(latency),
        "left-out": ("Left out before scoring", ("case", "why"), left_out),
        "targets": _target_section(targets),
        **{f"strategies-{i}": section for i, (section, _) in enumerate(simulations)},
    }
    if json:
        tables.print_json(_json(targets, left_out))
    else:
        _show(sections, details=details)
    if write_docs:
        _write(DOCS, sections)
    if not all(t.met for t in targets):
        raise typer.Exit(1)


def _show(sections: dict[str, Section], *, details: bool) -> None:
    for name, (title, columns, rows) in sections.items():
        if details or name not in ("memory", "start"):
            tables.rows(title, columns, rows)


def _json(targets: list[bench.Target], left_out: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "targets": [
            {"what": t.what, "value": round(t.value, 3), "target": t.target, "unit": t.unit, "met": t.met}
            for t in targets
        ],
        "leftOut": dict(left_out),
    }


def _memory_section(scores: list[bench.MemoryScore]) -> Section:
    rows = []
    for s in scores:
        a, logged = s.answer, s.case.kv_bytes
        rows.append(
            (
                s.case.name,
                f"{a.model.name} on {a.setup.gpus} x {a.setup.gpu.name}",
                a.setup.version.split(" ")[0],
                "starts" if s.case.starts else "fails",
                a.verdict,
                "yes" if s.right else "NO",
                f"{logged / GIB:.2f}" if logged is not None else "-",
                f"{a.available.mid / GIB:.2f}",
                f"{a.available.low / GIB:.2f} to {a.available.high / GIB:.2f}",
            )
        )
    title = f"Memory (tight counts where the best guess is within {TIGHT_MARGIN:.0%} of the GPU's memory of the need)"
    return title, ("case", "what", "vLLM", "measured", "planner", "right", "KV GiB", "planner", "bounds"), rows


def _start_section(scores: list[bench.StartScore]) -> Section:
    rows = [
        (
            s.case.name,
            " + ".join(s.case.phases) if len(s.case.phases) < 4 else "container start to ready",
            f"{s.case.start.size_gib:.0f}",
            f"{s.case.start.loader}, {s.case.start.storage}",
            f"{s.case.seconds:.1f}",
            f"{s.expected:.0f}",
            f"{s.bound:.0f}",
            "yes" if s.covered else "NO",
        )
        for s in scores
    ]
    return "Start", ("case", "phase", "GiB", "loader, storage", "measured s", "expected", "bound", "covered"), rows


def _latency_section(scores: list[bench.LatencyScore]) -> Section:
    rows = []
    names = sorted({(not s.case.fitted, s.case.speed.model.name) for s in scores})
    for unseen, name in names:
        found = [s for s in scores if s.case.speed.model.name == name]
        rows.append(
            (
                name,
                "no" if unseen else "yes",
                str(len(found)),
                f"{median(s.tpot_error for s in found):.0%}",
                f"{bench.p90([s.tpot_error for s in found]):.0%}",
                f"{median(s.ttft_error for s in found):.0%}",
            )
        )
    title = "Latency under load, off by (vLLM rows of aiconfigurator-core's silicon_sample.csv)"
    return title, ("model", "fitted", "rows", "a token, median", "p90", "first token, median"), rows


def _target_section(targets: list[bench.Target]) -> Section:
    rows = [
        (
            t.what,
            f"{t.value:.4g} {t.unit}".strip(),
            f"{'at least' if t.at_least else 'at most'} {t.target:g} {t.unit}".strip(),
            "met" if t.met else "MISSED",
        )
        for t in targets
    ]
    return "Targets", ("what", "is", "target", ""), rows


def _loop_targets(folder: Path) -> list[bench.Target]:
    """The control loop on recorded time lines: one target over all samples of all files."""
    results = [compare(timeline(file, Rules(), 5)) for file in sorted(folder.glob("*.csv"))]
    samples = [sample for result in results for sample in result.samples]
    if not samples:
        return []
    equal = 100 * sum(a == b for _, a, b in samples) / len(samples)
    return [bench.Target(f"wanted replicas equal, {len(results)} recorded time lines", equal, 95, True, "%")]


def _simulated(
    folder: Path, name: str, model: str, gpu: str, tensor: int, maximum: int, cold_start: float | None
) -> tuple[Section, float]:
    """A table of strategies, and the processor seconds that the slowest took."""
    files = sorted(folder.glob(f"*{name}*.csv"))
    if not files:
        raise UserError(
            f"--traces: {folder} has no *{name}*.csv",
            why="the tables are of the Azure LLM inference trace of 2023, which the project does not ship (CC-BY 4.0)",
            fix="see docs/planner.md, `Traces`",
        )
    requests = trace.load(files[0])
    setup = Setup(gpu=find_gpu(gpu), tensor=tensor, max_model_len=8192)
    setting = setting_for(fit(find_model(model), setup), Slo(), cold_start)
    results, slowest = [], 0.0
    for strategy in strategies.comparison(requests, setting, Rules(maximum=maximum)):
        began = time.process_time()
        results.append(simulate(requests, setting, strategy))
        slowest = max(slowest, time.process_time() - began)
    of = f"{tensor} x {gpu}" if tensor > 1 else gpu
    title = f"Azure 2023 {name}, {len(requests):,} requests: {model} on {of}, cold start {setting.cold_start:.0f} s"
    return (title, COLUMNS, body(results)), slowest


def _write(path: Path, sections: dict[str, Section]) -> None:
    """Replaces what stands between ``<!-- bench NAME -->`` and ``<!-- end -->``. Sections that did not run stay."""
    text = path.read_text(encoding="utf-8")
    for name, section in sections.items():
        text = _replaced(text, name, _markdown(section))
    software = f"Python {platform.python_version()}, simpy {version('simpy')}, vLLM up to {DEFAULT_VERSION}"
    made = f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()} with {os.cpu_count()} cores, {software}"
    path.write_text(_replaced(text, "made", f"Tables made by `vllm-charts plan bench --write-docs`: {made}."), "utf-8")
    console.print(f"wrote the tables of {path.relative_to(REPO)}")


def _replaced(text: str, name: str, content: str) -> str:
    pattern = re.compile(rf"(<!-- bench {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    return pattern.sub(lambda found: f"{found.group(1)}{content}\n{found.group(2)}", text)


def _markdown(section: Section) -> str:
    title, columns, rows = section
    lines = [f"**{title}**", "", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
