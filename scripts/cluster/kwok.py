"""Simulated nodes (kwok): real objects with the capacity, labels and taints of rented machines, and no machine behind.

Pods on them become Running at once and do nothing. So that none lands there by accident, each simulated node carries a
taint of its own beside those of the cloud; a test that wants its pods there adds ``TOLERATION``.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from scripts.cluster.processes import wait_until
from scripts.node_pools import InstanceType, instance_type, node_labels, node_taints, table

if TYPE_CHECKING:
    from scripts.cluster.kubernetes import Kubernetes

LABELS = {"type": "kwok"}
TAINT = {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}
TOLERATION = {"key": "kwok.x-k8s.io/node", "operator": "Exists", "effect": "NoSchedule"}
POOL_LABEL = "vllm-charts/pool"


class KwokPools:
    """Adds and removes pools of simulated nodes.

    Args:
        cluster: where the nodes are registered; a kwok controller must run there.
    """

    def __init__(self, cluster: "Kubernetes") -> None:
        self.cluster = cluster

    def add(
        self,
        instance: str,
        count: int = 1,
        *,
        pool: str = "",
        zones: Sequence[str] | None = None,
        capacity: str = "on-demand",
        taint: bool = True,
        labels: dict[str, str] | None = None,
    ) -> list[str]:
        """Registers nodes and waits until they are ready.

        Args:
            instance: instance type of ``node_pools.yaml``.
            pool: name of the pool; by default the instance type's, with ``-spot`` where it applies.
            zones: nodes are spread over them in turn; by default the zones of the cloud.
            capacity: ``on-demand`` or ``spot``.
            taint: whether the nodes carry the cloud's GPU taint.
            labels: further labels.

        Returns:
            the names of the nodes.
        """
        kind = instance_type(instance)
        pool = pool or pool_name(instance, capacity)
        places = list(zones or table()["clouds"][kind.cloud]["zones"])
        taints = [TAINT, *(node_taints(kind, capacity=capacity) if taint else [])]
        nodes = []
        for number in range(count):
            known = node_labels(kind, pool=pool, zone=places[number % len(places)], capacity=capacity)
            nodes.append(node(f"{pool}-{number}", kind, pool, known | (labels or {}), taints))
        self.cluster.apply(nodes)
        names = [item["metadata"]["name"] for item in nodes]
        wait_until(f"the simulated nodes of {pool} are ready", lambda: self._are_ready(pool, count), seconds=60)
        return names

    def _are_ready(self, pool: str, count: int) -> bool:
        items = self.cluster.get("nodes", f"--selector={POOL_LABEL}={pool}")
        return sum(map(takes_pods, items)) >= count

    def remove(self, pool: str) -> None:
        """Removes the nodes of a pool; their pods go with them."""
        self.cluster.kubectl("delete", "nodes", f"--selector={POOL_LABEL}={pool}", "--wait=true")

    def clear(self) -> None:
        """Removes all simulated nodes."""
        self.cluster.kubectl("delete", "nodes", "--selector=type=kwok", "--wait=true")


def pool_name(instance: str, capacity: str) -> str:
    """The default name of a pool: the instance type as Kubernetes allows it in a name."""
    name = instance.lower().replace(".", "-").replace("_", "-")
    return f"{name}-spot" if capacity == "spot" else name


def node(
    name: str, kind: InstanceType, pool: str, labels: dict[str, str], taints: list[dict[str, str]]
) -> dict[str, Any]:
    """A Node object of an instance type."""
    left = kind.allocatable
    capacity = {"cpu": str(kind.vcpu), "memory": f"{int(kind.memory_gib * 1024)}Mi"}
    allocatable = {"cpu": f"{left.cpu_millicores}m", "memory": f"{left.memory_mib}Mi"}
    both = {"nvidia.com/gpu": str(kind.gpus), "pods": str(left.pods), "ephemeral-storage": "200Gi"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": LABELS | {POOL_LABEL: pool, "kubernetes.io/hostname": name} | labels,
            "annotations": {"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
        },
        "spec": {"taints": taints, "providerID": f"kwok://{name}"},
        "status": {"capacity": capacity | both, "allocatable": allocatable | both},
    }


def takes_pods(item: dict[str, Any]) -> bool:
    """Whether a node is ready, and the control plane has taken away the taint that it gives to a new one."""
    conditions = item["status"].get("conditions", [])
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    taints = item["spec"].get("taints", [])
    return ready and not any(taint["key"] == "node.kubernetes.io/not-ready" for taint in taints)
