"""A model on the double that KEDA scales on what a Prometheus says, for the scenarios of scaling."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes.utils import parse_quantity

from scripts.bench import local, operators
from scripts.bench.proof import Record
from scripts.cluster import Cluster, wait_until
from scripts.kubernetes_modules import KUBERNETES_VERSION
from scripts.render import render
from tests.cluster.scenario import versions

SCRAPE = 15
POLLING = 15
SLOTS = 8
"""Requests that one replica of the double runs at once (--max-num-seqs)."""

THRESHOLD = 5
"""Waiting requests a replica, the chart's default."""

MAXIMUM = 4
BASE: dict[str, Any] = {
    "engine": {"flags": {"maxNumSeqs": SLOTS}},
    "shutdown": {"endpointSeconds": 5, "drainSeconds": 20},
    "autoscaling": {
        "type": "keda",
        "preset": "responsive",
        "minReplicas": 1,
        "maxReplicas": MAXIMUM,
        "prometheus": {"serverAddress": operators.PROMETHEUS},
    },
}
QUICK_DOWN = {
    "autoscaling": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 4 * SCRAPE, "periodSeconds": 15}}}
}
"""The defaults (600 s, one pod in 300 s), shorter. A window of two scrapes would be too little: the surge of an update
empties the queue for one, and a Prometheus that comes back with nothing stored has seen some pods before others."""


def values(*more: dict[str, Any]) -> dict[str, Any]:
    """Values of the model, the last ones over the others."""
    return local.overlay(local.DOUBLE, BASE, *more)


def prepare(cluster: Cluster, rules: Sequence[dict[str, Any]] = ()) -> None:
    """KEDA, a Prometheus that scrapes as often as a PodMonitor of the chart does, and the double."""
    operators.install_keda(cluster)
    operators.install_prometheus(cluster, f"{SCRAPE}s", rules)
    local.ensure_double(cluster)


def install(cluster: Cluster, namespace: str, *more: dict[str, Any], release: str = "m") -> str:
    """A model that KEDA scales, seen by Prometheus and ready. Gives the URL of its Service."""
    local.helm(cluster, "install", release, namespace, values(*more))
    wait_until("KEDA has taken the ScaledObject", lambda: ready(cluster, namespace, release), seconds=60, pause=0.5)
    cluster.kubectl("rollout", "status", f"deployment/{release}", "-n", namespace, "--timeout=60s")
    operators.wait_for_series(cluster, f'vllm:num_requests_waiting{{namespace="{namespace}",pod=~"{release}-.*"}}')
    return local.service_url(cluster, release, namespace)


def ready(cluster: Cluster, namespace: str, release: str) -> bool:
    """Whether KEDA says that the ScaledObject is set up."""
    status = cluster.get("scaledobject", release, "--namespace", namespace).get("status", {})
    return any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", []))


@dataclass(frozen=True)
class World:
    """One model that KEDA scales, for tests that wait for one replica or say how many they want."""

    cluster: Cluster
    namespace: str
    url: str
    name: str = "m"

    def replicas(self, count: int) -> None:
        """Brings the model to a number of replicas that the load, which must run already, then keeps.

        The HPA is held there until Prometheus has seen the load on all of them: on what it saw before, of fewer
        replicas or no load, it would add or take away some. And until the HPA itself has heard of it, so that what it
        recommends from then on stands in its window.
        """
        self.bound(count, count)
        words = ("scale", f"deployment/{self.name}", f"--replicas={count}", "--namespace", self.namespace)
        self.cluster.kubectl(*words)
        self.cluster.kubectl("rollout", "status", f"deployment/{self.name}", "-n", self.namespace, "--timeout=60s")
        series = f'vllm:num_requests_waiting{{namespace="{self.namespace}",pod=~"{self.name}-.*"}}'
        wanted = f"count({series}) == {count} and ceil(sum({series}) / {THRESHOLD}) == {count}"
        operators.wait_for_series(self.cluster, wanted, seconds=90)
        wait_until(f"the HPA recommends {count}", lambda: self.recommended() == [count], seconds=60)
        self.bound(1)

    def recommended(self) -> list[int]:
        """What the HPA's last look at its metrics comes to, without its bounds and its window."""
        status = self.cluster.get("hpa", f"keda-hpa-{self.name}", "--namespace", self.namespace)["status"]
        seen = [
            each["external"]["current"] for each in status.get("currentMetrics") or [] if each["type"] == "External"
        ]
        totals = [parse_quantity(each["averageValue"]) * status["currentReplicas"] for each in seen]
        return [math.ceil(total / THRESHOLD) for total in totals]

    def bound(self, least: int, most: int = MAXIMUM) -> None:
        """Sets the least and the greatest number of replicas, and waits until the HPA has them from KEDA."""
        self.patch(minReplicaCount=least, maxReplicaCount=most)
        hpa = ("hpa", f"keda-hpa-{self.name}", "--namespace", self.namespace)

        def told() -> bool:
            spec = self.cluster.get(*hpa)["spec"]
            return bool((spec["minReplicas"], spec["maxReplicas"]) == (least, most))

        wait_until("KEDA has told the HPA", told, seconds=30)

    def settled(self) -> None:
        """Waits until one replica is wanted and no more are there."""
        wait_until("one replica is left", lambda: self.count() == (1, 1), seconds=200, pause=0.5)

    def count(self) -> tuple[int, int]:
        """Wanted replicas, and all that there are."""
        found = self.cluster.get("deployment", self.name, "--namespace", self.namespace)
        return found["spec"]["replicas"], found["status"].get("replicas", 0)

    def patch(self, **spec: Any) -> None:
        """Changes the ScaledObject in place."""
        change = local.as_json({"spec": spec})
        words = ("patch", "scaledobject", self.name, "--namespace", self.namespace, "--type=merge", f"--patch={change}")
        self.cluster.kubectl(*words)


def waiting(clients: int) -> dict[str, Any]:
    """Load of so many clients, each with one request of 4 s after another."""
    return {"clients": clients, "tokens": 40, "answers": "known", "stream_share": 1}


def record(scenario: str, **figures: Any) -> None:
    """Keeps the figures of a scenario for docs/proof.md."""
    names = {"Kubernetes": KUBERNETES_VERSION, **versions("keda-operator", "prometheus")}
    log = figures.pop("log", "")
    Record("scaling", scenario, "double", figures, names, log, seed=1).write()


class Away:
    """A Deployment has no pod inside the context.

    Args:
        namespace, name: of the Deployment.
    """

    def __init__(self, cluster: Cluster, namespace: str, name: str) -> None:
        self.cluster, self.namespace, self.name = cluster, namespace, name

    def scale(self, replicas: int) -> None:
        words = ("scale", f"deployment/{self.name}", f"--replicas={replicas}", "--namespace", self.namespace)
        self.cluster.kubectl(*words)

    def __enter__(self) -> None:
        self.scale(0)

    def __exit__(self, *_: object) -> None:
        self.scale(1)
        operators.rolled_out(self.cluster, self.namespace, self.name, seconds=90)


def prometheus_away(cluster: Cluster) -> Away:
    """Prometheus has no pod inside the context."""
    return Away(cluster, operators.MONITORING, "prometheus")


def alerts(namespace: str, release: str, *more: dict[str, Any], seconds: int = 10) -> list[dict[str, Any]]:
    """The chart's own alerts of a model, as groups of rules. Each fires after ``seconds``: minutes by default."""
    names = ("scalerAtMaximum", "podsPending", "engineStuck")
    soon = {"monitoring": {"rules": {"enabled": True, "alerts": {name: {"for": f"{seconds}s"} for name in names}}}}
    made = render("vllm-model", [values(*more, soon)], release=release, namespace=namespace)
    groups: list[dict[str, Any]] = made.one("PrometheusRule")["spec"]["groups"]
    return groups


def fires(cluster: Cluster, alert: str, namespace: str, seconds: float = 120) -> float:
    """Waits until an alert fires, and gives the seconds that it took."""
    began = time.time()
    operators.wait_for_series(
        cluster, f'ALERTS{{alertname="{alert}",namespace="{namespace}",alertstate="firing"}}', seconds
    )
    return time.time() - began
