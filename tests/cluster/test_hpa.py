"""An HPA scales a model through Prometheus Adapter, with the rules that NOTES of the release prints and no KEDA."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from scripts.bench import local, operators
from scripts.bench.proof import Record
from scripts.cluster import Cluster, wait_until
from scripts.kubernetes_modules import KUBERNETES_VERSION
from tests.cluster.scenario import versions
from tests.cluster.timeline import Timeline

BUDGET_SECONDS = 300
pytestmark = pytest.mark.long

SCRAPE = 5
SYNC = 15
"""Seconds between two looks of the HPA controller."""

SLOTS = 8
THRESHOLD = 10
"""Waiting requests a replica, the chart's default for an HPA."""

VALUES: dict[str, Any] = {
    "engine": {"flags": {"maxNumSeqs": SLOTS}},
    "shutdown": {"endpointSeconds": 5, "drainSeconds": 20},
    "autoscaling": {
        "type": "hpa",
        "preset": "responsive",
        "minReplicas": 1,
        "maxReplicas": 4,
        "triggers": {"timeToFirstToken": {"enabled": True, "threshold": 60}},
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 30, "periodSeconds": 15}},
    },
}


@pytest.fixture(scope="module")
def model(cluster: Cluster) -> Iterator[str]:
    """A model with an HPA, and an adapter that knows what its NOTES say. Gives the namespace."""
    operators.install_prometheus(cluster, f"{SCRAPE}s")
    local.ensure_double(cluster)
    with cluster.namespace("hpa") as namespace:
        said = local.helm(cluster, "install", "m", namespace, local.overlay(local.DOUBLE, VALUES))
        operators.install_adapter(cluster, yaml.safe_load(said[said.index("\nrules:") :])["rules"]["custom"])
        cluster.kubectl("rollout", "status", "deployment/m", "-n", namespace, "--timeout=60s")
        operators.wait_for_series(cluster, f'vllm:num_requests_waiting{{namespace="{namespace}"}}')
        wait_until("the HPA reads every metric", lambda: active(cluster, namespace), seconds=120, pause=0.5)
        yield namespace


def hpa(cluster: Cluster, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("hpa", "m", "--namespace", namespace)
    return found


def active(cluster: Cluster, namespace: str) -> bool:
    """Whether the HPA has a value for each of its metrics."""
    made = hpa(cluster, namespace)
    conditions = {each["type"]: each["status"] for each in made["status"].get("conditions", [])}
    read = [each for each in made["status"].get("currentMetrics") or [] if each["type"] == "Pods"]
    return conditions.get("ScalingActive") == "True" and len(read) == len(made["spec"]["metrics"])


def test_a_step_of_load_moves_one_replica_to_three_and_quiet_takes_them_away(cluster: Cluster, model: str) -> None:
    target = 0 + SCRAPE + SYNC + 5
    url = local.service_url(cluster, "m", model)
    load = {"clients": SLOTS + 2 * THRESHOLD + 5, "tokens": 80, "answers": "known", "stream_share": 1}
    with (
        local.traffic(cluster, url, "tiny", **load) as traffic,
        Timeline(cluster, model, "m", traffic) as timeline,
    ):
        began = time.time()
        wait_until("three replicas are ready", lambda: timeline.since(began, ready=3), seconds=120)
        traffic.tell("stop")
        wait_until("one replica is left", lambda: timeline.wanted[-1] == 1, seconds=240)
    decision, serving = timeline.since(began, wanted=3), timeline.since(began, ready=3)
    assert decision is not None
    assert serving is not None
    report = traffic.report()
    figures = {
        "load": f"{SLOTS} running + {2 * THRESHOLD + 5} waiting",
        "replicas": " ".join(map(str, timeline.wanted)),
        "decision": f"{decision:.0f} s",
        "target": f"{target} s",
        "ready": f"{serving:.0f} s",
        "lost": len(report.not_ok()),
        "note": f"HPA by Prometheus Adapter, responsive, scraped every {SCRAPE} s",
    }
    names = {"Kubernetes": KUBERNETES_VERSION, **versions("prometheus-adapter", "prometheus")}
    Record("scaling", "step, by an HPA", "double", figures, names, timeline.write("hpa"), seed=1).write()
    assert decision <= target
    assert max(timeline.wanted) == 3
    assert timeline.wanted[-3:] == [3, 2, 1]
    assert report.not_ok() == [], report.summary()


def test_a_prometheus_that_is_away_takes_no_replica(cluster: Cluster, model: str) -> None:
    cluster.kubectl("scale", "deployment/m", "--replicas=2", "--namespace", model)
    deployment = ("deployment/prometheus", "--namespace", operators.MONITORING)
    with Timeline(cluster, model, "m") as timeline:
        cluster.kubectl("scale", *deployment, "--replicas=0")
        try:
            wait_until("the HPA reads nothing", lambda: not_read(cluster, model), seconds=120, pause=0.5)
            began = time.time()
            wait_until("the down-window has passed twice", lambda: time.time() - began > 75, seconds=90, pause=1)
        finally:
            cluster.kubectl("scale", *deployment, "--replicas=1")
            operators.rolled_out(cluster, operators.MONITORING, "prometheus")
    assert min(timeline.wanted) == 2


def not_read(cluster: Cluster, namespace: str) -> bool:
    """Whether the HPA says that it has no metrics."""
    conditions = hpa(cluster, namespace)["status"]["conditions"]
    return any(each["type"] == "ScalingActive" and each["status"] == "False" for each in conditions)
