"""Each alert on synthetic series: it fires when it should, and stays silent when it should."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.paths import CHARTS, REPO
from scripts.render import Object, Values, render
from tests.monitoring import promtool

CASES = Path(__file__).parent / "alerts"
BASE: Values = {
    "model": {"id": "org/model"},
    "weights": {"sizeGiB": 15},
    "monitoring": {"rules": {"enabled": True, "alerts": {"idleReplicas": {"enabled": True}}}},
    "autoscaling": {"prometheus": {"serverAddress": "http://prometheus"}},
}
SCALED: Values = {"autoscaling": {"type": "keda"}}


def load(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader=yaml.CSafeLoader)


FILES = {path.stem: load(path) for path in sorted(CASES.glob("*.yaml"))}
PARAMETERS = [
    pytest.param(alert, case, id=f"{alert}: {case['it']}") for alert, cases in FILES.items() for case in cases
]


def groups(values: Values | None = None) -> list[Object]:
    """The rendered groups of rules."""
    made = render("vllm-model", [BASE, values or {}], namespace="llm")
    found: list[Object] = made.one("PrometheusRule")["spec"]["groups"]
    return found


def rules(values: Values | None = None) -> dict[str, Object]:
    """The rendered alerts by name."""
    return {rule["alert"]: rule for group in groups(values) for rule in group["rules"]}


@pytest.mark.parametrize(("alert", "case"), PARAMETERS)
def test_an_alert_fires_when_it_should_and_only_then(alert: str, case: dict[str, Any], tmp_path: Path) -> None:
    # The other alerts are left out: they would be evaluated too, and take most of the time.
    group = {"name": "one", "rules": [rules(case.get("values"))[alert]]}
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    expected = case["fires"] or None
    assert promtool.evaluate(tmp_path, firing, case["series"], case["at"], expected, [group]) == ""


def test_every_alert_has_cases_of_both_kinds() -> None:
    assert set(FILES) == set(rules(SCALED))
    for alert, cases in FILES.items():
        assert {bool(case["fires"]) for case in cases} == {True, False}, alert


def test_every_alert_of_the_values_is_rendered() -> None:
    values = load(CHARTS / "vllm-model" / "values.yaml")
    keys = values["monitoring"]["rules"]["alerts"]
    assert {f"Vllm{key[0].upper()}{key[1:]}" for key in keys} == set(rules(SCALED))


def test_promtool_accepts_every_rule_and_template(tmp_path: Path) -> None:
    assert promtool.check(tmp_path, groups(SCALED)) == ""


def test_every_alert_says_what_to_do_in_the_runbook() -> None:
    page = (REPO / "docs" / "runbook.md").read_text()
    assert set(re.findall(r"^### (Vllm\w+)$", page, re.MULTILINE)) == set(rules(SCALED))
    for name, rule in rules(SCALED).items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"
