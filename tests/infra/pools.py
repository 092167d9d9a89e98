"""The pool table, and what each pool must look like in a cloud, whatever tool makes it."""

from dataclasses import dataclass
from typing import Any

from scripts.kubernetes_yaml import load
from scripts.node_pools import instance_types, table
from scripts.paths import REPO

INFRA = REPO / "infra"

POOLS: dict[str, dict[str, Any]] = load((INFRA / "pools.yaml").read_text(encoding="utf-8"))["pools"]
CLOUDS = ("eks", "gke", "aks")


@dataclass(frozen=True)
class Pool:
    """What a node autoscaler and the scheduler must be able to read from a pool.

    Attributes:
        types: instance types, the preferred one first.
        labels: labels that the pool sets before the first node exists.
        taints: each as ``key=value:effect``, the GPU's first, that of spot second.
        spot: whether its nodes may be reclaimed.
        most: nodes at most.
        gpus: GPUs of one node.
    """

    types: list[str]
    labels: dict[str, str]
    taints: list[str]
    spot: bool
    most: int
    gpus: int


def written(taint: dict[str, str]) -> str:
    """A taint as ``key=value:effect``."""
    return f"{taint['key']}={taint['value']}:{taint['effect']}"


def pool(name: str, cloud: str) -> Pool:
    """A pool of the table in one cloud."""
    row = POOLS[name]
    spot = row["capacity"] == "spot"
    taints = [table()["clouds"][cloud][kind] for kind in ("taint", *(["spotTaint"] if spot else []))]
    return Pool(
        types=row[cloud],
        labels={
            "node-type": "gpu",
            "nvidia.com/gpu.present": "true",
            "nvidia.com/gpu.product": table()["gpus"][row["gpu"]]["product"],
        },
        taints=[written(taint) for taint in taints],
        spot=spot,
        most=row["max"],
        gpus=instance_types()[row[cloud][0]].gpus,
    )


def pools_of(cloud: str) -> list[str]:
    """Names of the pools that a cloud can have."""
    return [name for name, row in POOLS.items() if cloud in row]
