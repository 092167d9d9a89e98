"""Two entries of ``models`` share a served name: the gateway sends each its share, whatever the numbers of replicas."""

from collections.abc import Iterator
from typing import Any

import pytest

from scripts.bench import gateway, local
from scripts.bench.proof import Record
from scripts.bench.traffic import Report
from scripts.cluster import Cluster, wait_until
from scripts.kubernetes_modules import KUBERNETES_VERSION

BUDGET_SECONDS = 420
pytestmark = pytest.mark.long

QUICK = {"shutdown": {"drainSeconds": 5}, "model": {"servedNames": ["tiny"]}}
BAD = {"engine": {"env": {"DOUBLE_FAILURE_RATE": "1", "DOUBLE_TOKENS_PER_SECOND": "100"}}}


def values(weight: int, canary: dict[str, Any] | None = None) -> dict[str, Any]:
    """A stable and a new version of a model; the new one gets so many percent."""
    fast = {"engine": {"env": {"DOUBLE_TOKENS_PER_SECOND": "100"}}}
    entry = local.overlay(local.DOUBLE, QUICK, fast)
    stable = entry | {"gateway": {"weight": 100 - weight}}
    return {
        "models": {"stable": stable, "canary": local.overlay(entry, canary or {}) | {"gateway": {"weight": weight}}}
    }


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    local.ensure_double(cluster)
    gateway.ensure_image(cluster)
    with cluster.namespace("canary") as name:
        gateway.apply(cluster, "install", name, values(5, BAD), "--wait", "--timeout", "3m")
        settle(cluster, name)
        yield name


def settle(cluster: Cluster, namespace: str) -> None:
    """Waits until old pods are gone and each gateway has found both versions, which takes it seconds after Ready."""

    def pods(selector: str) -> list[dict[str, Any]]:
        return list(cluster.get("pods", "--namespace", namespace, "--selector", selector))

    def knows_both(pod: str) -> bool:
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}:8405/proxy/metrics?scope=backend"
        text = cluster.kubectl("get", f"--raw={path}", check=False)
        return all(f'haproxy_backend_active_servers{{proxy="model-{name}"}} 1' in text for name in ("stable", "canary"))

    def settled() -> bool:
        gateways = pods("app.kubernetes.io/component=gateway")
        leaving = [pod for pod in gateways + pods("vllm-model/role=server") if "deletionTimestamp" in pod["metadata"]]
        return not leaving and all(knows_both(pod["metadata"]["name"]) for pod in gateways)

    wait_until("the gateway knows one pod of each version", settled, seconds=150, pause=1)


def send(cluster: Cluster, namespace: str, requests: int = 1000) -> Report:
    with local.traffic(cluster, gateway.url(cluster, namespace), "tiny", rate=50, tokens=4, answers="known") as traffic:
        traffic.wait_for_requests(requests, seconds=120)
    return traffic.report()


def shift(cluster: Cluster, namespace: str, weight: int, canary: dict[str, Any]) -> None:
    """Gives the new version another share, as a person or a pipeline does."""
    gateway.apply(cluster, "upgrade", namespace, values(weight, canary), "--wait", "--timeout", "3m")
    settle(cluster, namespace)


@pytest.mark.parametrize("weight", [5, 25, 0])
def test_a_bad_version_costs_its_share_and_nothing_after_it_is_taken_back(
    cluster: Cluster, namespace: str, weight: int
) -> None:
    shift(cluster, namespace, weight, BAD)
    report = send(cluster, namespace)
    lost = len(report.not_ok())
    share = 100 * lost / len(report.of())
    figures = {
        "what": f"a failing version at weight {weight}",
        "requests": f"{len(report.of()):,}",
        "lost": f"{lost} ({share:.1f} %)",
        "note": "two entries of models, weights in the gateway",
    }
    Record("rollouts", f"canary by weight {weight}", "double", figures, {"Kubernetes": KUBERNETES_VERSION}).write()
    assert abs(share - weight) <= max(2, weight / 5) if weight else lost == 0, report.summary()


def test_a_good_version_takes_over_with_nothing_lost(cluster: Cluster, namespace: str) -> None:
    shift(cluster, namespace, 5, {})
    with local.traffic(cluster, gateway.url(cluster, namespace), "tiny", rate=30, tokens=4, answers="known") as traffic:
        for weight in (25, 100):
            shift(cluster, namespace, weight, {})
        traffic.wait_for_requests(1000)
    report = traffic.report()
    figures = {"what": "5, 25, 100 percent", "requests": f"{len(report.of()):,}", "lost": len(report.not_ok())}
    Record("rollouts", "promotion by weights", "double", figures, {"Kubernetes": KUBERNETES_VERSION}).write()
    assert report.not_ok() == [], report.summary()
