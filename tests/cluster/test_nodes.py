"""Nodes that are taken away: a reclaim with notice under load, and drains and zones on simulated nodes.

Reclaims are real where requests are concerned: a real pod with real streams, the taint that a termination handler sets,
and everything of the pod killed when the notice is over. The machine itself stays: there is one. Where pods go when a
node or a zone is gone is decided by the real scheduler and controllers over simulated nodes (kwok), without traffic.
"""

import contextlib
import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.bench import local
from scripts.bench.proof import Record
from scripts.cluster import Cluster, CommandError, wait_until
from scripts.cluster.kwok import POOL_LABEL, TOLERATION
from scripts.kubernetes_modules import KUBERNETES_VERSION
from tests.cluster.pods import pods, ready
from tests.cluster.scenario import Scenario, Timing, versions
from tests.cluster.watch import Watch

BUDGET_SECONDS = 900
pytestmark = pytest.mark.long

TAINT = "aws-node-termination-handler/spot-itn"
"""What AWS' termination handler sets; those of the other clouds differ in name only."""

CUT = {30: Timing(endpoint=10, drain=15), 120: Timing(endpoint=15, drain=90)}
"""What the chart makes of a notice: preStop and drain."""


@contextlib.contextmanager
def spot_model(cluster: Cluster, notice: int) -> Iterator[Scenario]:
    """Three replicas on reclaimable nodes; the chart decides how they leave."""
    local.ensure_double(cluster)
    values = {"replicas": 3, "spot": {"enabled": True, "noticeSeconds": notice}}
    with cluster.namespace(f"spot-{notice}") as namespace:
        local.helm(cluster, "install", "m", namespace, local.overlay(local.DOUBLE, values), "--wait", "--timeout", "2m")
        url = local.service_url(cluster, "m", namespace)
        yield Scenario(cluster, namespace, url, timing=CUT[notice], options={"limit": 400})


def lifetimes(scenario: Scenario) -> tuple[int, int, int]:
    """Seconds of preStop, drain and grace of the pods that run."""
    (pod, *_) = pods(scenario)
    spec = scenario.cluster.get("pod", pod, "--namespace", scenario.namespace)["spec"]
    (container,) = spec["containers"]
    (drain,) = [each.partition("=")[2] for each in container["args"] if each.startswith("--shutdown-timeout=")]
    return container["lifecycle"]["preStop"]["sleep"]["seconds"], int(drain), spec["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("notice", [30, 120])
def test_a_reclaim_with_notice_loses_nothing(cluster: Cluster, notice: int) -> None:
    with spot_model(cluster, notice) as scenario:
        endpoint, drain, grace = lifetimes(scenario)
        assert (endpoint, drain) == (CUT[notice].endpoint, CUT[notice].drain)
        assert grace <= notice
        node = cluster.get("nodes", "--selector=type!=kwok")[0]["metadata"]["name"]
        gone_after = 0.0

        def event(_: object) -> None:
            nonlocal gone_after
            victim, began = pods(scenario)[0], time.time()
            pids = local.engine_pids(cluster, victim, scenario.namespace)
            cluster.kubectl("taint", "nodes", node, f"{TAINT}=now:NoSchedule")
            try:
                cluster.kubectl("delete", "pod", victim, "--namespace", scenario.namespace, "--wait=false")
                cluster.wait("--for=delete", f"pod/{victim}", "--namespace", scenario.namespace, seconds=notice)
                gone_after = time.time() - began
            except CommandError:
                gone_after = float("inf")  # the machine goes, whatever still runs on it
                for pid in pids:
                    local.send_signal(cluster, pid, signal.SIGKILL)
            finally:
                cluster.kubectl("taint", "nodes", node, f"{TAINT}-")
            ready(scenario)

        outcome = scenario.run(f"spot reclaim, {notice} s notice", event, overlong=9)
        outcome.record(
            note=f"preStop {endpoint} s, drain {drain} s; the pod was gone {gone_after:.0f} s after the notice, "
            "its replacement came when there was a node again"
        )
        outcome.assert_nothing_lost()
        assert gone_after < notice
        assert {each.fate for each in outcome.report.of("overlong")} <= {"ok", "error"}, outcome.report.summary()


POOL = "zoned"
ZONES = ("a", "b", "c")
SIMULATED: dict[str, Any] = {
    "replicas": 6,
    "gpu": {"count": 1},
    "scheduling": {"nodeSelector": {POOL_LABEL: POOL}, "tolerations": [TOLERATION]},
    "shutdown": {"endpointSeconds": 1, "drainSeconds": 1},
}


@pytest.fixture
def zoned(cluster: Cluster) -> Iterator[Scenario]:
    """Six replicas over nine simulated nodes with one GPU each, in three zones."""
    local.ensure_double(cluster)
    cluster.pools.add("g5.xlarge", 9, pool=POOL, zones=ZONES)
    try:
        with cluster.namespace("zones") as namespace:
            values = local.overlay(local.DOUBLE, SIMULATED)
            local.helm(cluster, "install", "m", namespace, values, "--wait", "--timeout", "2m")
            yield Scenario(cluster, namespace, "")
        # Else its last pods would still hold the GPUs of nodes of these names, which the next test makes anew.
        cluster.wait("--for=delete", f"namespace/{namespace}", seconds=180)
    finally:
        cluster.pools.remove(POOL)


def places(scenario: Scenario) -> dict[str, str]:
    """The node of each replica that serves."""
    found = scenario.cluster.get("pods", "--namespace", scenario.namespace, "--selector", "vllm-model/name=m")
    return {
        pod["metadata"]["name"]: pod["spec"]["nodeName"]
        for pod in found
        if pod["spec"].get("nodeName") and "deletionTimestamp" not in pod["metadata"]
    }


def zone_of(node: str) -> str:
    """Nodes were spread over the zones in turn."""
    return ZONES[int(node.rpartition("-")[2]) % len(ZONES)]


def spread(scenario: Scenario) -> str:
    """``2 2 2``: replicas in each zone."""
    counted = Counter(zone_of(node) for node in places(scenario).values())
    return " ".join(str(counted[zone]) for zone in ZONES)


def available(deployment: dict[str, Any]) -> int:
    """Replicas that serve."""
    return int(deployment["status"].get("availableReplicas", 0))


def record(scenario: str, **figures: Any) -> None:
    names = {"Kubernetes": KUBERNETES_VERSION, **versions("kwok")}
    Record("nodes", scenario, "simulated", figures, names).write()


def test_draining_a_zones_nodes_one_after_another_respects_the_budget_and_keeps_the_spread(
    cluster: Cluster, zoned: Scenario
) -> None:
    before, began = spread(zoned), time.time()
    nodes = sorted(set(places(zoned).values()))
    with Watch(cluster, zoned.namespace, "m", available) as watched:
        for node in nodes:
            drain = ("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=120s")
            cluster.kubectl(*drain, seconds=130)
            cluster.kubectl("uncordon", node)
        wait_until("six replicas are placed", lambda: len(places(zoned)) == 6, seconds=60)
        wait_until("six replicas serve", lambda: watched.values()[-1] == 6, seconds=60)
    after = spread(zoned)
    record(
        "cordon and drain, node by node", replicas=6, before=before, after=after, took=f"{time.time() - began:.0f} s",
        note=f"{len(nodes)} nodes; never below {min(watched.values())} replicas (PodDisruptionBudget maxUnavailable 1)",
    )  # fmt: skip
    assert before == "2 2 2"
    assert after == "2 2 2"
    assert min(watched.values()) >= 5


def test_a_zone_that_is_gone_is_made_up_for_in_the_zones_that_are_left(cluster: Cluster, zoned: Scenario) -> None:
    before, began = spread(zoned), time.time()
    with Watch(cluster, zoned.namespace, "m", available) as watched:
        lost = [f"{POOL}-{number}" for number in range(9) if zone_of(f"{POOL}-{number}") == "a"]
        cluster.kubectl("delete", "nodes", *lost, "--wait=false")
        wait_until(
            "six replicas serve elsewhere",
            lambda: sorted(spread(zoned).split()) == ["0", "3", "3"] and watched.values()[-1] == 6,
            seconds=180,
            pause=0.5,
        )
    record(
        "zone gone without notice", replicas=6, before=before, after=spread(zoned), took=f"{time.time() - began:.0f} s",
        note="its nodes are deleted, as a cloud's controller does; until the garbage collector has seen that (40 s) "
        "the replicas on them count as there, then they are made again",
    )  # fmt: skip
    assert before == "2 2 2"
    assert spread(zoned) == "0 3 3"


def test_a_node_that_is_gone_without_notice_costs_one_replica_until_its_pod_is_made_again(
    cluster: Cluster, zoned: Scenario
) -> None:
    victim, node = sorted(places(zoned).items())[0]
    before, began = spread(zoned), time.time()
    with Watch(cluster, zoned.namespace, "m", available) as watched:
        cluster.kubectl("delete", "node", node, "--wait=false")
        wait_until("the pod is gone", lambda: victim not in places(zoned), seconds=120, pause=0.5)
        wait_until("six replicas serve", lambda: watched.values()[-1] == 6, seconds=60)
    record(
        "node gone without notice", replicas=6, before=before, after=spread(zoned),
        took=f"{time.time() - began:.0f} s", note="the node is deleted, as a cloud's controller does",
    )  # fmt: skip
    # The spread is a preference: a single pod may go where another zone has more.
    assert "0" not in spread(zoned).split()
    assert min(watched.values()) >= 5
