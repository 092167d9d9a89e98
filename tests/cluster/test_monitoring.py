"""Monitors, rules and dashboards of a model, taken up by a Prometheus Operator and its Prometheus.

The engine is the double, which emits the engine's whole list, and then the real one. The rest is real but for the DCGM
exporter: there is no GPU, and its series come from a file.
"""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from scripts.bench import local
from scripts.cluster import Cluster, wait_until
from scripts.dashboards import MODEL_DASHBOARD
from scripts.render import render
from tests.cluster import monitoring
from tests.monitoring.prometheus import Prometheus, selections
from tests.render.platform import platform

BUDGET_SECONDS = 420
pytestmark = pytest.mark.long  # three programs are built for it alone
NAME = "tiny"
VALUES: dict[str, Any] = {
    # One request at a time and one that waits: a burst is refused with 503, and server errors have a series.
    "engine": {"flags": {"maxNumSeqs": 1, "maxNumQueuedReqs": 1}},
    "gpu": {"count": 1},
    "autoscaling": {"type": "hpa", "minReplicas": 1, "maxReplicas": 2, "prometheus": {"serverAddress": "http://none"}},
    "monitoring": {
        "podMonitor": {"enabled": True, "interval": "5s", "scrapeTimeout": "5s"},
        "rules": {"enabled": True, "alerts": {"idleReplicas": {"enabled": True}}},
        "dashboard": {"enabled": True},
    },
}
SELECTOR = f"vllm-model/name={NAME},vllm-model/role=server"


@pytest.fixture(scope="module", params=["double", "real"])
def values(cluster: Cluster, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Values of the model on an engine that the node has."""
    return local.overlay(local.ensure_engine(cluster, request.param), VALUES)


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, values: dict[str, Any]) -> Iterator[str]:
    """A namespace with the model in it, ready."""
    with cluster.namespace("monitored") as namespace:
        # The definitions first: without them a PodMonitor is no object that the API server knows.
        monitoring.define(cluster)
        local.helm(cluster, "install", NAME, namespace, values, "--wait", "--timeout", "8m")
        yield namespace


@pytest.fixture(scope="module")
def pod(cluster: Cluster, namespace: str) -> str:
    """The name of the one replica."""
    (found,) = cluster.get("pods", "--namespace", namespace, "--selector", SELECTOR)
    return str(found["metadata"]["name"])


@pytest.fixture(scope="module")
def server(cluster: Cluster, namespace: str, pod: str) -> Iterator[Prometheus]:
    """The operator's Prometheus, after it has scraped the engine before and after traffic."""
    with cluster.namespace("monitoring") as stack:
        monitoring.install(cluster, stack, f'namespace="{namespace}",pod="{pod}"')
        with cluster.port_forward("service/prometheus-operated", 9090, namespace=stack) as url:
            prometheus = Prometheus(url)
            series = f'vllm:num_requests_running{{namespace="{namespace}",pod="{pod}"}}'
            wait_until("Prometheus scrapes the engine", lambda: prometheus.query(series), seconds=120, pause=1)
            talk(cluster, namespace)
            wait_until(
                "Prometheus has seen the traffic",
                lambda: prometheus.query(f'sum(http_requests_total{{namespace="{namespace}",status="5xx"}}) > 0'),
                seconds=60,
                pause=1,
            )
            wait_until(
                "Prometheus has scraped every exporter twice",
                lambda: (
                    prometheus.query(f'count_over_time(kube_pod_status_ready{{namespace="{namespace}"}}[1m]) > 1')
                    and prometheus.query(
                        f'count_over_time(http_requests_total{{status="5xx",namespace="{namespace}"}}[1m]) > 1'
                    )
                    and prometheus.query("count_over_time(DCGM_FI_DEV_GPU_UTIL[1m]) > 1")
                ),
                seconds=60,
                pause=1,
            )
            yield prometheus
    monitoring.remove(cluster)


def talk(cluster: Cluster, namespace: str) -> None:
    """Requests that are answered, and a burst of which most are refused."""
    with cluster.port_forward(f"service/{NAME}", 8000, namespace=namespace) as url:

        def ask(tokens: int) -> int:
            body = {"model": NAME, "prompt": "where does a pod run", "max_tokens": tokens, "ignore_eos": True}
            return httpx.post(f"{url}/v1/completions", json=body, timeout=120).status_code

        assert [ask(8) for _ in range(3)] == [200] * 3
        with ThreadPoolExecutor(12) as pool:
            assert {200, 503} == set(pool.map(ask, [100] * 12))


@pytest.fixture(scope="module")
def rules(namespace: str, values: dict[str, Any]) -> list[str]:
    """Expressions of the model's alerts."""
    made = render(local.CHART, [values], release=NAME, namespace=namespace)
    groups = made.one("PrometheusRule")["spec"]["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def test_the_operator_takes_up_the_pod_monitor_and_prometheus_finds_the_replica(
    server: Prometheus, namespace: str, pod: str
) -> None:
    targets = server.get("targets", state="active")["activeTargets"]
    (found,) = [each for each in targets if each["scrapePool"] == f"podMonitor/{namespace}/{NAME}/0"]
    assert (found["health"], found["lastError"]) == ("up", "")
    assert {"namespace": namespace, "pod": pod, "endpoint": "http"}.items() <= found["labels"].items()


def test_every_alert_is_taken_up_and_evaluated_without_an_error(
    server: Prometheus, namespace: str, rules: list[str]
) -> None:
    def loaded() -> list[dict[str, Any]]:
        groups = server.get("rules")["groups"]
        return [rule for group in groups if f".{namespace}." in group["name"] for rule in group["rules"]]

    wait_until(
        "the rules have been evaluated", lambda: {"ok"} == {rule["health"] for rule in loaded()}, seconds=60, pause=1
    )
    assert len(loaded()) == len(rules) == 12


def test_every_series_that_an_alert_selects_is_there(server: Prometheus, rules: list[str]) -> None:
    asked = sorted({each for rule in rules for each in selections(rule)})
    assert len(asked) > 10
    assert server.silent(asked) == []


def panels() -> list[Any]:
    """The expressions of each panel."""
    board = json.loads(MODEL_DASHBOARD.read_text())
    return [
        pytest.param([target["expr"] for target in panel["targets"]], id=panel["title"])
        for panel in board["panels"]
        if panel["type"] != "row"
    ]


@pytest.mark.parametrize("expressions", panels())
def test_every_panel_of_the_dashboard_has_data(server: Prometheus, namespace: str, expressions: list[str]) -> None:
    choices = {"namespace": namespace, "workload": NAME, "model": NAME, "pod": ".*", "__rate_interval": "1m"}
    asked = [re.sub(r"\$([a-z_]+)", lambda match: choices[match.group(1)], each) for each in expressions]
    assert server.silent(asked) == []


def test_every_choice_of_the_dashboard_is_offered(server: Prometheus, namespace: str, pod: str) -> None:
    chosen = {"namespace": namespace, "workload": NAME, "model": NAME, "pod": pod}
    variables = json.loads(MODEL_DASHBOARD.read_text())["templating"]["list"]
    for variable in (each for each in variables if each["type"] == "query"):
        query = re.sub(r"\$([a-z]+)", lambda match: chosen[match.group(1)], variable["query"])
        series, label = re.fullmatch(r"label_values\((.+), (\w+)\)", query).groups()  # type: ignore[union-attr]
        offered = [each["metric"][label] for each in server.query(series)]
        if pattern := variable.get("regex", "").strip("/"):
            offered = [match.group(1) for value in offered if (match := re.search(pattern, value))]
        assert chosen[variable["name"]] in offered


def test_the_platforms_rules_count_the_gpu_that_the_model_holds_and_its_price(
    cluster: Cluster, server: Prometheus, namespace: str
) -> None:
    priced = {"models": {NAME: local.REAL}, "monitoring": {"cost": {"pricePerGpuHour": 0.8}}}
    cluster.apply([platform(priced, namespace=namespace).one("PrometheusRule", "llm")])
    spend = f'model:llm_spend_per_hour:sum{{model="{NAME}",namespace="{namespace}"}}'
    (found,) = wait_until("the rules of cost are evaluated", lambda: server.query(spend), seconds=90, pause=1)
    assert found["value"][1] == "0.8"
    assert server.query(f'namespace_pod_node:llm_gpus:sum{{namespace="{namespace}"}}')[0]["value"][1] == "1"


def test_what_is_uninstalled_is_neither_scraped_nor_alarmed_about(
    cluster: Cluster, server: Prometheus, namespace: str
) -> None:
    cluster.helm("uninstall", NAME, "--namespace", namespace, "--wait", "--timeout", "4m")

    def left() -> list[str]:
        pools = [each["scrapePool"] for each in server.get("targets", state="active")["activeTargets"]]
        groups = [group["name"] for group in server.get("rules")["groups"]]
        return [
            name
            for name in [*pools, *groups]
            if name in {f"podMonitor/{namespace}/{NAME}/0"} or f"model.{namespace}" in name
        ]

    wait_until("the operator has taken monitor and rules away", lambda: not left(), seconds=90, pause=1)
