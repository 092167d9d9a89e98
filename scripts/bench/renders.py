"""How long the charts render, and how long the tests without a cluster took when they last ran here."""

import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from rich.table import Table

from scripts import tools
from scripts.console import console, seconds
from scripts.paths import ARTIFACTS, REPO
from scripts.platform_chart import stubbed

RUNS = 10
MODELS = 100
RENDER_BUDGET_SECONDS = 0.25
PLATFORM_BUDGET_SECONDS = 1.5
FAST_TESTS_BUDGET_SECONDS = 90.0

WHOLE = "the whole run"
"""What the time of a run stands under, beside those of its suites."""


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


def platform_seconds() -> float:
    """Median CPU seconds of one render of the umbrella with a hundred models and without its operators.

    Each model has a name of its own: the routes of those that share one grow with the square of their number.
    """
    models = {
        f"model-{number}": {"model": {"id": f"org/model-{number}"}, "weights": {"sizeGiB": 15}}
        for number in range(MODELS)
    }
    taken: list[float] = []
    with tempfile.NamedTemporaryFile("w", suffix=".json") as values:
        json.dump({"models": models}, values)
        values.flush()
        command: list[str | Path] = [tools.ensure("helm"), "template", "llm", stubbed(), "--values", values.name]
        for _ in range(RUNS // 2):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"KUBECONFIG": os.devnull})
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            taken.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(taken)


def fast_tests_seconds() -> float | None:
    """Seconds that the last whole ``make test-fast`` took, on the clock; None if it has not run."""
    times = ARTIFACTS / "times-fast.tsv"
    if not times.exists():
        return None
    found = dict(line.split("\t")[:2] for line in times.read_text().splitlines())
    return float(found[WHOLE]) if WHOLE in found else None


def show() -> None:
    """Prints both beside their budgets."""
    fast = fast_tests_seconds()
    table = Table("what", "took", "budget")
    table.add_row(
        f"one render of vllm-model (median of {RUNS})", f"{render_seconds():.2f} s", f"{RENDER_BUDGET_SECONDS} s"
    )
    told = "not run here: make test-fast" if fast is None else f"{seconds(fast)} on two processes"
    table.add_row(
        f"{MODELS} models through llm-platform (CPU, median of {RUNS // 2})",
        f"{platform_seconds():.2f} s",
        f"{PLATFORM_BUDGET_SECONDS} s",
    )
    table.add_row("tests without a cluster", told, seconds(FAST_TESTS_BUDGET_SECONDS))
    console.print(table)
