"""A model over two pods: LeaderWorkerSet starts, replaces, scales and updates it by the group.

The double stands for the engine: its worker holds a connection to its leader, and either dies without the other.
"""

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.bench import local, operators
from scripts.bench.traffic import Traffic
from scripts.cluster import Cluster, wait_until
from tests.cluster.scenario import Scenario, Timing

BUDGET_SECONDS = 420
pytestmark = pytest.mark.long

TIMING = Timing(endpoint=10, drain=20)
GROUPS = 2
BASE: dict[str, Any] = {
    "replicas": GROUPS,
    "parallelism": {"nodes": 2, "pipeline": 2},
    "gpu": {"count": 0},
    # No engine starts in a second, and what a group does between two leaders takes a few.
    "engine": {"env": {"DOUBLE_TOKENS_PER_SECOND": "10", "DOUBLE_START_SECONDS": "8"}},
}
RUNNING = 8
SCALED: dict[str, Any] = {
    "autoscaling": {
        "type": "keda",
        "preset": "responsive",
        "minReplicas": GROUPS,
        "maxReplicas": 3,
        "prometheus": {"serverAddress": operators.PROMETHEUS},
        "triggers": {
            "waitingRequests": {"enabled": False},
            "runningRequests": {"enabled": True, "threshold": RUNNING},
        },
    }
}
"""A third group as soon as each of two has more than its share of running requests."""

SET = "leaderworkerset.leaderworkerset.x-k8s.io"


def values(**engine: Any) -> dict[str, Any]:
    return local.overlay(local.DOUBLE, local.DOUBLE_WITH_PYTHON, BASE, TIMING.values, {"engine": engine})


@pytest.fixture(scope="module")
def scenario(cluster: Cluster) -> Iterator[Scenario]:
    """Two groups of two pods."""
    operators.install_lws(cluster)
    local.ensure_double_with_python(cluster)
    with cluster.namespace("groups") as namespace:
        local.helm(cluster, "install", "m", namespace, values())
        made = Scenario(
            cluster, namespace, local.service_url(cluster, "m", namespace), path="Service, groups of 2 pods"
        )
        made.timing = TIMING
        complete(made, GROUPS)
        yield made


def pods(scenario: Scenario, role: str = "") -> dict[str, str]:
    """Pods of the model by name, with their identity; of one role if it is named."""
    selector = "vllm-model/name=m" + (f",vllm-model/role={role}" if role else "")
    found = scenario.cluster.get("pods", "--namespace", scenario.namespace, "--selector", selector)
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in found}


def complete(scenario: Scenario, groups: int, seconds: float = 120) -> None:
    """Waits until exactly so many groups are there and their leaders serve."""

    def so() -> bool:
        status = scenario.cluster.get(SET, "m", "--namespace", scenario.namespace).get("status", {})
        return bool(status.get("readyReplicas", 0) == groups and len(pods(scenario)) == 2 * groups)

    wait_until(f"{groups} groups serve", so, seconds=seconds, pause=0.5)


def test_only_leaders_get_traffic(scenario: Scenario) -> None:
    complete(scenario, GROUPS)
    slices = scenario.cluster.get(
        "endpointslices", "--namespace", scenario.namespace, "--selector", "kubernetes.io/service-name=m"
    )
    targets = {endpoint["targetRef"]["name"] for each in slices for endpoint in each["endpoints"] or []}
    assert targets == set(pods(scenario, "server"))
    assert len(pods(scenario, "worker")) == GROUPS


def test_a_dead_worker_restarts_its_group_and_no_other(scenario: Scenario) -> None:
    complete(scenario, GROUPS)
    before = pods(scenario)
    victim = sorted(pods(scenario, "worker"))[0]
    leader = victim.rpartition("-")[0]
    (pid,) = local.engine_pids(scenario.cluster, victim, scenario.namespace)
    local.send_signal(scenario.cluster, pid, signal.SIGKILL)
    wait_until(
        "the leader is a new pod", lambda: pods(scenario).get(leader, before[leader]) != before[leader], seconds=90
    )
    complete(scenario, GROUPS)
    same = {name for name, uid in pods(scenario).items() if before.get(name) == uid}
    assert same == set(before) - {victim, leader}


def test_the_groups_scale_by_the_scale_subresource(scenario: Scenario) -> None:
    complete(scenario, GROUPS)
    scenario.cluster.kubectl("scale", f"{SET}/m", "--replicas=3", "--namespace", scenario.namespace)
    complete(scenario, 3)
    scenario.cluster.kubectl("scale", f"{SET}/m", f"--replicas={GROUPS}", "--namespace", scenario.namespace)
    complete(scenario, GROUPS)


def test_keda_scales_by_the_group(scenario: Scenario) -> None:
    complete(scenario, GROUPS)
    operators.install_keda(scenario.cluster)
    operators.install_prometheus(scenario.cluster, "5s")
    local.helm(scenario.cluster, "upgrade", "m", scenario.namespace, local.overlay(values(), SCALED))
    load = {"clients": 3 * RUNNING, "tokens": 100, "answers": "known", "stream_share": 1}
    with local.traffic(scenario.cluster, scenario.url, scenario.model, **load) as traffic:
        complete(scenario, 3)
    assert traffic.report().not_ok() == [], traffic.report().summary()
    # The number is the scaler's, and Helm 4 does not take it from another owner unasked.
    local.helm(scenario.cluster, "upgrade", "m", scenario.namespace, values(), "--force-conflicts")
    complete(scenario, GROUPS)


def test_a_rolling_update_by_group_loses_nothing(scenario: Scenario) -> None:
    complete(scenario, GROUPS)

    def event(_: Traffic) -> None:
        before = set(pods(scenario).values())
        changed = values(env={**BASE["engine"]["env"], "VLLM_LOGGING_LEVEL": "WARNING"})
        local.helm(scenario.cluster, "upgrade", "m", scenario.namespace, changed)
        wait_until("every pod is new", lambda: not before & set(pods(scenario).values()), seconds=240, pause=0.5)
        complete(scenario, GROUPS)

    outcome = scenario.run("rolling update by group", event)
    outcome.record(note="each group leaves as a whole; its worker stays until its leader has drained")
    outcome.assert_nothing_lost()
