"""Load that waits in the gateway scales the model too: there the engine's own queue stays empty."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.bench import gateway, local, operators
from scripts.cluster import Cluster, wait_until
from tests.cluster.scaled import POLLING, SLOTS, record, waiting
from tests.cluster.timeline import Timeline

BUDGET_SECONDS = 240
pytestmark = pytest.mark.long

MODEL: dict[str, Any] = {
    "engine": {"flags": {"maxNumSeqs": SLOTS}},
    "shutdown": {"endpointSeconds": 5, "drainSeconds": 20},
    "autoscaling": {
        "type": "keda",
        "preset": "responsive",
        "minReplicas": 1,
        "maxReplicas": 4,
        "triggers": {"demand": {"targetConcurrency": SLOTS}},
    },
}
SYNC = 15
"""How often an HPA looks."""


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    """The umbrella with one model; its gateway sends each replica as many requests as it runs at once, and no more."""
    operators.install_keda(cluster)
    local.ensure_double(cluster)
    gateway.ensure_image(cluster)
    with cluster.namespace("scaling-gateway") as namespace:
        values = {"models": {"m": local.overlay(local.DOUBLE, MODEL)}}
        gateway.apply(cluster, "install", namespace, values, "--wait", "--timeout", "3m")
        gateway.wait_for_servers(cluster, namespace, "m", 1)
        yield namespace


def waiting_at_engines(cluster: Cluster, namespace: str) -> float:
    """Requests that wait in the engines, by their own metrics."""
    found = cluster.get("pods", "--namespace", namespace, "--selector", "vllm-model/name=m")
    texts = [local.metrics(cluster, pod["metadata"]["name"], namespace) for pod in found if is_ready(pod)]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("vllm:num_requests_waiting{")]
    return sum(float(line.split()[-1]) for line in lines)


def is_ready(pod: dict[str, Any]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))


def test_load_behind_a_limit_for_each_replica_scales_though_no_engine_has_a_queue(
    cluster: Cluster, namespace: str
) -> None:
    target = POLLING + SYNC + 5
    with (
        local.traffic(cluster, gateway.url(cluster, namespace), "tiny", **waiting(SLOTS + 12)) as traffic,
        Timeline(cluster, namespace, "m", traffic) as timeline,
    ):
        began, queued = time.time(), 0.0

        def grown() -> bool:
            nonlocal queued
            queued = max(queued, waiting_at_engines(cluster, namespace))
            return timeline.since(began, ready=3) is not None

        wait_until("three replicas are ready", grown, seconds=120, pause=0.5)
        traffic.wait_for_requests(len(traffic.requests) + 50)
    report = traffic.report()
    decision = timeline.since(began, wanted=3)
    record(
        "step through the gateway", load=f"{SLOTS + 12} at once, {SLOTS} a replica at most",
        replicas=" ".join(map(str, timeline.wanted)), decision=f"{decision:.0f} s", target=f"{target} s",
        ready=f"{timeline.since(began, ready=3):.0f} s", lost=len(report.not_ok()),
        note=f"responsive, scaled on demand; at most {queued:.0f} requests waited in the engines",
        log=timeline.write("step-gateway"),
    )  # fmt: skip
    assert decision is not None
    assert decision <= target
    assert max(timeline.wanted) == 3
    assert report.not_ok() == [], report.summary()
