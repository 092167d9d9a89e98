"""The series of the platform: every query reads what somebody emits, and the recording rules make the right numbers."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from scripts.dashboards import DASHBOARDS, MODEL_DASHBOARD
from tests.monitoring import promtool
from tests.monitoring.platform import BASE, groups, recording, written
from tests.monitoring.queries import dashboard_queries, known, selectors, unknown
from tests.render.platform import Values

PANELS = list(dashboard_queries(path for path in DASHBOARDS if path != MODEL_DASHBOARD))
MADE = {"model", "tenant", "node", "platform", "namespace", "pod"}
"""Labels that recording rules leave."""


def rules() -> list[str]:
    return [rule["expr"] for group in groups() for rule in group["rules"]]


def recorded() -> dict[str, set[str]]:
    """Series that the recording rules make."""
    return {rule["record"]: MADE for group in recording() for rule in group["rules"]}


def test_every_series_that_a_rule_or_panel_reads_is_emitted_or_recorded() -> None:
    queries = [*rules(), *PANELS]
    assert len([found for query in queries for found in selectors(query)]) > 150
    assert unknown(queries, known() | recorded()) == set()


def test_every_query_names_a_series() -> None:
    constant = [query for query in [*rules(), *PANELS] if not list(selectors(query))]
    assert all(re.fullmatch(r"vector\([0-9.]+\)", query) for query in constant), constant


def test_every_series_that_is_recorded_is_read_by_an_alert_or_a_panel() -> None:
    read = {name for query in [*rules(), *PANELS] for name, _ in selectors(query)}
    assert set(recorded()) - read == set()


def test_prometheus_reads_every_query_of_the_dashboards(tmp_path: Path) -> None:
    assert promtool.check_queries(tmp_path, PANELS) == ""


HELD = {
    # Two GPUs of an L4 node for llama, a slice on a node of no known product for a tenant's own model.
    'kube_node_info{node="a"}': "1x40",
    'kube_node_labels{node="a",label_nvidia_com_gpu_product="NVIDIA-L4"}': "1x40",
    'kube_node_info{node="b"}': "1x40",
    'kube_node_status_allocatable{node="a",resource="nvidia_com_gpu",unit="integer"}': "4x40",
    'kube_node_status_allocatable{node="b",resource="nvidia_com_mig_1g_10gb",unit="integer"}': "4x40",
    'kube_pod_container_resource_requests{$llama,$gpu,node="a"}': "1x40",
    'kube_pod_status_phase{$llama,phase="Running"}': "1x40",
    'kube_pod_container_resource_requests{$llamaTwo,$gpu,node="a"}': "1x40",
    'kube_pod_status_phase{$llamaTwo,phase="Pending"}': "1x40",
    'kube_pod_container_resource_requests{$ofTeamA,resource="nvidia_com_mig_1g_10gb",container="s",node="b"}': "2x40",
    'kube_pod_status_phase{$ofTeamA,phase="Running"}': "1x40",
    # Holds nothing: it has finished, or has no node.
    'kube_pod_container_resource_requests{$sleepy,$gpu,node="a"}': "1x40",
    'kube_pod_status_phase{$sleepy,phase="Failed"}': "1x40",
}
NUMBERS = {
    "sum(namespace_pod_node:llm_gpus:sum)": 2.5,
    'sum(node:llm_gpus:sum{node="b"})': 1,
    'sum(node:llm_gpus_free:sum{node="a"})': 2,
    'sum(node:llm_gpus_free:sum{node="b"})': 0.5,
    'sum(model:llm_gpus:sum{model="llama"})': 2,
    "sum(namespace:llm_spend_per_hour:sum)": 1.5,
    'sum(model:llm_spend_per_hour:sum{model="llama"})': 1,
    'sum(model:llm_spend_per_hour:sum{model="sleepy"})': None,
    'sum(tenant:llm_spend_per_hour:sum{tenant="team-a"})': 0.5,
    "sum(platform:llm_spend_shared_per_hour:sum)": 1,
    'sum(node:llm_spend_unused_per_hour:sum{node="a"})': 1,
    "sum(namespace_pod:llm_gpus_pending:sum)": 1,
}


@pytest.mark.parametrize("query", NUMBERS)
def test_gpus_and_their_cost_are_counted_once_and_at_their_own_price(query: str, tmp_path: Path) -> None:
    assert promtool.evaluate(tmp_path, query, written(HELD), "8m", NUMBERS[query], recording()[:2]) == ""


def test_the_error_budget_of_a_model_is_that_of_all_gateway_pods_and_of_its_hold(tmp_path: Path) -> None:
    series = {
        'haproxy_backend_http_responses_total{$gateway1,proxy="model-sleepy",code="2xx"}': "0+96x80",
        'haproxy_backend_http_responses_total{$gateway2,proxy="model-sleepy",code="4xx"}': "0+100x80",
        'haproxy_backend_http_responses_total{$gateway2,proxy="hold-sleepy",code="5xx"}': "0+4x80",
        'haproxy_backend_http_responses_total{$farGateway,proxy="model-sleepy",code="5xx"}': "0+900x80",
    }
    asked = 'sum(model:llm_gateway_errors:ratio_rate5m{model="sleepy"})'
    assert promtool.evaluate(tmp_path, asked, written(series), "15m", 0.02, recording()[2:]) == ""
    burn = 'sum(model:llm_gateway_budget_burn:rate1h{model="sleepy"})'
    assert promtool.evaluate(tmp_path, burn, written(series), "15m", 20, recording()[2:]) == ""


@pytest.mark.parametrize(
    ("name", "labels", "gpus"),
    [
        ("grouped-0", "grouped", 1),
        ("grouped-0-1", "grouped", 1),
        ("grouped-new-0", "grouped", None),
        ("far-5d9c8b7f66-aaaaa", "far", 1),
        ("far-two-5d9c8b7f66-aaaaa", "far", None),
    ],
)
def test_a_model_holds_the_gpus_of_its_pods_workers_too_and_of_no_others(
    name: str, labels: str, gpus: float | None, tmp_path: Path
) -> None:
    values: Values = {
        "models": {
            "grouped": {
                "model": {"id": "org/grouped"},
                "weights": {"sizeGiB": 15},
                "parallelism": {"pipeline": 2, "nodes": 2},
            }
        },
        "gateway": {"externalModels": {"far": {"servedNames": ["far"]}}},
    }
    series: Mapping[str, str] = {
        f'kube_pod_container_resource_requests{{namespace="llm",pod="{name}",$gpu,node="a"}}': "1x40",
        f'kube_pod_status_phase{{namespace="llm",pod="{name}",phase="Running"}}': "1x40",
    }
    asked = f'sum(model:llm_gpus:sum{{model="{labels}"}})'
    assert promtool.evaluate(tmp_path, asked, written(dict(series)), "8m", gpus, recording(values)[:1]) == ""


def test_without_a_price_there_are_no_rules_of_cost() -> None:
    free: Values = {
        "monitoring": {
            "cost": {"pricePerGpuHour": None, "prices": None, "budgetPerHour": None, "namespaceBudgetsPerHour": None}
        }
    }
    assert BASE["monitoring"]["cost"]["pricePerGpuHour"]
    assert [group["name"].rpartition(".")[2] for group in recording()] == ["gpu", "cost", "gateway"]
    assert [group["name"].rpartition(".")[2] for group in recording(free)] == ["gpu", "gateway"]
