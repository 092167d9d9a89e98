"""The number of replicas passes between chart and autoscaler without a replica lost, with Helm 3 and 4.

A manifest that stops saying ``replicas`` makes the API server default it to 1, and five of six replicas are killed.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from scripts.bench import local
from scripts.cluster import Cluster, wait_until
from scripts.kubernetes_modules import crd_files
from tests.cluster.watch import Watch

BUDGET_SECONDS = 120
QUICK = {"shutdown": {"endpointSeconds": 0, "drainSeconds": 1}}
FIXED = {"replicas": 6, **QUICK}
KEDA = {
    **QUICK,
    "autoscaling": {
        "type": "keda",
        "minReplicas": 2,
        "maxReplicas": 10,
        "prometheus": {"serverAddress": "http://prometheus.monitoring.svc:9090"},
    },
}


@pytest.fixture(scope="module", autouse=True)
def prepared(cluster: Cluster) -> None:
    """The double's image, and KEDA's definitions without KEDA: here the test is the one who scales."""
    local.ensure_double(cluster)
    for path in crd_files("keda"):
        cluster.apply(path)


@pytest.fixture(params=[3, 4], ids=["helm3", "helm4"])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def watched(cluster: Cluster, namespace: str, version: int) -> Iterator[Watch]:
    """A release of six fixed replicas, all ready, and a watch over its Deployment."""
    local.helm(cluster, "install", "m", namespace, local.overlay(local.DOUBLE, FIXED), version=version)
    cluster.kubectl("rollout", "status", "deployment/m", "--namespace", namespace, "--timeout=90s")

    def read(deployment: dict[str, Any]) -> tuple[int, int]:
        return deployment["spec"]["replicas"], deployment["status"].get("readyReplicas", 0)

    with Watch(cluster, namespace, "m", read) as watched:
        yield watched


def upgrade(cluster: Cluster, namespace: str, version: int, *values: dict[str, Any]) -> None:
    """``helm upgrade`` and the end of the rollout that it causes."""
    local.helm(cluster, "upgrade", "m", namespace, local.overlay(local.DOUBLE, *values), version=version)
    cluster.kubectl("rollout", "status", "deployment/m", "--namespace", namespace, "--timeout=90s")


def replicas(cluster: Cluster, namespace: str) -> int:
    return int(cluster.get("deployment", "m", "--namespace", namespace)["spec"]["replicas"])


def scale(cluster: Cluster, namespace: str, number: int) -> None:
    """What an autoscaler does: it writes to the scale subresource."""
    cluster.kubectl("scale", "deployment/m", f"--replicas={number}", "--namespace", namespace)
    cluster.kubectl("rollout", "status", "deployment/m", "--namespace", namespace, "--timeout=90s")


def test_the_move_from_fixed_to_autoscaled_and_back_never_drops_below_six(
    cluster: Cluster, namespace: str, version: int, watched: Watch
) -> None:
    upgrade(cluster, namespace, version, KEDA)
    assert replicas(cluster, namespace) == 6
    scale(cluster, namespace, 8)
    upgrade(cluster, namespace, version, KEDA, {"commonAnnotations": {"team": "a"}})
    assert replicas(cluster, namespace) == 8
    upgrade(cluster, namespace, version, {"replicas": 8, **QUICK})
    assert replicas(cluster, namespace) == 8
    assert [state for state in watched.values() if min(state) < 6] == []


def test_an_autoscaled_release_starts_without_a_number_and_keeps_the_scalers(
    cluster: Cluster, namespace: str, version: int
) -> None:
    values = local.overlay(local.DOUBLE, KEDA)
    local.helm(cluster, "install", "m", namespace, values, version=version)
    assert replicas(cluster, namespace) == 1
    scale(cluster, namespace, 4)
    upgrade(cluster, namespace, version, KEDA, {"commonAnnotations": {"team": "b"}})
    wait_until("the upgrade kept the scaler's number", lambda: replicas(cluster, namespace) == 4, seconds=5)


def test_the_watch_would_have_seen_a_drop(cluster: Cluster, namespace: str, watched: Watch) -> None:
    cluster.kubectl("scale", "deployment/m", "--replicas=1", "--namespace", namespace)
    wait_until("the drop is seen", lambda: any(min(state) < 6 for state in watched.values()), seconds=20)
