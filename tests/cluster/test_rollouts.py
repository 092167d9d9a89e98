"""Argo Rollouts around the chart's pod template: a canary that Prometheus judges, back by itself or onward.

No traffic router that Argo Rollouts knows runs on the local cluster, so weights are numbers of pods here; the gateway's
weights, which can give 5 percent, are in test_canary.py.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.bench import local, operators
from scripts.bench.proof import Record
from scripts.bench.traffic import Traffic
from scripts.cluster import Cluster, wait_until
from scripts.kubernetes_modules import KUBERNETES_VERSION
from tests.cluster.scenario import versions

BUDGET_SECONDS = 480
pytestmark = pytest.mark.long

RATE = 40
VALUES: dict[str, Any] = {
    "replicas": 4,
    "shutdown": {"endpointSeconds": 5, "drainSeconds": 20},
    "autoscaling": {"prometheus": {"serverAddress": operators.PROMETHEUS}},
    "workload": {
        "kind": "Rollout",
        "canary": {
            "steps": [
                {"setWeight": 25},
                {"pause": {"duration": "60s"}},
                {"setWeight": 50},
                {"pause": {"duration": "30s"}},
            ],
        },
        "analysis": {
            "enabled": True,
            "timeToFirstTokenSeconds": 1,
            "errorPercent": 5,
            "windowSeconds": 20,
            "intervalSeconds": 5,
        },
    },
}
CLIENT_SIDE = "--server-side=false"
"""The controller writes to what the release has made (the pod template, the selectors of the two Services), and to the
server-side apply of Helm 4 that is a conflict."""

FAST = {"DOUBLE_TOKENS_PER_SECOND": "100"}
BAD = {
    "failing": {"DOUBLE_FAILURE_RATE": "0.5"},
    "slow": {"DOUBLE_PREFILL_SECONDS": "3"},
}


def values(environment: dict[str, str]) -> dict[str, Any]:
    return local.overlay(local.DOUBLE, VALUES, {"engine": {"env": FAST | environment}})


class Canary:
    """The Rollout as it is, and how many pods of the new version it has had."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self.updated: list[int] = []

    def look(self) -> dict[str, Any]:
        """The status; notes the number of new pods in passing."""
        status: dict[str, Any] = self.cluster.get("rollout", "m", "--namespace", self.namespace).get("status", {})
        number = status.get("updatedReplicas", 0)
        if self.updated[-1:] != [number]:
            self.updated.append(number)
        return status

    def behind(self, service: str) -> str:
        """The version that a Service leads to, as the controller has narrowed it."""
        made = self.cluster.get("service", service, "--namespace", self.namespace)
        return str(made["spec"]["selector"].get("rollouts-pod-template-hash", ""))

    def other(self, stable: str) -> str:
        """The new version, if a Service leads to it."""
        found = self.behind("m-canary")
        return found if found != stable else ""

    def pods(self, version: str) -> list[dict[str, Any]]:
        """Pods of a version, those that are leaving included."""
        selector = f"rollouts-pod-template-hash={version}"
        return list(self.cluster.get("pods", "--namespace", self.namespace, "--selector", selector))

    def upgrade(self, environment: dict[str, str]) -> None:
        before = self.look().get("observedGeneration")
        local.helm(self.cluster, "upgrade", "m", self.namespace, values(environment), CLIENT_SIDE)
        wait_until("the controller has seen it", lambda: self.look().get("observedGeneration") != before, seconds=30)
        self.updated.clear()

    def wait(self, what: str, phase: str, *, aborted: bool = False, seconds: float = 180) -> float:
        """Waits until the Rollout is in a phase. Gives the time."""

        def so() -> bool:
            status = self.look()
            return bool(status.get("phase") == phase and status.get("abort", False) == aborted)

        wait_until(what, so, seconds=seconds, pause=0.5)
        return time.time()


@pytest.fixture(scope="module")
def installed(cluster: Cluster) -> Iterator[str]:
    """The controller, and a model of four replicas. Gives the namespace."""
    operators.install_rollouts(cluster)
    operators.install_prometheus(cluster, "5s")
    local.ensure_double(cluster)
    with cluster.namespace("rollouts") as namespace:
        local.helm(cluster, "install", "m", namespace, values({}), CLIENT_SIDE)
        Canary(cluster, namespace).wait("the model serves", "Healthy")
        operators.wait_for_series(cluster, f'vllm:num_requests_waiting{{namespace="{namespace}"}}')
        yield namespace


def load(canary: Canary) -> Traffic:
    """Steady load through the model's Service."""
    url = local.service_url(canary.cluster, "m", canary.namespace)
    return local.traffic(canary.cluster, url, "tiny", rate=RATE, tokens=4, answers="known", seed=3)


@pytest.fixture
def canary(cluster: Cluster, installed: str) -> Canary:
    """The good version with all of the pods."""
    found = Canary(cluster, installed)
    if found.look().get("phase") != "Healthy":
        local.helm(cluster, "upgrade", "m", installed, values({}), CLIENT_SIDE)
    found.wait("the good version has all of the pods", "Healthy")
    return found


def record(scenario: str, **figures: Any) -> None:
    names = {"Kubernetes": KUBERNETES_VERSION, **versions("argo-rollouts", "prometheus")}
    Record("rollouts", scenario, "double", figures, names, seed=3).write()


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_version_goes_back_by_itself_and_costs_its_share(canary: Canary, fault: str) -> None:
    stable = canary.behind("m-stable")
    with load(canary) as traffic:
        traffic.wait_for_requests(100)
        began = time.time()
        canary.upgrade(BAD[fault])
        bad = wait_until("a Service leads to the new version", lambda: canary.other(stable), seconds=60)
        back = canary.wait("the bad version is taken back", "Degraded", aborted=True)
        most = max(canary.updated)
        wait_until("no pod of it is left", lambda: not canary.pods(bad), seconds=90, pause=0.5)
        gone = time.time()
        traffic.wait_for_requests(len(traffic.requests) + 5 * RATE)
    report = traffic.report()
    lost = report.not_ok()
    record(
        f"a {fault} version, by Argo Rollouts", what="one pod of four, taken back by its analysis",
        requests=f"{len(report.of()):,}", lost=len(lost), took=f"{back - began:.0f} s",
        note="p95 of the first token and 5xx of the new pods, from Prometheus; windows 6 times shorter than by default",
    )  # fmt: skip
    assert most == 1
    assert canary.behind("m-stable") == stable
    assert [request for request in lost if request.started > gone] == [], report.summary()
    if fault == "failing":
        assert 1 <= len(lost) <= 0.25 * len(report.of()), report.summary()
    else:
        assert lost == [], report.summary()


def test_a_good_version_is_promoted_step_by_step_with_nothing_lost(canary: Canary) -> None:
    stable = canary.behind("m-stable")
    with load(canary) as traffic:
        traffic.wait_for_requests(100)
        began = time.time()
        canary.upgrade({"VLLM_LOGGING_LEVEL": "WARNING"})
        done = canary.wait("the new version has all of the pods", "Healthy", seconds=300)
        traffic.wait_for_requests(len(traffic.requests) + 5 * RATE)
    report = traffic.report()
    record(
        "a good version, by Argo Rollouts", what="1, 2, 4 pods of four", requests=f"{len(report.of()):,}",
        lost=len(report.not_ok()), took=f"{done - began:.0f} s", note="judged on the way by the same analysis",
    )  # fmt: skip
    assert [number for number in (1, 2, 4) if number in canary.updated] == [1, 2, 4]
    assert canary.behind("m-stable") not in {"", stable}
    assert report.not_ok() == [], report.summary()
