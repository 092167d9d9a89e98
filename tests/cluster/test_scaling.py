"""KEDA and a Prometheus scale a model on the signals that the chart names: right, in time, and not without data."""

import time
from collections.abc import Iterator

import pytest

from scripts.bench import local, operators
from scripts.cluster import Cluster, CommandError, wait_until
from tests.cluster.scaled import (
    POLLING,
    QUICK_DOWN,
    SCRAPE,
    SLOTS,
    THRESHOLD,
    World,
    install,
    prepare,
    prometheus_away,
    record,
    values,
    waiting,
)
from tests.cluster.timeline import Timeline

BUDGET_SECONDS = 480


@pytest.fixture(scope="module", autouse=True)
def prepared(cluster: Cluster) -> None:
    """KEDA, Prometheus and the double."""
    prepare(cluster)


@pytest.fixture(scope="module")
def world(cluster: Cluster) -> Iterator[World]:
    """One model for all tests that leave it as they found it or say how many replicas they want."""
    with cluster.namespace("scaling") as namespace:
        yield World(cluster, namespace, install(cluster, namespace, QUICK_DOWN))


def test_a_step_of_load_is_answered_within_the_target_and_quiet_takes_replicas_away_one_by_one(
    world: World,
) -> None:
    world.settled()
    target = 0 + SCRAPE + POLLING + 5
    with (
        local.traffic(world.cluster, world.url, "tiny", **waiting(SLOTS + 12)) as traffic,
        Timeline(world.cluster, world.namespace, "m", traffic) as timeline,
    ):
        began = time.time()
        wait_until("three replicas are ready", lambda: timeline.since(began, ready=3), seconds=120)
        traffic.tell("stop")
        wait_until("one replica is left", lambda: timeline.wanted[-1] == 1, seconds=240)
    decision, serving = timeline.since(began, wanted=3), timeline.since(began, ready=3)
    assert decision is not None
    assert serving is not None
    downs = [when for when, wanted in timeline.changes() if when > began + serving and wanted < 3]
    report = traffic.report()
    record(
        "step",
        load=f"{SLOTS} running + 12 waiting", replicas=" ".join(map(str, timeline.wanted)),
        decision=f"{decision:.0f} s", target=f"{target} s", ready=f"{serving:.0f} s", lost=len(report.not_ok()),
        note=f"responsive; down by one pod in {downs[1] - downs[0]:.0f} s, windows cut to 60 and 15 s",
        log=timeline.write("step"),
    )  # fmt: skip
    assert decision <= target
    assert max(timeline.wanted) == 3
    assert timeline.wanted[-3:] == [3, 2, 1]
    assert downs[1] - downs[0] >= 14
    assert report.not_ok() == [], report.summary()


@pytest.mark.long
def test_a_burst_under_the_threshold_moves_nothing(world: World) -> None:
    world.settled()
    with (
        local.traffic(world.cluster, world.url, "tiny", **waiting(SLOTS + THRESHOLD - 1)) as traffic,
        Timeline(world.cluster, world.namespace, "m", traffic) as timeline,
    ):
        traffic.wait_for_requests(3 * (SLOTS + THRESHOLD) * 4, seconds=120)
    record(
        "burst under the threshold", load=f"{SLOTS} running + {THRESHOLD - 1} waiting", replicas="1",
        lost=len(traffic.report().not_ok()), log=timeline.write("burst"),
    )  # fmt: skip
    assert timeline.wanted == [1]
    assert traffic.report().not_ok() == []


def falls_back(cluster: Cluster, namespace: str) -> bool:
    """Whether KEDA has given the signal up and says as many replicas as there are."""
    status = cluster.get("scaledobject", "m", "--namespace", namespace)["status"]
    return any(each["type"] == "Fallback" and each["status"] == "True" for each in status.get("conditions", []))


def test_wanted_replicas_do_not_drop_while_an_update_loads_pods(world: World) -> None:
    slow = {"engine": {"env": {"DOUBLE_START_SECONDS": "8"}}}
    cluster, namespace = world.cluster, world.namespace
    with local.traffic(world.cluster, world.url, "tiny", **waiting(2 * SLOTS + 8)) as traffic:
        world.replicas(2)
        with Timeline(world.cluster, world.namespace, "m", traffic) as timeline:
            local.helm(cluster, "upgrade", "m", namespace, values(QUICK_DOWN, slow))
            cluster.kubectl("rollout", "status", "deployment/m", "-n", namespace, "--timeout=120s", seconds=130)
    record(
        "rollout under load", load=f"{2 * SLOTS} running + 8 waiting", replicas=" ".join(map(str, timeline.wanted)),
        lost=len(traffic.report().not_ok()), log=timeline.write("rollout"),
    )  # fmt: skip
    assert min(timeline.wanted) >= 2
    assert min(state[1] for state in timeline.watch.values()) >= 2
    assert traffic.report().not_ok() == [], traffic.report().summary()


def test_without_prometheus_nothing_moves_and_with_it_again_neither(world: World) -> None:
    cluster, namespace = world.cluster, world.namespace
    with local.traffic(world.cluster, world.url, "tiny", **waiting(3 * SLOTS + 12)) as traffic:
        world.replicas(3)
        with Timeline(world.cluster, world.namespace, "m", traffic) as timeline:
            with prometheus_away(cluster):
                wait_until("KEDA falls back", lambda: falls_back(cluster, namespace), seconds=150, pause=1)
                traffic.wait_for_requests(len(traffic.requests) + 100)
            operators.wait_for_series(cluster, f'vllm:num_requests_waiting{{namespace="{namespace}"}}')
            traffic.wait_for_requests(len(traffic.requests) + 50)
    record(
        "Prometheus away", load=f"{3 * SLOTS} running + 12 waiting", replicas=" ".join(map(str, timeline.wanted)),
        lost=len(traffic.report().not_ok()), log=timeline.write("prometheus-away"),
        note="away until KEDA fell back, and back with nothing stored",
    )  # fmt: skip
    assert timeline.wanted == [3]
    assert traffic.report().not_ok() == []


def test_every_query_answers_one_number_of_its_own_release(cluster: Cluster, namespace: str) -> None:
    names = ("requestsPerSecond", "timeToFirstToken", "kvCacheUsage", "tokensPerSecond", "runningRequests")
    every = {
        "autoscaling": {"triggers": {name: {"enabled": True} for name in names}, "prometheus": {"rateWindow": "1m"}}
    }
    install(cluster, namespace, every)
    install(cluster, namespace, every, {"model": {"servedNames": ["other"]}}, release="other")
    queries = {release: trigger_queries(cluster, namespace, release) for release in ("m", "other")}
    assert len(queries["m"]) == len(names) + 1
    for replicas in (1, 3):
        # Not by the Deployment: without load the HPA takes the third away before Prometheus has seen it.
        World(cluster, namespace, "").bound(replicas)
        pods = f'count(vllm:num_requests_waiting{{namespace="{namespace}",pod=~"m-.*"}}) == {replicas}'
        operators.wait_for_series(cluster, pods)
        for release in queries:
            for name, query in queries[release].items():
                wait_until(f"{name} answers", lambda query=query: len(operators.query(cluster, query)) == 1, seconds=60)  # type: ignore[misc]
    with prometheus_away(cluster):
        pass
    for name, query in queries["m"].items():
        wait_until(f"{name} answers again", lambda query=query: len(operators.query(cluster, query)) == 1, seconds=90)  # type: ignore[misc]


def test_a_query_without_pods_answers_nothing_so_that_keda_sees_an_error_and_not_zero(world: World) -> None:
    cluster, namespace = world.cluster, world.namespace
    (query,) = trigger_queries(cluster, namespace, "m").values()
    assert len(operators.wait_for_series(cluster, query)) == 1
    absent = query.replace(namespace, f"{namespace}-without-pods")
    assert operators.query(cluster, absent) == []


def trigger_queries(cluster: Cluster, namespace: str, release: str) -> dict[str, str]:
    triggers = cluster.get("scaledobject", release, "--namespace", namespace)["spec"]["triggers"]
    return {each["name"]: each["metadata"]["query"] for each in triggers if each["type"] == "prometheus"}


def test_kedas_admission_refuses_a_second_scaler_of_the_same_model(world: World) -> None:
    cluster, namespace = world.cluster, world.namespace
    scaled = cluster.get("scaledobject", "m", "--namespace", namespace)
    second = {
        "apiVersion": scaled["apiVersion"],
        "kind": "ScaledObject",
        "metadata": {"name": "second", "namespace": namespace},
        "spec": scaled["spec"],
    }
    # Which of the two it names depends on whether its cache has the first one's HPA yet.
    owner = r"already managed by the (ScaledObject 'm'|hpa 'keda-hpa-m')"
    with pytest.raises(CommandError, match=owner):
        cluster.apply([second])
