"""How long the charts render, and how long the tests without a cluster took when they last ran here."""

import os
import statistics
import subprocess
import time
from pathlib import Path

from rich.table import Table

from scripts import tools
from scripts.console import console, seconds
from scripts.paths import ARTIFACTS, REPO

RUNS = 10
RENDER_BUDGET_SECONDS = 0.25
FAST_TESTS_BUDGET_SECONDS = 90.0


def render_seconds() -> float:
    """Median seconds of one ``helm template`` of charts/vllm-model, on the clock, after a first that is not counted."""
    values = REPO / "values" / "models" / "llama-3.1-8b-instruct-l4.yaml"
    chart = REPO / "charts" / "vllm-model"
    command: list[str | Path] = [tools.ensure("helm"), "template", "llama", chart, "--values", values]
    taken: list[float] = []
    for _ in range(RUNS + 1):
        began = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"KUBECONFIG": os.devnull})
        taken.append(time.monotonic() - began)
    return statistics.median(taken[1:])


def fast_tests_seconds() -> float | None:
    """Seconds of all suites without a cluster added up, from the last ``make test-fast``; None if it has not run."""
    times = ARTIFACTS / "times-fast.tsv"
    if not times.exists():
        return None
    return sum(float(line.split("\t")[1]) for line in times.read_text().splitlines())


def show() -> None:
    """Prints both beside their budgets."""
    fast = fast_tests_seconds()
    table = Table("what", "took", "budget")
    table.add_row(
        f"one render of vllm-model (median of {RUNS})", f"{render_seconds():.2f} s", f"{RENDER_BUDGET_SECONDS} s"
    )
    told = "not run here: make test-fast" if fast is None else f"{seconds(fast)} of test time, on two processes"
    table.add_row("tests without a cluster", told, seconds(FAST_TESTS_BUDGET_SECONDS))
    console.print(table)
