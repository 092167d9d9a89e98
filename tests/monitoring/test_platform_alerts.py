"""Each alert of the platform on synthetic series, through the recording rules that it reads."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.paths import CHARTS, REPO
from scripts.render import RenderError
from tests.monitoring import promtool
from tests.monitoring.platform import BASE, LLAMA, alerts, groups, recording, written
from tests.render.platform import Values, platform

CASES = Path(__file__).parent / "platform_alerts"


def load(path: Path) -> Any:
    return yaml.load(path.read_text(), Loader=yaml.CSafeLoader)


FILES = {path.stem: load(path) for path in sorted(CASES.glob("*.yaml"))}
PARAMETERS = [
    pytest.param(alert, case, id=f"{alert}: {case['it']}") for alert, cases in FILES.items() for case in cases
]


@pytest.mark.parametrize(("alert", "case"), PARAMETERS)
def test_an_alert_fires_when_it_should_and_only_then(alert: str, case: dict[str, Any], tmp_path: Path) -> None:
    assert all(isinstance(values, str) for values in case["series"].values()), "0x40 is a number to YAML: 0+0x40"
    rule = alerts(case.get("values"))[alert]
    # Only what this alert reads: to evaluate the others takes most of the time.
    read = [
        group
        for group in recording(case.get("values"))
        if any(each["record"] in rule["expr"] for each in group["rules"])
    ]
    if any("spend" in each["record"] for group in read for each in group["rules"]):
        read = recording(case.get("values"))[:2]
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    tested = [*read, {"name": "one", "rules": [rule]}]
    assert promtool.evaluate(tmp_path, firing, written(case["series"]), case["at"], case["fires"] or None, tested) == ""


def test_every_alert_has_cases_of_both_kinds() -> None:
    assert set(FILES) == set(alerts())
    for alert, cases in FILES.items():
        assert {bool(case["fires"]) for case in cases} == {True, False}, alert


def test_every_alert_of_the_values_is_rendered() -> None:
    keys = load(CHARTS / "llm-platform" / "values.yaml")["monitoring"]["rules"]["alerts"]
    assert {f"Llm{key[0].upper()}{key[1:]}" for key in keys} == set(alerts())


def test_promtool_accepts_every_rule_and_template(tmp_path: Path) -> None:
    assert promtool.check(tmp_path, groups()) == ""


def test_every_alert_says_what_to_do_in_the_runbook() -> None:
    headings = re.findall(r"^### (Llm\w+)$", (REPO / "docs" / "runbook.md").read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(alerts())
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"


def test_severity_threshold_labels_and_switch_of_an_alert_are_values() -> None:
    said: Values = {
        "monitoring": {
            "rules": {
                "labels": {"release": "prometheus"},
                "alertLabels": {"team": "ml"},
                "runbookBaseUrl": "https://runbooks.example/llm",
                "alerts": {
                    "gatewayQueueHigh": {"threshold": 7, "severity": "critical"},
                    "gatewayDown": {"enabled": False},
                },
            }
        }
    }
    found = alerts(said)
    assert "LlmGatewayDown" not in found
    assert found["LlmGatewayQueueHigh"]["expr"].endswith("> 7")
    assert found["LlmGatewayQueueHigh"]["labels"] == {
        "severity": "critical",
        "team": "ml",
        "platform": "llm",
        "namespace": "llm",
    }
    assert found["LlmScalerFailing"]["annotations"]["runbook_url"] == "https://runbooks.example/llm#llmscalerfailing"
    assert platform(BASE, said).one("PrometheusRule", "llm")["metadata"]["labels"]["release"] == "prometheus"


@pytest.mark.parametrize(
    ("values", "left_out"),
    [
        (
            {"gateway": {"enabled": False}, "models": {"sleepy": None}},
            "LlmGatewayDown LlmErrorBudgetBurn LlmHoldTimeouts LlmTenantLimited",
        ),
        ({"keda": {"enabled": False}}, "LlmKedaDown"),
        ({"monitoring": {"cost": {"budgetPerHour": None, "namespaceBudgetsPerHour": None}}}, "LlmSpendOverBudget"),
        ({"models": {"sleepy": {"autoscaling": {"minReplicas": 1}}}}, "LlmHoldTimeouts"),
        ({"tenants": {"team-a": {"limits": {"requestsPerSecond": 0}}}}, "LlmTenantLimited"),
    ],
)
def test_an_alert_that_can_never_fire_is_left_out(values: Values, left_out: str) -> None:
    assert not set(left_out.split()) & set(alerts(values))


def test_without_a_prometheus_operator_there_are_no_rules_and_no_dashboards() -> None:
    made = platform({"models": {"llama": LLAMA}, "kube-prometheus-stack": {"enabled": False}})
    assert made.all("PrometheusRule") == []
    assert not [each for each in made.all("ConfigMap") if "dashboard" in each["metadata"]["name"]]


def test_rules_can_be_left_out_and_dashboards_kept() -> None:
    made = platform({"monitoring": {"rules": {"enabled": False}}})
    assert made.all("PrometheusRule") == []
    assert [each for each in made.all("ConfigMap") if "dashboard" in each["metadata"]["name"]]


def test_a_budget_without_a_price_is_refused() -> None:
    with pytest.raises(RenderError, match=r"monitoring\.cost has a budget and no price"):
        platform({"monitoring": {"cost": {"budgetPerHour": 5}}})
    platform({"monitoring": {"cost": {"budgetPerHour": 5, "pricePerGpuHour": 0.8}}})
    platform({"monitoring": {"cost": {"budgetPerHour": 5, "prices": {"NVIDIA-L4": 0.8}}}})
