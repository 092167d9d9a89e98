"""NetworkPolicies of model and gateway, held by a real enforcer: who reaches an engine, and what an engine reaches.

Every connection is tried before the enforcer starts, when all of them come about, so that one that does not afterwards
is the work of a policy.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from scripts.bench import double, gateway, local, operators
from scripts.cluster import Cluster, wait_until
from scripts.cluster.images import PYTHON_IMAGE
from scripts.cluster.settings import API_PORT, DNS_SERVICE_IP
from tests.cluster.enforcer import HUB, METADATA, PRIVATE, enforced, outside_world, reaches

BUDGET_SECONDS = 240
pytestmark = pytest.mark.long

TEST_POD = {
    "app.kubernetes.io/name": "vllm-model",
    "app.kubernetes.io/instance": "m",
    "vllm-model/name": "m",
    "vllm-model/role": "test",
}
"""Labels of the pod that `helm test` makes."""

QUICK = {"shutdown": {"endpointSeconds": 0, "drainSeconds": 1}}
FETCHES = {"model": {"servedNames": ["fetching"]}, "weights": {"source": "huggingface"}}
DEMAND, METRICS = 8404, 8405


@dataclass
class World:
    """The pods that call and are called, by what they stand for: namespace and name of each."""

    cluster: Cluster
    namespace: str
    pods: dict[str, tuple[str, str]]

    def address(self, target: str) -> str:
        """The address of a pod or of something outside."""
        fixed = {"hub": HUB, "private": PRIVATE, "metadata": METADATA, "API server": self.cluster.settings.node_ip,
                 "DNS": DNS_SERVICE_IP}  # fmt: skip
        if target in fixed:
            return fixed[target]
        namespace, name = self.pods[target]
        return str(self.cluster.get("pod", name, "--namespace", namespace)["status"]["podIP"])

    def reaches(self, source: str, target: str, port: int) -> bool:
        return reaches(self.cluster, self.pods[source], self.address(target), port)


CONNECTIONS = [
    # from, to, port, whether the policies let it through
    ("gateway", "engine", 8000, True),
    ("prometheus", "engine", 8000, True),
    ("test", "engine", 8000, True),
    ("chat", "engine", 8000, True),
    ("neighbour", "engine", 8000, False),
    ("stranger", "engine", 8000, False),
    ("keda", "engine", 8000, False),
    ("stranger", "gateway", 8080, True),
    ("keda", "gateway", DEMAND, True),
    ("prometheus", "gateway", METRICS, True),
    ("stranger", "gateway", DEMAND, False),
    ("stranger", "gateway", METRICS, False),
    ("engine", "DNS", 53, True),
    ("engine", "hub", 443, False),
    ("engine", "neighbour", 8000, False),
    ("engine", "stranger", 8000, False),
    ("engine", "fetching engine", 8000, False),
    ("engine", "API server", API_PORT, False),
    ("engine", "metadata", 80, False),
    ("fetching engine", "hub", 443, True),
    ("fetching engine", "hub", 80, False),
    ("fetching engine", "private", 443, False),
    ("fetching engine", "metadata", 80, False),
    ("fetching engine", "API server", API_PORT, False),
    ("gateway", "DNS", 53, True),
    ("gateway", "hub", 443, False),
    ("gateway", "stranger", 8000, False),
    ("test", "DNS", 53, True),
    ("test", "neighbour", 8000, False),
    ("test", "hub", 443, False),
    ("stranger", "neighbour", 8000, True),
]


def client(name: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    """A pod that can be called and from whose network calls are made."""
    container = {"name": "server", "image": double.REFERENCE, "args": ["tiny"], "ports": [{"containerPort": 8000}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def place(cluster: Cluster, namespace: str, name: str, labels: dict[str, str] | None = None) -> tuple[str, str]:
    """Makes such a pod and waits until it runs."""
    cluster.apply([client(name, labels)], "--namespace", namespace)
    cluster.wait("--for=condition=Ready", f"pod/{name}", "--namespace", namespace)
    return namespace, name


def the_pod(cluster: Cluster, namespace: str, selector: str) -> tuple[str, str]:
    """The one pod that labels select."""
    (pod,) = cluster.get("pods", "--namespace", namespace, "--selector", selector)
    return namespace, pod["metadata"]["name"]


def values(chat: str) -> dict[str, Any]:
    """An umbrella with a model whose weights are there and one that fetches them, every policy on."""
    repository, _, tag = PYTHON_IMAGE.rpartition(":")
    own = {
        "networkPolicy": {"enabled": True, "ingress": {"namespaces": [chat]}},
        "test": {"image": {"repository": repository, "tag": tag}},
    }
    model = local.overlay(local.DOUBLE, QUICK, own)
    return {
        "models": {"m": model, "fetching": local.overlay(model, FETCHES)},
        "gateway": {"networkPolicy": {"enabled": True}, "replicas": 1},
    }


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Iterator[World]:
    """Engines, gateway and Prometheus, and pods that stand for their callers."""
    local.ensure_double(cluster)
    gateway.ensure_image(cluster)
    operators.install_prometheus(cluster)
    if not cluster.kubectl("get", "namespace", "keda", "--ignore-not-found"):
        cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "keda"}}])
    with (
        cluster.namespace("policy") as namespace,
        cluster.namespace("chat") as chat,
        cluster.namespace("other") as other,
    ):
        gateway.apply(cluster, "install", namespace, values(chat), "--wait", "--timeout", "3m")
        pods = {
            "engine": the_pod(cluster, namespace, "vllm-model/name=m,vllm-model/role=server"),
            "fetching engine": the_pod(cluster, namespace, "vllm-model/name=fetching,vllm-model/role=server"),
            "gateway": the_pod(cluster, namespace, "app.kubernetes.io/component=gateway"),
            "prometheus": the_pod(cluster, operators.MONITORING, "app=prometheus"),
            "test": place(cluster, namespace, "test", TEST_POD),
            "neighbour": place(cluster, namespace, "neighbour"),
            "chat": place(cluster, chat, "chat"),
            "stranger": place(cluster, other, "stranger"),
            "keda": place(cluster, "keda", "policy-probe"),
        }
        with outside_world(cluster):
            yield World(cluster, namespace, pods)
        cluster.kubectl("delete", "pod", "policy-probe", "--namespace", "keda", "--wait=false")


@pytest.fixture(scope="module")
def before(world: World) -> dict[tuple[str, str, int], bool]:
    """Which connections come about while nothing enforces."""
    return {(a, b, port): world.reaches(a, b, port) for a, b, port, _ in CONNECTIONS}


@pytest.fixture(scope="module")
def enforcing(world: World, before: dict[tuple[str, str, int], bool]) -> Iterator[World]:
    """The world once the enforcer has read every policy."""
    assert before["stranger", "engine", 8000]
    with enforced(world.cluster):
        wait_until("the policies hold", lambda: not world.reaches("stranger", "engine", 8000), seconds=60)
        yield world


def test_without_an_enforcer_every_connection_comes_about(before: dict[tuple[str, str, int], bool]) -> None:
    assert [connection for connection, came_about in before.items() if not came_about] == []


@pytest.mark.parametrize(
    ("source", "target", "port", "allowed"),
    CONNECTIONS,
    ids=[f"{a} to {b} {port} {'passes' if allowed else 'is blocked'}" for a, b, port, allowed in CONNECTIONS],
)
def test_the_enforcer_lets_through_what_the_policies_name(
    enforcing: World, source: str, target: str, port: int, allowed: bool
) -> None:
    assert enforcing.reaches(source, target, port) == allowed


def test_a_client_is_answered_through_the_gateway_behind_every_policy(enforcing: World) -> None:
    url = gateway.url(enforcing.cluster, enforcing.namespace)
    with local.traffic(enforcing.cluster, url, "tiny", rate=5, tokens=2, answers="known") as traffic:
        traffic.wait_for_requests(20)
    assert traffic.report().not_ok() == [], traffic.report().summary()


def test_prometheus_scrapes_an_engine_behind_its_policy(enforcing: World) -> None:
    _, pod = enforcing.pods["engine"]
    query = f'count_over_time((up{{pod="{pod}"}} == 1)[10s:1s])'
    wait_until(
        "Prometheus has scraped for 10 s", lambda: operators.query(enforcing.cluster, query)[0]["value"][1] == "10",
        seconds=60,
    )  # fmt: skip


def test_helm_test_passes_behind_every_policy(enforcing: World) -> None:
    said = enforcing.cluster.helm("test", "llm", "--namespace", enforcing.namespace, "--timeout", "3m")
    assert "Phase:          Succeeded" in said


def test_the_probes_of_the_kubelet_pass(enforcing: World) -> None:
    namespace, name = enforcing.pods["engine"]
    pod = enforcing.cluster.get("pod", name, "--namespace", namespace)
    (ready,) = [each for each in pod["status"]["conditions"] if each["type"] == "Ready"]
    assert ready["status"] == "True"
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
