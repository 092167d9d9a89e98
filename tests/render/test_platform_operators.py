"""What the umbrella passes on to its operators, and what it tells the models about them."""

from typing import Any

import pytest

from tests.render.platform import QUIET, TINY, Values, given, platform

ALL = {"models": {"tiny": TINY}, "prometheus-adapter": {"enabled": True}}
OPERATORS = ["gpu-operator", "keda", "kube-prometheus-stack", "prometheus-adapter"]


def at(values: Values, path: str) -> Any:
    found: Any = values
    for key in path.split("."):
        found = found[key]
    return found


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operator_can_be_switched_off(operator: str) -> None:
    names = {
        body["metadata"]["name"]
        for body in platform(ALL, {operator: {"enabled": False}}).all("ConfigMap")
        if body["metadata"]["name"].startswith("stub-")
    }
    assert names == {f"stub-{name}" for name in OPERATORS} - {f"stub-{operator}"}


@pytest.mark.parametrize("what", ["podMonitor", "serviceMonitor", "rule", "probe", "scrapeConfig"])
def test_prometheus_takes_up_what_is_in_the_whole_cluster(what: str) -> None:
    spec = at(given(platform(), "kube-prometheus-stack"), "prometheus.prometheusSpec")
    assert spec[f"{what}SelectorNilUsesHelmValues"] is False


def test_grafana_finds_dashboards_in_every_namespace() -> None:
    sidecar = at(given(platform(), "kube-prometheus-stack"), "grafana.sidecar.dashboards")
    assert (sidecar["enabled"], sidecar["label"], sidecar["searchNamespace"]) == (True, "grafana_dashboard", "ALL")


def test_dcgm_exporter_is_scraped() -> None:
    assert at(given(platform(), "gpu-operator"), "dcgmExporter.serviceMonitor.enabled") is True


@pytest.mark.parametrize("part", ["operator", "metricServer", "webhooks"])
def test_keda_has_metrics_that_are_scraped(part: str) -> None:
    metrics = at(given(platform(), "keda"), f"prometheus.{part}")
    assert (metrics["enabled"], metrics["serviceMonitor"]["enabled"]) == (True, True)


def test_keda_leaves_its_crds_to_the_crds_folder() -> None:
    assert at(given(platform(), "keda"), "crds.install") is False


@pytest.mark.parametrize(
    ("operator", "path"),
    [
        ("gpu-operator", "operator.affinity"),
        ("keda", "affinity"),
        ("kube-prometheus-stack", "prometheusOperator.affinity"),
        ("kube-prometheus-stack", "prometheus.prometheusSpec.affinity"),
        ("kube-prometheus-stack", "alertmanager.alertmanagerSpec.affinity"),
        ("kube-prometheus-stack", "grafana.affinity"),
        ("kube-prometheus-stack", "kube-state-metrics.affinity"),
        ("prometheus-adapter", "affinity"),
    ],
)
def test_operators_keep_off_gpu_nodes(operator: str, path: str) -> None:
    affinity = at(given(platform(ALL), operator), path)
    [term] = affinity["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert term["preference"]["matchExpressions"] == [
        {"key": "nvidia.com/gpu.present", "operator": "NotIn", "values": ["true"]}
    ]


@pytest.mark.parametrize("path", ["daemonsets.tolerations", "node-feature-discovery.worker.tolerations"])
def test_gpu_daemonsets_run_where_models_may(path: str) -> None:
    model = platform(QUIET, {"models": {"tiny": {**TINY, "spot": {"enabled": True}}}}).one("Deployment", "tiny")
    tolerated = at(given(platform(), "gpu-operator"), path)
    for toleration in model["spec"]["template"]["spec"]["tolerations"]:
        assert toleration in tolerated


def scaled(made: Any) -> Values:
    body: Values = made.one("ScaledObject", "tiny")
    return body


KEDA: Values = {"models": {"tiny": {**TINY, "autoscaling": {"type": "keda"}}}}


def test_models_are_told_the_platforms_prometheus() -> None:
    hpa_like = {"models": {"tiny": {"autoscaling": {"triggers": {"waitingRequests": {"enabled": True}}}}}}
    trigger = scaled(platform(KEDA, hpa_like))["spec"]["triggers"][1]
    assert trigger["metadata"]["serverAddress"] == "http://prometheus-operated.llm.svc:9090"


def test_what_a_model_says_of_prometheus_wins() -> None:
    own = {
        "autoscaling": {
            "prometheus": {"serverAddress": "http://mine:9090"},
            "triggers": {"waitingRequests": {"enabled": True}},
        }
    }
    trigger = scaled(platform(KEDA, {"models": {"tiny": own}}))["spec"]["triggers"][1]
    assert trigger["metadata"]["serverAddress"] == "http://mine:9090"


def test_models_are_scaled_by_demand_at_the_platforms_gateway() -> None:
    trigger = scaled(platform(KEDA))["spec"]["triggers"][0]
    assert trigger["type"] == "metrics-api"
    assert trigger["metadata"]["url"] == "http://llm-gateway-internal.llm.svc:8404/demand/tiny"


def test_without_a_gateway_models_are_scaled_by_what_waits_in_the_engine() -> None:
    triggers = scaled(platform(KEDA, {"gateway": {"enabled": False}}))["spec"]["triggers"]
    assert [trigger["type"] for trigger in triggers] == ["prometheus"]


def sleep_seconds(*values: Values) -> int:
    deployment = platform({"models": {"tiny": TINY}}, *values).one("Deployment", "tiny")
    seconds: int = deployment["spec"]["template"]["spec"]["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    return seconds


def test_behind_a_gateway_that_resolves_names_a_pod_waits_until_dns_has_aged() -> None:
    assert sleep_seconds() == 35
    assert sleep_seconds({"gateway": {"dns": {"ttlSeconds": 5}}}) == 10


def test_without_a_gateway_a_pod_waits_for_services_only() -> None:
    assert sleep_seconds({"gateway": {"enabled": False}}) == 15


def test_what_a_model_says_of_its_end_wins() -> None:
    assert sleep_seconds({"models": {"tiny": {"shutdown": {"endpointSeconds": 20}}}}) == 20
    assert sleep_seconds({"vllm-model": {"shutdown": {"endpointSeconds": 25}}}) == 25


def test_a_short_notice_is_not_spent_on_dns() -> None:
    spot = {"models": {"tiny": {"spot": {"enabled": True, "noticeSeconds": 30}}}}
    assert sleep_seconds(spot) < 15


def kinds(*values: Values) -> set[str]:
    return {body["kind"] for body in platform({"models": {"tiny": TINY}}, *values).objects}


def test_models_and_gateway_are_watched_where_the_stack_is() -> None:
    assert {"PodMonitor", "PrometheusRule"} <= kinds()
    assert len(platform({"models": {"tiny": TINY}}).all("PodMonitor")) == 2


@pytest.mark.parametrize("off", [{"kube-prometheus-stack": {"enabled": False}}, {"monitoring": {"enabled": False}}])
def test_without_the_stack_nothing_needs_its_crds(off: Values) -> None:
    assert not {"PodMonitor", "PrometheusRule"} & kinds(off)


def test_an_operator_of_ones_own_is_used_where_monitoring_is_on() -> None:
    assert "PodMonitor" in kinds({"kube-prometheus-stack": {"enabled": False}, "monitoring": {"enabled": True}})


def test_a_model_may_stay_unwatched() -> None:
    own = {"models": {"tiny": {"monitoring": {"podMonitor": {"enabled": False}, "rules": {"enabled": False}}}}}
    made = platform({"models": {"tiny": TINY}}, own)
    assert [body["metadata"]["name"] for body in made.all("PodMonitor")] == ["llm-gateway"]


def test_the_platforms_prometheus_and_gateway_may_reach_a_model_in_another_namespace() -> None:
    made = platform({"models": {"tiny": {**TINY, "namespace": "team-a"}}})
    policy = made.one("NetworkPolicy", "tiny")
    assert policy["metadata"]["namespace"] == "team-a"
    peers = [peer for rule in policy["spec"]["ingress"] for peer in rule["from"]]
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "llm"}}} in peers
    gateway = next(peer for peer in peers if "gateway" in str(peer.get("podSelector")))
    assert gateway["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "llm"}
    out = [rule for rule in made.one("NetworkPolicy", "llm-gateway")["spec"]["egress"] if "team-a" in str(rule)]
    assert len(out) == 1
