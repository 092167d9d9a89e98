"""Karpenter, with its provider for simulated nodes, buys for a model from the NodePools of infra/, starting at zero."""

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from scripts import tools
from scripts.cluster import Cluster, wait_until
from scripts.cluster.kwok import LABELS
from scripts.kubernetes_modules import crd_files
from scripts.kubernetes_yaml import load_all
from scripts.node_pools import instance_types, table
from scripts.paths import REPO, VALUES
from scripts.ports import free_port
from scripts.render import render, serving_pod
from tests.cluster.argocd import process

BUDGET_SECONDS = 240
pytestmark = pytest.mark.long

KARPENTER = REPO / "infra" / "eks" / "karpenter"
L4 = VALUES / "models" / "llama-3.1-8b-instruct-l4.yaml"
CLASS = {"group": "karpenter.kwok.sh", "kind": "KWOKNodeClass", "name": "gpu"}


def offerings(price: float) -> list[dict[str, Any]]:
    """A type in every zone, on demand and as spot at a third of the price."""
    return [
        {
            "Price": price if capacity == "on-demand" else price / 3,
            "Available": True,
            "Requirements": [
                {"key": "karpenter.sh/capacity-type", "operator": "In", "values": [capacity]},
                {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]},
            ],
        }
        for zone in table()["clouds"]["eks"]["zones"]
        for capacity in ("on-demand", "spot")
    ]


def catalogue() -> list[dict[str, Any]]:
    """The EKS types of the table as the provider reads them, with what is really allocatable. Larger ones cost more."""
    return [
        {
            "name": kind.name,
            "architecture": "amd64",
            "operatingSystems": ["linux"],
            "offerings": offerings(price=0.1 * kind.vcpu + kind.gpus),
            "resources": {
                "cpu": f"{kind.allocatable.cpu_millicores}m",
                "memory": f"{kind.allocatable.memory_mib}Mi",
                "ephemeral-storage": "200Gi",
                "pods": str(kind.allocatable.pods),
                "nvidia.com/gpu": str(kind.gpus),
            },
        }
        for kind in instance_types().values()
        if kind.cloud == "eks"
    ]


def pools() -> list[dict[str, Any]]:
    """The NodePools of infra/ with the simulated provider's class, and nodes that go soon after they are empty."""
    found = []
    for path in sorted(KARPENTER.glob("nodepool-*.yaml")):
        [pool] = load_all(path.read_text(encoding="utf-8"))
        pool["spec"]["template"]["spec"]["nodeClassRef"] = CLASS
        pool["spec"]["template"]["metadata"]["labels"] |= LABELS  # the cluster's kwok keeps such nodes alive
        pool["spec"]["disruption"]["consolidateAfter"] = "1s"
        found.append(pool)
    return found


@pytest.fixture(scope="module")
def definitions(cluster: Cluster) -> Cluster:
    """A cluster that knows Karpenter's kinds, those of AWS and of simulated nodes."""
    for module in ("karpenter-aws", "karpenter"):
        for path in crd_files(module):
            cluster.apply(path)
    names = [f"crd/{name}" for name in ("nodepools.karpenter.sh", "nodeclaims.karpenter.sh")]
    cluster.wait("--for=condition=Established", *names, "crd/kwoknodeclasses.karpenter.kwok.sh")
    return cluster


@pytest.fixture(scope="module")
def karpenter(definitions: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Karpenter beside the cluster, and its pools. No GPU node is there."""
    cluster, folder = definitions, tmp_path_factory.mktemp("karpenter")
    kwok_class = {"apiVersion": "karpenter.kwok.sh/v1alpha1", "kind": "KWOKNodeClass", "metadata": {"name": "gpu"}}
    cluster.apply([kwok_class, *pools()])
    types = folder / "types.json"
    types.write_text(json.dumps(catalogue()), encoding="utf-8")
    command = [
        *(str(tools.ensure("karpenter")), "--disable-leader-election", "--batch-idle-duration=200ms"),
        *(f"--metrics-port={free_port()}", f"--health-probe-port={free_port()}"),
        f"--instance-types-file-path={types}",
    ]
    environment = os.environ | {"KUBECONFIG": str(cluster.kubeconfig), "SYSTEM_NAMESPACE": "kube-system"}
    with process("karpenter", command, environment, folder):
        try:
            yield cluster
        finally:
            cluster.kubectl("delete", "nodepools", "--all", "--wait=true", "--timeout=60s", check=False)


def pods(values: dict[str, Any], namespace: str, count: int = 1) -> list[dict[str, Any]]:
    """Pods with the spec that the chart renders for a model. On simulated nodes nothing in them is run."""
    made = render("vllm-model", [L4, values], release="llama", namespace=namespace)
    [spec] = [spec for body in made.objects if (spec := serving_pod(body)) is not None]
    spec = json.loads(json.dumps(spec))
    spec["serviceAccountName"] = "default"
    spec.pop("topologySpreadConstraints", None)
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"llama-{number}", "namespace": namespace},
            "spec": spec,
        }
        for number in range(count)
    ]


def node_of(cluster: Cluster, namespace: str, name: str = "llama-0") -> dict[str, Any]:
    """The node that a pod was bought, once it runs there."""

    def where() -> str:
        return str(cluster.get("pod", name, "--namespace", namespace)["spec"].get("nodeName", ""))

    try:
        found = wait_until(f"{name} has a node", where, seconds=60)
    except Exception as error:
        error.add_note(cluster.kubectl("get", "events", "--namespace", namespace, "--output=wide"))
        raise
    node: dict[str, Any] = cluster.get("node", found)
    return node


def labels(node: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = node["metadata"]["labels"]
    return found


def test_the_objects_of_infra_are_accepted_by_the_api_server(definitions: Cluster) -> None:
    """Before the pools are made for simulated nodes: a pool's class cannot be changed."""
    text = subprocess.run(
        [str(tools.ensure("kustomize")), "build", str(KARPENTER)], capture_output=True, text=True, check=True
    ).stdout
    said = definitions.kubectl("apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-", stdin=text)
    assert said.count("serverside-applied") == len(list(KARPENTER.glob("nodepool-*.yaml"))) + 1


def test_a_model_is_bought_the_smallest_node_of_its_pool(karpenter: Cluster, namespace: str) -> None:
    karpenter.apply(pods({}, namespace))
    node = node_of(karpenter, namespace)
    assert labels(node)["karpenter.sh/nodepool"] == "gpu-l4"
    assert labels(node)["node.kubernetes.io/instance-type"] == "g6.2xlarge"
    assert labels(node)["nvidia.com/gpu.product"] == "NVIDIA-L4"
    assert labels(node)["karpenter.sh/capacity-type"] == "on-demand"


def test_a_model_that_accepts_spot_is_bought_a_spot_node(karpenter: Cluster, namespace: str) -> None:
    karpenter.apply(pods({"spot": {"enabled": True}}, namespace))
    node = node_of(karpenter, namespace)
    assert labels(node)["karpenter.sh/nodepool"] == "gpu-l4-spot"
    assert labels(node)["karpenter.sh/capacity-type"] == "spot"


def test_each_replica_gets_a_gpu_of_its_own(karpenter: Cluster, namespace: str) -> None:
    karpenter.apply(pods({}, namespace, count=2))
    found = {node_of(karpenter, namespace, f"llama-{number}")["metadata"]["name"] for number in range(2)}
    assert len(found) == 2


def test_a_model_whose_gpu_no_pool_has_is_bought_nothing(karpenter: Cluster, namespace: str) -> None:
    karpenter.apply(pods({"gpu": {"nodeLabels": {"nvidia.com/gpu.product": ["NVIDIA-B200"]}}}, namespace))

    def refused() -> bool:
        events = karpenter.kubectl("get", "events", "--namespace", namespace, "--output=json")
        return "FailedScheduling" in events and "karpenter" in events

    wait_until("Karpenter says that it cannot help", refused, seconds=60)
    assert not karpenter.get("pod", "llama-0", "--namespace", namespace)["spec"].get("nodeName")


def test_an_empty_node_goes_and_the_pool_is_at_zero_again(karpenter: Cluster, namespace: str) -> None:
    karpenter.apply(pods({}, namespace))
    name = node_of(karpenter, namespace)["metadata"]["name"]
    # A model protects itself against being moved, but not against its own end.
    karpenter.kubectl("delete", "pod", "llama-0", "--namespace", namespace, "--grace-period=0", "--force")
    wait_until(
        "the node is gone",
        lambda: not karpenter.kubectl("get", "node", name, "--ignore-not-found"),
        seconds=180,  # one node at a time goes, and those of the tests before this one too
    )


def test_types_of_the_table_are_found_by_their_pools() -> None:
    named = {name for pool in pools() for name in pool_types(pool)}
    assert named <= {entry["name"] for entry in catalogue()}


def pool_types(pool: dict[str, Any]) -> list[str]:
    requirements = pool["spec"]["template"]["spec"]["requirements"]
    [found] = [entry["values"] for entry in requirements if entry["key"] == "node.kubernetes.io/instance-type"]
    values: list[str] = found
    return values
