"""GPU instance types as Kubernetes nodes: the table ``node_pools.yaml``, and how its allocatable figures come about."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from scripts.console import UserError

TABLE = Path(__file__).with_name("node_pools.yaml")

USABLE_MEMORY = 0.97
"""Share of the advertised memory that the operating system sees. Nodes report 15.5 GiB for a g4dn.xlarge (16 GiB) and
1122 GiB for a p4d.24xlarge (1152 GiB)."""

EVICTION_MIB = 100
"""The kubelet's default hard eviction threshold, set by all three providers."""


@dataclass(frozen=True)
class Allocatable:
    """What pods may request on a node: millicores, MiB and their number."""

    cpu_millicores: int
    memory_mib: int
    pods: int


@dataclass(frozen=True)
class InstanceType:
    """One line of the table, with what its GPU and cloud add to it."""

    name: str
    cloud: str
    gpu: str
    gpus: int
    vcpu: int
    memory_gib: float
    allocatable: Allocatable
    product: str
    gpu_memory_mib: int
    gke_accelerator: str | None


def stepped_cpu(vcpu: int) -> float:
    """Millicores that EKS and GKE reserve: 6 % of the first core, 1 % of the second, 0.5 % of two more, then 0.25 %.

    Source: "Plan GKE Standard node sizes" in the GKE manual; the same table in the bootstrap script of the EKS AMI.
    """
    shares = [60.0, 10.0, 5.0, 5.0]
    return sum(shares[:vcpu]) + 2.5 * max(0, vcpu - len(shares))


def eks(vcpu: int, _memory_mib: float) -> tuple[float, float, int]:
    """EKS reserves 255 MiB and 11 MiB for each pod that may run; 110 pods below 30 cores, 250 above.

    Source: the bootstrap script of the EKS AMI; recommended pod limits of the EKS best practices guide.
    """
    pods = 110 if vcpu < 30 else 250
    return stepped_cpu(vcpu), 255 + 11 * pods, pods


def gke(vcpu: int, memory_mib: float) -> tuple[float, float, int]:
    """GKE reserves 25 % of the first 4 GiB, 20 % of the next 4, 10 % of the next 8, 6 % of the next 112, then 2 %.

    Source: "Plan GKE Standard node sizes" in the GKE manual.
    """
    reserved, rest = 0.0, memory_mib
    for size_gib, share in ((4, 0.25), (4, 0.20), (8, 0.10), (112, 0.06), (float("inf"), 0.02)):
        part = min(rest, size_gib * 1024)
        reserved += part * share
        rest -= part
    return stepped_cpu(vcpu), reserved, 110


def aks(vcpu: int, memory_mib: float) -> tuple[float, float, int]:
    """AKS reserves 20 MB a pod and 50 MB, at most a quarter; and 10 millicores a core above 8 cores (180 there).

    Source: "Resource reservations" in the AKS manual, for Kubernetes 1.29 and newer.
    """
    small = {1: 60.0, 2: 100.0, 4: 140.0}
    pods = 110
    return small.get(vcpu, 180 + 10 * (vcpu - 8)), min(20 * pods + 50, memory_mib / 4), pods


RESERVATIONS: dict[str, Callable[[int, float], tuple[float, float, int]]] = {"eks": eks, "gke": gke, "aks": aks}


def allocatable(cloud: str, vcpu: int, memory_gib: float) -> Allocatable:
    """What is left for pods on an instance with so many cores and so much advertised memory."""
    capacity_mib = memory_gib * 1024 * USABLE_MEMORY
    cpu, memory, pods = RESERVATIONS[cloud](vcpu, capacity_mib)
    return Allocatable(int(vcpu * 1000 - cpu), int(capacity_mib - memory - EVICTION_MIB), pods)


@cache
def table() -> dict[str, Any]:
    """The table as it is written."""
    content: dict[str, Any] = yaml.load(TABLE.read_text(), Loader=yaml.CSafeLoader)
    return content


@cache
def instance_types() -> dict[str, InstanceType]:
    """All instance types by name."""
    return {name: _instance_type(name, row) for name, row in table()["instances"].items()}


def _instance_type(name: str, row: dict[str, Any]) -> InstanceType:
    gpu, left = table()["gpus"][row["gpu"]], row["allocatable"]
    return InstanceType(
        name=name,
        cloud=row["cloud"],
        gpu=row["gpu"],
        gpus=row["gpus"],
        vcpu=row["vcpu"],
        memory_gib=row["memoryGiB"],
        allocatable=Allocatable(
            int(left["cpu"].removesuffix("m")), int(left["memory"].removesuffix("Mi")), row["pods"]
        ),
        product=gpu["product"],
        gpu_memory_mib=gpu["gpuMemoryMiB"],
        gke_accelerator=gpu.get("gkeAccelerator"),
    )


def instance_type(name: str) -> InstanceType:
    """One instance type.

    Raises:
        UserError: the table does not have it.
    """
    known = instance_types()
    if name not in known:
        raise UserError(f"there is no instance type {name} in {TABLE.name}", fix=f"one of: {', '.join(known)}")
    return known[name]


def node_labels(instance: InstanceType, *, pool: str, zone: str, capacity: str) -> dict[str, str]:
    """Labels that a node of that type carries: Kubernetes' own, the cloud's, and those of GPU feature discovery."""
    cloud = table()["clouds"][instance.cloud]
    labels = {
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": instance.name,
        "topology.kubernetes.io/region": cloud["region"],
        "topology.kubernetes.io/zone": zone,
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": instance.product,
        "nvidia.com/gpu.count": str(instance.gpus),
        "nvidia.com/gpu.memory": str(instance.gpu_memory_mib),
        **cloud["capacity"][capacity],
    }
    if instance.cloud == "eks":
        labels["eks.amazonaws.com/nodegroup"] = pool
    elif instance.cloud == "gke":
        labels |= {"cloud.google.com/gke-nodepool": pool, "cloud.google.com/gke-accelerator-count": str(instance.gpus)}
        if instance.gke_accelerator:
            labels["cloud.google.com/gke-accelerator"] = instance.gke_accelerator
    else:
        labels |= {"kubernetes.azure.com/agentpool": pool, "kubernetes.azure.com/accelerator": "nvidia"}
        labels["accelerator"] = "nvidia"
    return labels


def node_taints(instance: InstanceType, *, capacity: str) -> list[dict[str, str]]:
    """Taints that keep pods without GPUs off such a node, and pods that must not be reclaimed off a spot node."""
    cloud = table()["clouds"][instance.cloud]
    spot = [cloud["spotTaint"]] if capacity == "spot" else []
    return [cloud["taint"], *spot]
