"""Grafana dashboards as code: the source of ``charts/*/dashboards/*.json``.

A dashboard is a table of panels in a module of its own; layout, data source and style are the same for all of them
(:mod:`scripts.dashboards.panels`). Queries use metric names that stand in tests/data/metrics.csv: a test holds them to
it.
"""

import json
from typing import Any

from scripts.dashboards import autoscaling, cost, gateway, gpus, model
from scripts.paths import CHARTS

MODEL_DASHBOARD = CHARTS / "vllm-model" / "dashboards" / "model.json"
PLATFORM_DASHBOARDS = CHARTS / "llm-platform" / "dashboards"

DASHBOARDS = {
    MODEL_DASHBOARD: model.build,
    PLATFORM_DASHBOARDS / "gateway.json": gateway.build,
    PLATFORM_DASHBOARDS / "autoscaling.json": autoscaling.build,
    PLATFORM_DASHBOARDS / "gpus.json": gpus.build,
    PLATFORM_DASHBOARDS / "cost.json": cost.build,
}
"""Every generated file and what builds it."""


def text(built: dict[str, Any]) -> str:
    """A dashboard as it is written: short enough for a ConfigMap, one panel a change in a diff."""
    return json.dumps(built, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
