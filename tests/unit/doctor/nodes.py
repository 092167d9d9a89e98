"""Nodes as the API server would list them, made from the instance types of the table."""

from typing import Any

from scripts.node_pools import instance_type, node_labels, node_taints


def gpu_node(
    instance: str = "g6.2xlarge", name: str = "gpu-1", *, capacity: str = "on-demand", ready: bool = True
) -> dict[str, Any]:
    """A node of an instance type of the table."""
    kind = instance_type(instance)
    left = kind.allocatable
    return {
        "metadata": {"name": name, "labels": node_labels(kind, pool="gpu", zone="a", capacity=capacity)},
        "spec": {"taints": node_taints(kind, capacity=capacity)},
        "status": {
            "allocatable": {
                "cpu": f"{left.cpu_millicores}m",
                "memory": f"{left.memory_mib}Mi",
                "ephemeral-storage": "180Gi",
                "pods": str(left.pods),
                "nvidia.com/gpu": str(kind.gpus),
            },
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


def running_pod(node: str, phase: str = "Running", **requests: str) -> dict[str, Any]:
    """A pod on a node that asks for resources by name (``gpu="1"`` is ``nvidia.com/gpu``)."""
    asked = {"nvidia.com/gpu" if name == "gpu" else name: number for name, number in requests.items()}
    return {
        "spec": {"nodeName": node, "containers": [{"resources": {"requests": asked}}]},
        "status": {"phase": phase},
    }


def named(name: str, **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, **more}
