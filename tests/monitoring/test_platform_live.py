"""Every expression of the platform's rules and dashboards, run by a real Prometheus.

The gateway is real: HAProxy with the chart's configuration, real requests through it. Synthetic, from synthetic.prom:
kube-state-metrics, KEDA, the DCGM exporter and the engine's counter of tokens.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.dashboards import DASHBOARDS, PLATFORM_DASHBOARDS
from scripts.gateway.process import wait_until
from scripts.platform_chart import stubbed
from scripts.render import render
from tests.gateway.conftest import KEYS, NAMESPACE, World
from tests.monitoring.platform import LLAMA
from tests.monitoring.prometheus import Prometheus, Target, exporter, prometheus, selections
from tests.monitoring.queries import known
from tests.render.platform import Values

VALUES: Values = {
    "models": {"llama": LLAMA},
    "gateway": {"hold": {"seconds": 2}, "externalModels": {"tiny": {}, "sleepy": {"holds": True}}},
    "tenants": {
        "team-a": {"models": ["tiny"], "limits": {"requestsPerSecond": 2, "tokensPerMinute": 100000}},
        "team-b": {"models": ["*"]},
    },
    "monitoring": {
        "cost": {
            "pricePerGpuHour": 1,
            "prices": {"NVIDIA-L4": 0.5},
            "budgetPerHour": 10,
            "namespaceBudgetsPerHour": {"team-a": 3},
        }
    },
}
SYNTHETIC = Path(__file__).with_name("synthetic.prom")
GPU = 'namespace="llm",pod="llama-5d9c8b7f66-aaaaa",Hostname="gpu-1",gpu="0"'
GROWING = [
    'keda_scaled_object_errors_total{exported_namespace="llm",scaledObject="llama"}',
    'keda_scaler_detail_errors_total{exported_namespace="llm",scaledObject="llama",scaler="prometheus"}',
]
"""Counters of failures: a panel of them is empty while they stand still."""

CHOICES = {"namespace": NAMESPACE, "pod": ".*", "model": ".+", "node": ".*", "__rate_interval": "1m"}
"""What Grafana would put in for the variables."""

LATER = {"Last 30 days"}
"""Panels that need an hour of series."""


def synthetic() -> str:
    """What the exporters that are not there would say."""
    gpus = [f"{name}{{{GPU}}} 1\n" for name in known() if name.startswith("DCGM_")]
    return SYNTHETIC.read_text() + "".join(gpus)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A gateway that has had requests of every kind."""
    world = World(tmp_path_factory.mktemp("gateway"), VALUES, KEYS).start()
    world.pods("tiny")
    for _ in range(6):
        world.ask("tiny", "key-a")
    world.ask("sleepy", "key-b")
    world.ask("unknown", "key-b")
    yield world
    world.close()


@pytest.fixture(scope="module")
def groups(world: World) -> list[dict[str, Any]]:
    """The rules of this very gateway's release, evaluated every second instead of every minute."""
    made = render(stubbed(), [world.values], release="llm", namespace=NAMESPACE)
    found: list[dict[str, Any]] = made.one("PrometheusRule", "llm")["spec"]["groups"]
    return found


@pytest.fixture(scope="module")
def server(
    world: World, groups: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A Prometheus that has scraped all of it a few times and has evaluated the rules."""
    pod = {"namespace": NAMESPACE, "pod": "llm-gateway-5d9c8b7f66-aaaaa"}
    scope = {"scope": ["global", "frontend", "backend", "server"], "no-maint": [""]}
    with exporter(synthetic(), GROWING) as rest:
        targets = [
            Target(world.ports["metrics"], pod, parameters=scope),
            Target(world.ports["metrics"], pod, path="/metrics/tenants"),
            Target(rest, {}),
        ]
        with prometheus(tmp_path_factory.mktemp("prometheus"), targets, groups) as running:
            wait_until(lambda: len(running.query("model:llm_gateway_budget_burn:rate6h")) > 1, seconds=60)
            wait_until(lambda: bool(running.query("namespace:llm_spend_per_hour:sum")), seconds=60)
            wait_until(lambda: bool(running.query("rate(keda_scaled_object_errors_total[1m]) > 0")), seconds=60)
            wait_until(lambda: bool(running.query("rate(model:llm_generation_tokens:rate1h[1m])")), seconds=60)
            yield running


def panels(name: str) -> list[Any]:
    """Title and expressions of every panel of a dashboard, its variables filled in."""
    board = json.loads((PLATFORM_DASHBOARDS / name).read_text())
    return [
        pytest.param([chosen(target["expr"]) for target in panel["targets"]], id=f"{name}: {panel['title']}")
        for panel in board["panels"]
        if panel["type"] != "row" and panel["title"] not in LATER
    ]


def chosen(text: str) -> str:
    return re.sub(r"\$([a-z_]+)", lambda match: CHOICES[match.group(1)], text)


BOARDS = [path.name for path in DASHBOARDS if path.parent == PLATFORM_DASHBOARDS]


@pytest.mark.parametrize("expressions", [each for name in BOARDS for each in panels(name)])
def test_every_panel_has_data(expressions: list[str], server: Prometheus) -> None:
    assert server.silent(expressions) == []


@pytest.mark.parametrize("name", BOARDS)
def test_every_variable_of_a_dashboard_has_choices(name: str, server: Prometheus) -> None:
    variables = json.loads((PLATFORM_DASHBOARDS / name).read_text())["templating"]["list"]
    for variable in variables:
        if variable["type"] != "query":
            continue
        series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", chosen(variable["query"])).groups()  # type: ignore[union-attr]
        values = [each["metric"].get(label, "") for each in server.query(series)]
        pattern = variable.get("regex", "").strip("/").replace("(?<", "(?P<") or "(.+)"
        assert [value for value in values if re.search(pattern, value)], variable["name"]


def test_every_rule_is_evaluated_without_an_error(server: Prometheus) -> None:
    rules = [rule for group in server.get("rules")["groups"] for rule in group["rules"]]
    assert len(rules) > 30
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []


def test_every_series_that_a_rule_selects_is_there(server: Prometheus, groups: list[dict[str, Any]]) -> None:
    asked = {each for group in groups for rule in group["rules"] for each in selections(rule["expr"])}
    assert len(asked) > 25
    assert server.silent(sorted(asked)) == []


def test_a_healthy_platform_has_no_alert_but_those_that_were_provoked(server: Prometheus) -> None:
    firing = {each["metric"]["alertname"] for each in server.query("ALERTS")}
    provoked = {
        "LlmScalerFailing",
        "LlmGpuPodsPending",
        "LlmTenantLimited",
        "LlmGatewayModelUnreachable",
        "LlmGpuFailing",
    }
    assert firing <= provoked | {"LlmHoldTimeouts", "LlmErrorBudgetBurn", "LlmErrorBudgetBurnSlow"}
    assert {"LlmScalerFailing", "LlmGpuPodsPending"} <= firing


def test_the_gateways_series_are_those_of_the_list(world: World) -> None:
    scraped = httpx.get(f"http://127.0.0.1:{world.ports['metrics']}/metrics").text
    scraped += httpx.get(f"http://127.0.0.1:{world.ports['metrics']}/metrics/tenants").text
    listed = {name for name in known() if name.startswith(("haproxy_", "llm_gateway_"))}
    assert len(listed) > 20
    assert listed <= set(re.findall(r"^(\w+)[{ ]", scraped, re.MULTILINE))
