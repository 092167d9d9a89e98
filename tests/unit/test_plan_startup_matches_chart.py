"""The chart's startup budget is the planner's, over a grid of models, splits and sources."""

import itertools
from typing import Any

import pytest

from scripts.plan.startup import failure_threshold, startup_budget_seconds
from scripts.render import render, serving_pod, sure_seconds

SIZES = (0.01, 15, 131.42, 641.3)
RATES = (None, 3000)


def engine(values: dict[str, Any]) -> dict[str, Any]:
    """The engine's container as the chart renders it."""
    made = render("vllm-model", [{"model": {"id": "org/model"}}, values])
    pod = next(spec for body in made.objects if (spec := serving_pod(body)) is not None)
    container: dict[str, Any] = pod["containers"][0]
    return container


@pytest.mark.parametrize(("size", "rate"), list(itertools.product(SIZES, RATES)))
@pytest.mark.parametrize("downloads", [True, False], ids=["downloads", "claim"])
def test_chart_and_planner_compute_the_same_budget(size: float, rate: int | None, downloads: bool) -> None:
    source = {} if downloads else {"source": "claim", "claim": {"name": "weights"}}
    container = engine({"weights": {"sizeGiB": size, "readMiBPerSecond": rate, **source}})
    needed = startup_budget_seconds(size, downloads=downloads, read_rate_mib=rate or 0)
    assert container["startupProbe"]["failureThreshold"] == failure_threshold(needed)
    assert needed <= sure_seconds(container) < needed + 10


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize("tensor", [1, 2, 8])
def test_gpus_and_eager_mode_count_alike(tensor: int, eager: bool) -> None:
    container = engine(
        {
            "weights": {"sizeGiB": 131.42, "source": "claim", "claim": {"name": "weights"}},
            "parallelism": {"tensor": tensor},
            "engine": {"flags": {"enforceEager": eager}},
        }
    )
    needed = startup_budget_seconds(131.42, gpus=tensor, eager=eager)
    assert container["startupProbe"]["failureThreshold"] == failure_threshold(needed)


def test_nodes_count_alike() -> None:
    container = engine(
        {
            "weights": {
                "sizeGiB": 641.3,
                "downloader": "job",
                "cache": {"type": "claim", "accessModes": ["ReadWriteMany"]},
            },
            "parallelism": {"tensor": 8, "pipeline": 2, "nodes": 2},
        }
    )
    needed = startup_budget_seconds(641.3, gpus=16, nodes=2)
    assert container["startupProbe"]["failureThreshold"] == failure_threshold(needed)


@pytest.mark.parametrize(("initial", "period"), [(5, 2), (0, 15)])
def test_other_probe_settings_keep_the_budget(initial: int, period: int) -> None:
    container = engine(
        {
            "weights": {"sizeGiB": 61, "source": "claim", "claim": {"name": "weights"}},
            "probes": {"startup": {"initialDelaySeconds": initial, "periodSeconds": period}},
        }
    )
    needed = startup_budget_seconds(61)
    threshold = failure_threshold(needed, initial_delay=initial, period=period)
    assert container["startupProbe"]["failureThreshold"] == threshold
