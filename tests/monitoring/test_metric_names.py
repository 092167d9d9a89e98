"""Every metric that a query of the charts reads exists, under that name and with those labels.

Guides scale on ``vllm_request_waiting_total`` and alert on ``vllm_gpu_utilization_percent``, which no engine ever had:
such a query is never wrong, it is only never true.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.dashboards import MODEL_DASHBOARD
from scripts.render import Values, render
from tests.monitoring import promtool
from tests.monitoring.queries import dashboard_queries, known, selectors, unknown
from tests.render.platform import given, platform

ALL: Values = {
    "model": {"id": "org/model"},
    "monitoring": {"rules": {"enabled": True, "alerts": {"idleReplicas": {"enabled": True}}}},
    "autoscaling": {
        "prometheus": {"serverAddress": "http://prometheus"},
        "triggers": {
            name: {"enabled": True}
            for name in (
                "waitingRequests",
                "runningRequests",
                "requestsPerSecond",
                "timeToFirstToken",
                "kvCacheUsage",
                "tokensPerSecond",
                "gpuUtilization",
            )
        },
    },
}


def scaler_queries(kind: str) -> Iterator[str]:
    values: Values = {"autoscaling": {"type": "keda", "minReplicas": 0}, "workload": {"kind": kind}}
    gateway: Values = {"autoscaling": {"wake": {"gateway": {"service": "gateway"}}}}
    made = render("vllm-model", [ALL, values, gateway])
    yield from (entry["metadata"]["query"] for entry in made.one("ScaledObject")["spec"]["triggers"][1:])
    for group in made.one("PrometheusRule")["spec"]["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def adapter_rules() -> list[dict[str, Any]]:
    """The rules that NOTES prints, rendered by an object of the user's: NOTES itself is no part of a render."""
    text = '{{ include "vllm-model.adapterRules" . | nindent 4 }}'
    extra = {
        "extraObjects": [f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: adapter}}\ndata:\n  rules: |{text}\n"]
    }
    made = render("vllm-model", [ALL, {"autoscaling": {"type": "hpa"}}, extra])
    rules = yaml.load(made.one("ConfigMap", "adapter")["data"]["rules"], Loader=yaml.CSafeLoader)
    found: list[dict[str, Any]] = rules["rules"]["custom"]
    return found


def filled(rule: dict[str, Any]) -> str:
    """An adapter's query as the adapter fills it in for one pod."""
    pod = next(label for label, what in rule["resources"]["overrides"].items() if what["resource"] == "pod")
    return str(rule["metricsQuery"]).replace("<<.LabelMatchers>>", f'{pod}=~"a"').replace("<<.GroupBy>>", pod)


def queries() -> list[str]:
    """Every query of the chart, as Prometheus gets it."""
    scalers = [query for kind in ("Deployment", "Rollout") for query in scaler_queries(kind)]
    return [*scalers, *(filled(rule) for rule in adapter_rules()), *dashboard_queries([MODEL_DASHBOARD])]


def test_every_series_that_a_query_reads_exists_with_the_labels_that_it_selects() -> None:
    assert len([found for query in queries() for found in selectors(query)]) > 60
    assert unknown(queries(), known()) == set()


def test_every_query_names_a_series() -> None:
    assert [query for query in queries() if not list(selectors(query))] == []


def test_prometheus_reads_every_query(tmp_path: Path) -> None:
    assert promtool.check_queries(tmp_path, queries()) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        'sum(vllm_num_requests_waiting{pod="a"})',
        "avg(vllm:gpu_cache_usage_perc)",
        'rate(vllm:request_success{pod="a"}[1m])',
        'sum(vllm:num_requests_running{deployment="a"})',
    ],
)
def test_a_series_of_the_guides_that_does_not_exist_is_found_out(wrong: str) -> None:
    assert unknown([wrong], known())


def test_the_adapter_makes_every_metric_that_the_hpa_reads() -> None:
    made = render("vllm-model", [ALL, {"autoscaling": {"type": "hpa"}}])
    wanted = [metric["pods"]["metric"]["name"] for metric in made.one("HorizontalPodAutoscaler")["spec"]["metrics"]]
    rules = adapter_rules()
    assert set(wanted) == {rule["name"]["as"] for rule in rules}
    assert len(wanted) == 7


def test_the_umbrella_gives_its_adapter_the_same_rules_and_its_own_prometheus() -> None:
    passed = given(platform({"prometheus-adapter": {"enabled": True}}), "prometheus-adapter")
    assert passed["rules"] == {"default": False, "custom": adapter_rules()}
    assert passed["prometheus"] == {"url": "http://prometheus-operated.{{ .Release.Namespace }}.svc", "port": 9090}


def test_an_adapter_rule_answers_for_each_pod_by_itself() -> None:
    for rule in adapter_rules():
        assert "<<.LabelMatchers>>" in rule["metricsQuery"]
        assert "<<.GroupBy>>" in rule["metricsQuery"]
        assert {entry["resource"] for entry in rule["resources"]["overrides"].values()} == {"namespace", "pod"}


def test_the_adapters_quantile_is_zero_for_an_idle_pod(tmp_path: Path) -> None:
    (rule,) = [rule for rule in adapter_rules() if "time_to_first_token" in rule["name"]["as"]]
    series = {
        'vllm:num_requests_running{pod="a"}': "0x40",
        'vllm:time_to_first_token_seconds_bucket{pod="a",le="1.0"}': "5x40",
        'vllm:time_to_first_token_seconds_bucket{pod="a",le="+Inf"}': "5x40",
    }
    assert promtool.evaluate(tmp_path, f"sum({filled(rule)})", series, "5m", 0) == ""
