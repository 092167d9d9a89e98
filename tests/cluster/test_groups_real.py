"""One replica of the real engine over two pods: each holds a copy of the model, and the leader answers for both."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.bench import local, operators
from scripts.bench.proof import Record
from scripts.cluster import Cluster, wait_until
from scripts.kubernetes_modules import KUBERNETES_VERSION
from tests.cluster.scenario import versions

BUDGET_SECONDS = 720
pytestmark = [pytest.mark.long, pytest.mark.timeout(1500)]

VALUES: dict[str, Any] = {
    "parallelism": {"nodes": 2, "data": 2},
    "probes": {
        "startup": {"initialDelaySeconds": 5, "periodSeconds": 5, "budgetSeconds": 1200, "timeoutSeconds": 20},
        "readiness": {"periodSeconds": 5, "timeoutSeconds": 20},
        "liveness": {"periodSeconds": 10, "timeoutSeconds": 20, "failureThreshold": 6},
    },
    "resources": {"requests": {"cpu": "100m", "memory": "3Gi"}},
}
SERVING = "vllm-model/name=m,vllm-model/role=server"


@pytest.fixture(scope="module")
def group(cluster: Cluster) -> Iterator[tuple[Cluster, str]]:
    """A group of two pods that serves. Gives the cluster and the namespace."""
    operators.install_lws(cluster)
    engine = local.ensure_engine(cluster, "real")
    with cluster.namespace("groups-real") as namespace:
        local.helm(cluster, "install", "m", namespace, local.overlay(engine, VALUES))

        def serves() -> bool:
            found = cluster.get("pods", "--namespace", namespace, "--selector", SERVING)
            conditions = [each for pod in found for each in pod["status"].get("conditions", [])]
            return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)

        wait_until("the leader serves", serves, seconds=1300, pause=2)
        yield cluster, namespace


def answered(cluster: Cluster, namespace: str) -> dict[str, int]:
    """Requests that each copy of the model has answered, by its number, as the leader says."""
    (leader,) = cluster.get("pods", "--namespace", namespace, "--selector", SERVING)
    text = local.metrics(cluster, leader["metadata"]["name"], namespace)
    found: dict[str, int] = {}
    for engine, count in re.findall(r'^vllm:request_success_total\{engine="(\d+)",.*\} (\S+)', text, re.MULTILINE):
        found[engine] = found.get(engine, 0) + int(float(count))
    return found


def test_the_copies_on_both_pods_answer_behind_the_leader(group: tuple[Cluster, str]) -> None:
    cluster, namespace = group
    url = local.service_url(cluster, "m", namespace)
    with local.traffic(cluster, url, "tiny", clients=16, tokens=64, answers="counted", limit=120) as traffic:
        traffic.wait_for_requests(100, seconds=240)
    report, shares = traffic.report(), answered(cluster, namespace)
    figures = {
        "what": "data parallel over two pods of a LeaderWorkerSet",
        "requests": len(report.of()),
        "lost": len(report.not_ok()),
        "note": "answered by the copies: " + ", ".join(f"{count} ({name})" for name, count in sorted(shares.items())),
    }
    names = {"Kubernetes": KUBERNETES_VERSION, "vLLM": "0.32.0 (CPU)", **versions("lws")}
    Record("rollouts", "one replica over two pods", "real", figures, names).write()
    assert report.not_ok() == [], report.summary()
    assert set(shares) == {"0", "1"}
    # How it divides them is vLLM's own: 112 to 8 in one run, 18 to 103 in another.
    assert min(shares.values()) >= 1, shares


def test_no_pod_of_the_group_was_restarted(group: tuple[Cluster, str]) -> None:
    cluster, namespace = group
    pods = cluster.get("pods", "--namespace", namespace, "--selector", "vllm-model/name=m")
    assert sorted(pod["metadata"]["labels"]["vllm-model/role"] for pod in pods) == ["server", "worker"]
    assert [pod["status"]["containerStatuses"][0]["restartCount"] for pod in pods] == [0, 0]
