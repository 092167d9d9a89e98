"""Where a real scheduler puts the pods of every values file: on the machines that are meant, and on no other.

The nodes are simulated (kwok), with the GPUs, labels, taints and allocatable CPU and memory of machines that can be
rented. A pod is offered each pool in turn, so the scheduler's own filters say yes or no for every one.
"""

import contextlib
import copy
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scripts.cluster import Cluster
from scripts.cluster.kwok import POOL_LABEL, TOLERATION, pool_name
from scripts.cluster.processes import wait_until
from scripts.console import UserError
from scripts.node_pools import InstanceType, instance_type
from scripts.render import Object, release_name, render
from tests.render.chart import model, pod_specs, workload
from tests.render.test_values_files import mebibytes, millicores
from tests.render.values_files import FILES, LOCAL, header, values

BUDGET_SECONDS = 300

RENTED = [path for path in FILES if path.stem != LOCAL]
each = pytest.mark.parametrize("path", RENTED, ids=lambda path: path.stem)

NAMED = sorted({name for path in RENTED for name in header(path).instances})
OTHERS = [
    "p3.2xlarge",
    "g6.xlarge",
    "g6e.12xlarge",
    "p4d.24xlarge",
    "p5en.48xlarge",
    "a2-ultragpu-1g",
    "a3-ultragpu-8g",
]
"""Machines that no file names: another GPU, too few of them, or too little CPU and memory."""

POOLS = {pool_name(name, "on-demand"): instance_type(name) for name in [*NAMED, *OTHERS]}


@pytest.fixture(scope="module")
def pools(cluster: Cluster) -> Iterator[dict[str, InstanceType]]:
    """One pool of two nodes for each machine."""
    for kind in POOLS.values():
        cluster.pools.add(kind.name, 2)
    yield POOLS
    cluster.pools.clear()


@pytest.fixture(scope="module")
def shared(cluster: Cluster) -> Iterator[str]:
    """One namespace for all: every test takes its pods away."""
    with cluster.namespace("scheduling") as name:
        yield name


def serving_pods(path: Path) -> list[Object]:
    """The pods that serve, as Pods: of a group leader and worker. Claims become empty: disks are no matter here."""
    made = render("vllm-model", [path], release=release_name(path))
    found = []
    for number, (_, spec) in enumerate(pod_specs(workload(made))):
        spec = copy.deepcopy(spec) | {"serviceAccountName": "default"}
        spec["tolerations"].append(TOLERATION)
        for volume in spec["volumes"]:
            if volume.pop("persistentVolumeClaim", None):
                volume["emptyDir"] = {}
        found.append({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{number}"}, "spec": spec})
    return found


def offered(body: Object, pool: str, suffix: str) -> Object:
    """A pod that may only go to one pool."""
    return {
        **body,
        "metadata": {"name": f"{pool}-{suffix}"},
        "spec": {**body["spec"], "nodeSelector": {POOL_LABEL: pool}},
    }


def place(cluster: Cluster, namespace: str, bodies: list[Object], expected: set[str]) -> set[str]:
    """Offers pods to the scheduler, and takes them away again. Gives the names of those that it placed.

    It waits until the scheduler has looked at every pod, and for those that are expected a little longer: what the
    pods of the test before held is given back a moment after they are gone.
    """
    cluster.apply([{**body, "metadata": {**body["metadata"], "namespace": namespace}} for body in bodies])
    verdicts: dict[str, bool] = {}

    def look() -> bool:
        for item in cluster.get("pods", "--namespace", namespace):
            for condition in item["status"].get("conditions", []):
                if condition["type"] == "PodScheduled":
                    verdicts[item["metadata"]["name"]] = condition["status"] == "True"
        return len(verdicts) == len(bodies) and all(verdicts[name] for name in expected)

    with contextlib.suppress(UserError):  # the test says better what is not so
        wait_until("the scheduler has looked", look, seconds=60, pause=0.5)
    cluster.kubectl("delete", "pods", "--all", "--namespace", namespace, "--grace-period=0", "--force")
    assert len(verdicts) == len(bodies), "the scheduler has not looked at every pod"
    return {name for name, verdict in verdicts.items() if verdict}


def holds(kind: InstanceType, path: Path, spec: Object) -> bool:
    """Whether a machine is meant for a pod: the GPU by name, and enough of everything."""
    requests = spec["containers"][0]["resources"]["requests"]
    return (
        kind.product in values(path)["gpu"]["nodeLabels"]["nvidia.com/gpu.product"]
        and kind.gpus >= int(requests["nvidia.com/gpu"])
        and kind.allocatable.cpu_millicores >= millicores(requests["cpu"])
        and kind.allocatable.memory_mib >= mebibytes(requests["memory"])
    )


BARE = "bare"
"""Marks the pods whose tolerations were taken away."""


@dataclass(frozen=True)
class Placement:
    """What the scheduler did with the pods of a file: names of those meant for a pool, of all placed, of the bare."""

    meant: set[str]
    placed: set[str]
    bare: set[str]


@pytest.fixture(scope="module")
def placement(cluster: Cluster, pools: dict[str, InstanceType], shared: str) -> Callable[[Path], Placement]:
    """Offers every pool the pods of a file and, where they are meant, the same pods without their tolerations."""

    @functools.cache
    def ask(path: Path) -> Placement:
        bodies, meant = [], set()
        for number, body in enumerate(serving_pods(path)):
            bodies += [offered(body, pool, f"{number}") for pool in pools]
            fitting = [pool for pool, kind in pools.items() if holds(kind, path, body["spec"])]
            meant |= {f"{pool}-{number}" for pool in fitting}
            bare = {**body, "spec": {**body["spec"], "tolerations": [TOLERATION]}}
            bodies += [offered(bare, pool, f"{number}-{BARE}") for pool in fitting]
        placed = place(cluster, shared, bodies, meant)
        names = {body["metadata"]["name"] for body in bodies}
        return Placement(meant, placed, {name for name in names if name.endswith(BARE)})

    return ask


@each
def test_pods_land_on_the_pools_meant_for_them_and_on_no_other(
    placement: Callable[[Path], Placement], path: Path
) -> None:
    found = placement(path)
    assert {name for name in found.placed if not name.endswith(BARE)} == found.meant
    assert {f"{pool_name(name, 'on-demand')}-0" for name in header(path).instances} <= found.placed


@each
def test_pods_without_the_toleration_land_nowhere(placement: Callable[[Path], Placement], path: Path) -> None:
    found = placement(path)
    assert found.bare
    assert not found.placed & found.bare


def spot_pod(enabled: bool) -> Object:
    """A pod of one T4 that may run on reclaimable nodes, or not."""
    requests: dict[str, Any] = {"cpu": "1", "memory": "2Gi"}
    made = model({"spot": {"enabled": enabled, "noticeSeconds": 30}, "resources": {"requests": requests}})
    ((_, spec),) = pod_specs(workload(made))
    spec = copy.deepcopy(spec) | {"serviceAccountName": "default"}
    spec["tolerations"].append(TOLERATION)
    return offered({"apiVersion": "v1", "kind": "Pod", "spec": spec}, "spot", "0")


@pytest.mark.parametrize("enabled", [True, False])
def test_reclaimable_nodes_are_used_only_where_spot_is_on(cluster: Cluster, shared: str, enabled: bool) -> None:
    cluster.pools.add("Standard_NC4as_T4_v3", 1, pool="spot", capacity="spot")
    try:
        placed = {"spot-0"} if enabled else set()
        assert place(cluster, shared, [spot_pod(enabled)], placed) == placed
    finally:
        cluster.pools.remove("spot")
