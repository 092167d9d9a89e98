"""What the commands print: tables for people, JSON for programs."""

import json
from collections.abc import Iterable
from typing import Any

from rich.table import Table

from scripts.console import console, seconds
from scripts.plan.catalog import GIB
from scripts.plan.fit import Change, Fit
from scripts.plan.interval import Interval
from scripts.plan.startup import Plan, failure_threshold

COLOURS = {"fits": "green", "tight": "yellow", "does not fit": "red"}


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on standard output, unwrapped and uncoloured."""
    console.print(json.dumps(value, indent=2, default=str), markup=False, soft_wrap=True)


def table(title: str, *columns: str, caption: str = "") -> Table:
    """A table whose first column is text and whose others are figures."""
    made = Table(title=title, caption=caption or None, title_justify="left", caption_justify="left", title_style="bold")
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index == 0 else "right", min_width=14 if index == 0 else None)
    return made


def rows(title: str, columns: Iterable[str], body: Iterable[Iterable[str]], caption: str = "") -> None:
    """Prints a table at once."""
    made = table(title, *columns, caption=caption)
    for row in body:
        made.add_row(*row)
    console.print(made)


def gib(value: float) -> str:
    return f"{value / GIB:.2f}"


def bounds(value: Interval) -> tuple[str, str, str]:
    return gib(value.low), gib(value.mid), gib(value.high)


def fit_json(fit: Fit, changes: list[Change]) -> dict[str, Any]:
    """The answer of ``plan fit``. Sizes in GiB on one GPU; intervals as [low, best guess, high]."""

    def triple(value: Interval) -> list[float]:
        return [round(value.low / GIB, 3), round(value.mid / GIB, 3), round(value.high / GIB, 3)]

    return {
        "model": fit.model.name,
        "modelSource": fit.model.source,
        "gpu": fit.setup.gpu.name,
        "gpus": fit.setup.gpus,
        "verdict": fit.verdict,
        "vllmVersion": fit.setup.version,
        "calibratedFrom": fit.engine.row["from"],
        "gpuMemoryGiB": round(fit.setup.memory / GIB, 2),
        "utilization": fit.utilization,
        "maxModelLen": fit.max_model_len,
        "maxNumSeqs": fit.max_num_seqs,
        "maxNumBatchedTokens": fit.batched_tokens,
        "weightsGiB": triple(fit.weights),
        "loraGiB": triple(fit.loras),
        "activationGiB": triple(fit.overhead.activation),
        "nonTorchGiB": triple(fit.overhead.non_torch),
        "cudaGraphsGiB": triple(fit.overhead.graphs),
        "kvAvailableGiB": triple(fit.available),
        "kvNeededGiB": round(fit.needed / GIB, 3),
        "kvStatesGiB": round(fit.states / GIB, 3),
        "kvBytesPerToken": round(fit.layout.token_bytes),
        "kvTokens": fit.kv_tokens,
        "fullSequences": round(fit.full_sequences, 2),
        "longestThatFits": fit.longest,
        "changes": [{"what": c.what, "why": c.why, "gpus": c.fit.setup.gpus} for c in changes],
    }


def print_fit(fit: Fit, changes: list[Change]) -> None:
    """Weights, overhead and cache, the verdict, and what to change."""
    setup = fit.setup
    of = f"{setup.gpus} x {setup.gpu.name}" if setup.gpus > 1 else setup.gpu.name
    made = table(
        f"{fit.model.name} on {of}, vLLM {setup.version}: GiB on one GPU",
        "",
        "low",
        "best guess",
        "high",
        "from",
        caption=f"model: {fit.model.source}; overhead: scripts/plan/overhead.yaml from vLLM {fit.engine.row['from']}",
    )
    budget = setup.memory * fit.utilization
    source = "measured" if setup.weights_gib_per_gpu else "checkpoint" if fit.model.checkpoint_bytes else "counted"
    made.add_row("memory x utilization", "", gib(budget), "", f"{setup.memory / GIB:.2f} x {fit.utilization}")
    made.add_row("- weights", *bounds(fit.weights), source)
    if setup.max_loras:
        made.add_row("- LoRA adapters", *bounds(fit.loras), f"{setup.max_loras} of rank {setup.max_lora_rank}")
    made.add_row(
        "- activations",
        *bounds(fit.overhead.activation),
        f"{fit.max_num_seqs} sequences, {fit.batched_tokens} tokens a step",
    )
    made.add_row("- other than torch", *bounds(fit.overhead.non_torch), "CUDA, NCCL")
    made.add_row(
        "- CUDA graphs", *bounds(fit.overhead.graphs), "none" if setup.eager else "inside the budget since 0.21"
    )
    made.add_row("= left for the KV cache", *bounds(fit.available), "", style="bold")
    made.add_row("one sequence needs", "", gib(fit.needed), "", f"{fit.max_model_len} tokens")
    if fit.states:
        made.add_row("a state for each needs", "", gib(fit.states), "", f"{fit.max_num_seqs} sequences")
    console.print(made)
    colour = COLOURS[fit.verdict]
    console.print(f"[bold {colour}]{fit.verdict}[/]: {_because(fit)}")
    console.print(
        f"KV cache {fit.layout.token_bytes / 1024:.1f} KiB a token and GPU, about {fit.kv_tokens:,} tokens, "
        f"{fit.full_sequences:.1f} full sequences at once"
    )
    if changes:
        body = [(c.what, c.why, str(c.fit.setup.gpus), f"{c.fit.full_sequences:.1f}") for c in changes]
        rows("What would fit", ("change", "because", "GPUs", "full sequences at once"), body)


def _because(fit: Fit) -> str:
    if fit.verdict == "fits":
        return "one sequence of full length fits even at the pessimistic bound"
    if fit.weights.low > fit.setup.memory:
        return f"the weights alone ({gib(fit.weights.mid)} GiB) are more than the GPU has"
    held = f"for the states of {fit.max_num_seqs} sequences (--max-num-seqs)"
    if fit.verdict == "does not fit" and fit.states > fit.needed:
        return f"even at the optimistic bound {gib(fit.states - fit.available.high)} GiB are missing {held}"
    if fit.available.low >= fit.needed:
        return f"one sequence of full length fits, and memory {held} is between the bounds"
    if fit.verdict == "does not fit":
        return f"even at the optimistic bound {gib(fit.needed - fit.available.high)} GiB are missing for one sequence"
    longest = f"; {fit.longest} tokens surely fit" if fit.longest else ""
    return f"between the bounds{longest}. Measure it, or take one of the changes below"


def start_json(plan: Plan) -> dict[str, Any]:
    """The answer of ``plan startup``. Seconds; the bound of a phase holds in at least 95 % of measured starts."""
    return {
        "phases": [
            {
                "name": p.name,
                "expectedSeconds": round(p.expected, 1),
                "boundSeconds": round(p.bound, 1),
                "countsForProbe": p.probe,
            }
            for p in plan.phases
        ],
        "expectedReadySeconds": round(plan.expected_ready),
        "boundReadySeconds": round(plan.bound_ready),
        "budgetSeconds": plan.needed_seconds,
        "failureThreshold": failure_threshold(plan.needed_seconds),
        "scaleUpDelaySeconds": round(plan.scale_up_delay),
        "readMiBPerSecond": round(plan.read_rate_mib),
    }


def print_start(plan: Plan) -> None:
    """The phases, the probe budget, and the delay to plan scaling with."""
    body = [
        (p.name, seconds(p.expected), seconds(p.bound), "startup probe" if p.probe else "before the container starts")
        for p in plan.phases
    ]
    rows("Start of a replica", ("phase", "expected", "bound", "counts for"), body)
    threshold = failure_threshold(plan.needed_seconds)
    console.print(
        f"[bold]probe budget {plan.needed_seconds} s[/]: initialDelaySeconds 60, periodSeconds 10, "
        f"failureThreshold {threshold}. The chart computes the same from weights.sizeGiB and weights.readMiBPerSecond"
    )
    console.print(f"expected from container start to ready: {seconds(plan.expected_ready)}")
    console.print(f"[bold]delay to plan scaling with: {seconds(plan.scale_up_delay)}[/] (node and image included)")
