"""The generated dashboards: up to date, complete, and readable by Grafana."""

import json
import re
from typing import Any

import pytest

from scripts.console import UserError
from scripts.dashboards import DASHBOARDS, MODEL_DASHBOARD, text
from scripts.dashboards.cli import generate


def panels() -> dict[str, Any]:
    board = json.loads(MODEL_DASHBOARD.read_text())
    return {panel["title"]: panel for panel in board["panels"] if panel["type"] != "row"}


def test_the_files_are_what_the_code_makes() -> None:
    for path, build in DASHBOARDS.items():
        assert path.read_text() == text(build()), f"{path.name}: run vllm-charts dashboards generate"


def test_check_refuses_a_file_that_was_edited_by_hand(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    edited = tmp_path / "model.json"
    edited.write_text("{}")
    monkeypatch.setattr("scripts.dashboards.cli.DASHBOARDS", {edited: lambda: {"title": "x"}})
    monkeypatch.setattr("scripts.dashboards.cli.REPO", tmp_path)
    with pytest.raises(UserError, match="vllm-charts dashboards generate"):
        generate(check=True)
    assert edited.read_text() == "{}"
    generate(check=False)
    generate(check=True)


def test_it_shows_what_the_guides_ask_for() -> None:
    shown = panels()
    quantiles = [target["legendFormat"] for target in shown["Time to first token"]["targets"]]
    assert quantiles == ["p50", "p95", "p99"]
    for title in (
        *("Time between tokens", "Whole request", "Requests running", "Requests waiting", "Tokens"),
        *("KV cache in use", "Prefix cache hits", "HTTP answers", "Wanted and ready", "Utilisation", "Memory in use"),
    ):
        assert title in shown


def test_every_panel_asks_the_data_source_that_was_chosen() -> None:
    for panel in panels().values():
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["targets"]


def test_every_variable_that_a_query_uses_can_be_chosen() -> None:
    board = json.loads(MODEL_DASHBOARD.read_text())
    chosen = {variable["name"] for variable in board["templating"]["list"]}
    asked = " ".join(target["expr"] for panel in panels().values() for target in panel["targets"])
    used = set(re.findall(r"\$(\w+)", asked)) - {"__rate_interval"}
    assert used == {"namespace", "workload", "model", "pod"}
    assert used <= chosen
