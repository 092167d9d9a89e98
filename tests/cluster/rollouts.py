"""A model under Argo Rollouts: what the tests of its canaries share, whether weights are pods or a traffic router's."""

import time
from dataclasses import dataclass, field
from typing import Any

from scripts.bench import local, operators
from scripts.bench.proof import Record
from scripts.cluster import Cluster, wait_until
from scripts.kubernetes_modules import KUBERNETES_VERSION
from tests.cluster.scenario import versions

CLIENT_SIDE = "--server-side=false"
"""The controller writes to what the release has made (the pod template, the selectors of the two Services), and to the
server-side apply of Helm 4 that is a conflict."""

FAST = {"DOUBLE_TOKENS_PER_SECOND": "100"}


def values(steps: list[dict[str, Any]], **canary: Any) -> dict[str, Any]:
    """A model whose new versions are judged by Prometheus in windows of 20 seconds."""
    analysis = {
        "enabled": True,
        "timeToFirstTokenSeconds": 1,
        "errorPercent": 5,
        "windowSeconds": 20,
        "intervalSeconds": 5,
    }
    own = {
        "shutdown": {"endpointSeconds": 5, "drainSeconds": 20},
        "autoscaling": {"prometheus": {"serverAddress": operators.PROMETHEUS}},
        "workload": {"kind": "Rollout", "canary": {"steps": steps, **canary}, "analysis": analysis},
        "engine": {"env": FAST},
    }
    return local.overlay(local.DOUBLE, own)


@dataclass
class Canary:
    """A release named m: the Rollout as it is, and how many pods of the new version it has had."""

    cluster: Cluster
    namespace: str
    values: dict[str, Any]
    updated: list[int] = field(default_factory=list)

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
        """Brings another version: one with these variables beside the good one's."""
        before = self.look().get("observedGeneration")
        changed = local.overlay(self.values, {"engine": {"env": environment}})
        local.helm(self.cluster, "upgrade", "m", self.namespace, changed, CLIENT_SIDE)
        wait_until("the controller has seen it", lambda: self.look().get("observedGeneration") != before, seconds=30)
        self.updated.clear()

    def wait(self, what: str, phase: str, *, aborted: bool = False, seconds: float = 180) -> float:
        """Waits until the Rollout is in a phase. Gives the time."""

        def so() -> bool:
            status = self.look()
            return bool(status.get("phase") == phase and status.get("abort", False) == aborted)

        wait_until(what, so, seconds=seconds, pause=0.5)
        return time.time()

    def settle(self) -> None:
        """Gives the good version all of the pods."""
        if self.look().get("phase") != "Healthy":
            local.helm(self.cluster, "upgrade", "m", self.namespace, self.values, CLIENT_SIDE)
        self.wait("the good version has all of the pods", "Healthy")


def installed(cluster: Cluster, namespace: str, values: dict[str, Any]) -> Canary:
    """The controller, Prometheus, and a model that serves."""
    operators.install_rollouts(cluster)
    operators.install_prometheus(cluster, "5s")
    local.ensure_double(cluster)
    local.helm(cluster, "install", "m", namespace, values, CLIENT_SIDE)
    canary = Canary(cluster, namespace, values)
    canary.wait("the model serves", "Healthy")
    operators.wait_for_series(cluster, f'vllm:num_requests_waiting{{namespace="{namespace}"}}')
    return canary


def record(scenario: str, *programs: str, **figures: Any) -> None:
    """Keeps what a canary came to; programs are the further ones whose versions matter."""
    names = {"Kubernetes": KUBERNETES_VERSION, **versions("argo-rollouts", "prometheus", *programs)}
    Record("rollouts", scenario, "double", figures, names, seed=3).write()
