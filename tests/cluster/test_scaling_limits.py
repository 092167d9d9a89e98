"""Scaling where something is short or away: the defaults' own times, a ramp, night, KEDA, GPUs, quota, priorities."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from scripts.bench import local, operators
from scripts.cluster import Cluster, wait_until
from tests.cluster.pods import pods, ready
from tests.cluster.scaled import (
    POLLING,
    QUICK_DOWN,
    SCRAPE,
    SLOTS,
    Away,
    World,
    alerts,
    fires,
    install,
    prepare,
    record,
    waiting,
)
from tests.cluster.scenario import Scenario, Timing
from tests.cluster.timeline import Timeline

BUDGET_SECONDS = 1500
pytestmark = pytest.mark.long

UP_WINDOW = 60
"""What the standard preset waits before it follows a load."""

AT_MOST_TWO = {"autoscaling": {"maxReplicas": 2}}
WHOLE_NODE = {"gpu": {"count": 8}, "parallelism": {"tensor": 8}}
"""All GPUs that the node pretends to have: no second replica finds a place."""

ONE_GPU = {"gpu": {"count": 1}}
ALERT_NOTE = "fires after 10 s here instead of"


@pytest.fixture(scope="module")
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace whose models Prometheus has the chart's alerts of, and kube-state-metrics beside it."""
    with cluster.namespace("limits") as name:
        rules = [
            *alerts(name, "short", AT_MOST_TWO),
            *alerts(name, "wide", WHOLE_NODE),
            *alerts(name, "refused", ONE_GPU),
        ]
        prepare(cluster, rules)
        operators.install_state_metrics(cluster)
        yield name
        operators.install_prometheus(cluster, f"{SCRAPE}s")


@contextmanager
def scaled(cluster: Cluster, namespace: str, name: str, *more: dict[str, Any]) -> Iterator[World]:
    """A model for one test: its GPUs are free afterwards."""
    try:
        yield World(cluster, namespace, install(cluster, namespace, *more, release=name), name)
    finally:
        cluster.helm("uninstall", name, "--namespace", namespace, "--wait", "--timeout", "2m", check=False)
        selector = f"vllm-model/name={name}"
        cluster.wait("--for=delete", "pod", "--namespace", namespace, "--selector", selector, seconds=90)


def sequence(timeline: Timeline) -> str:
    """Wanted replicas as they came, for the table."""
    return " ".join(map(str, timeline.wanted))


def test_a_step_is_answered_within_the_target_of_the_defaults(cluster: Cluster, namespace: str) -> None:
    target = UP_WINDOW + SCRAPE + POLLING + 5
    with (
        scaled(cluster, namespace, "step", {"autoscaling": {"preset": "standard"}}) as world,
        local.traffic(cluster, world.url, "tiny", **waiting(SLOTS + 12)) as traffic,
        Timeline(cluster, namespace, "step", traffic) as timeline,
    ):
        began = time.time()
        wait_until("three replicas are ready", lambda: timeline.since(began, ready=3), seconds=200)
    decision, serving = timeline.since(began, wanted=3), timeline.since(began, ready=3)
    assert decision is not None
    assert serving is not None
    lost = traffic.report().not_ok()
    record(
        "step, default preset", load=f"{SLOTS} running + 12 waiting", replicas=sequence(timeline),
        decision=f"{decision:.0f} s", target=f"{target} s", ready=f"{serving:.0f} s", lost=len(lost),
        note="the standard preset looks back 60 s", log=timeline.write("step-default"),
    )  # fmt: skip
    assert UP_WINDOW * 0.8 < decision <= target
    assert max(timeline.wanted) == 3
    assert lost == []


def test_a_ramp_is_followed_upwards_and_nothing_is_lost(cluster: Cluster, namespace: str) -> None:
    """A replica ends 2 requests a second; the ramp goes to 5.5."""
    load = {"rate": "0:1,120:5.5,200:5.5", "tokens": 40, "answers": "known", "stream_share": 1}
    with (
        scaled(cluster, namespace, "ramp") as world,
        local.traffic(cluster, world.url, "tiny", **load) as traffic,
        Timeline(cluster, namespace, "ramp", traffic) as timeline,
    ):
        began = time.time()
        wait_until("three replicas are ready", lambda: timeline.since(began, ready=3), seconds=240)
        traffic.wait_for_requests(len(traffic.requests) + 100)
    report = traffic.report()
    late = report.percentile(0.95, lambda each: each.first - each.started)
    record(
        "ramp", load="1 to 5.5 requests a second in 120 s; a replica ends 2", replicas=sequence(timeline),
        ready=f"{timeline.since(began, ready=3):.0f} s", lost=len(report.not_ok()),
        note=f"responsive; first token within {late:.0f} s at p95", log=timeline.write("ramp"),
    )  # fmt: skip
    assert timeline.wanted == sorted(timeline.wanted)
    assert timeline.wanted[-1] >= 3
    assert report.not_ok() == [], report.summary()


def test_without_keda_replicas_stay_and_with_it_again_they_follow_the_load(cluster: Cluster, namespace: str) -> None:
    with (
        scaled(cluster, namespace, "alone", QUICK_DOWN) as world,
        local.traffic(cluster, world.url, "tiny", **waiting(3 * SLOTS + 12)) as traffic,
        Timeline(cluster, namespace, "alone", traffic) as timeline,
    ):
        world.replicas(3)
        away = time.time()
        with Away(cluster, "keda", "keda-operator"):
            wait_until("the HPA gets no metric", lambda: not active(cluster, namespace, "alone"), seconds=120, pause=1)
            traffic.wait_for_requests(len(traffic.requests) + 300)
        back = time.time()
        wait_until("the HPA gets its metric again", lambda: active(cluster, namespace, "alone"), seconds=120, pause=1)
        recovered = time.time() - back
        during = [wanted for when, (wanted, _) in timeline.watch.states if away <= when <= time.time()]
        traffic.tell("stop")
        wait_until("the replicas follow the load", lambda: timeline.wanted[-1] == 1, seconds=180)
    lost = traffic.report().not_ok()
    record(
        "KEDA away", load=f"{3 * SLOTS} running + 12 waiting", replicas=sequence(timeline), lost=len(lost),
        note=f"the operator had no pod for {back - away:.0f} s: nothing moved; the HPA had its metric again after "
        f"{recovered:.0f} s and followed the end of the load", log=timeline.write("keda-away"),
    )  # fmt: skip
    assert set(during[1:]) <= {3}, during
    assert lost == []


def active(cluster: Cluster, namespace: str, release: str) -> bool:
    """Whether the HPA can compute replicas."""
    status = cluster.get("hpa", f"keda-hpa-{release}", "--namespace", namespace)["status"]
    return any(each["type"] == "ScalingActive" and each["status"] == "True" for each in status.get("conditions", []))


def test_at_the_maximum_requests_wait_and_the_alert_fires(cluster: Cluster, namespace: str) -> None:
    with (
        scaled(cluster, namespace, "short", AT_MOST_TWO) as world,
        local.traffic(cluster, world.url, "tiny", **waiting(2 * SLOTS + 14)) as traffic,
        Timeline(cluster, namespace, "short", traffic) as timeline,
    ):
        took = fires(cluster, "VllmScalerAtMaximum", namespace, seconds=150)
        traffic.wait_for_requests(len(traffic.requests) + 100)
    lost = traffic.report().not_ok()
    record(
        "maximum reached", load=f"{2 * SLOTS} running + 14 waiting", replicas=sequence(timeline), lost=len(lost),
        note=f"VllmScalerAtMaximum fires {took:.0f} s after the load began ({ALERT_NOTE} 15 min)",
        log=timeline.write("maximum"),
    )  # fmt: skip
    assert max(timeline.wanted) == 2
    assert lost == []


def test_without_a_free_gpu_pods_are_pending_the_alert_fires_and_nothing_is_lost(
    cluster: Cluster, namespace: str
) -> None:
    with (
        scaled(cluster, namespace, "wide", WHOLE_NODE) as world,
        local.traffic(cluster, world.url, "tiny", **waiting(SLOTS + 12)) as traffic,
        Timeline(cluster, namespace, "wide", traffic) as timeline,
    ):
        took = fires(cluster, "VllmPodsPending", namespace, seconds=150)
        traffic.wait_for_requests(len(traffic.requests) + 50)
        pending = [pod for pod in of(cluster, namespace, "wide") if pod["status"]["phase"] == "Pending"]
    lost = traffic.report().not_ok()
    record(
        "no free GPU", load=f"{SLOTS} running + 12 waiting", replicas=sequence(timeline), lost=len(lost),
        note=f"{len(pending)} pods pending, 1 serves; VllmPodsPending fires {took:.0f} s after the load began "
        f"({ALERT_NOTE} 10 min)", log=timeline.write("no-gpu"),
    )  # fmt: skip
    assert pending
    assert max(ready for _, ready in timeline.watch.values()) == 1
    assert lost == []


def of(cluster: Cluster, namespace: str, release: str) -> list[dict[str, Any]]:
    """The pods of a model."""
    return list(cluster.get("pods", "--namespace", namespace, "--selector", f"vllm-model/name={release}"))


def test_over_the_quota_no_pod_is_made_the_alert_fires_and_nothing_is_lost(cluster: Cluster, namespace: str) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "gpus", "namespace": namespace},
        "spec": {"hard": {"requests.nvidia.com/gpu": "1"}},
    }
    cluster.apply([quota])
    try:
        with (
            scaled(cluster, namespace, "refused", ONE_GPU) as world,
            local.traffic(cluster, world.url, "tiny", **waiting(SLOTS + 12)) as traffic,
            Timeline(cluster, namespace, "refused", traffic) as timeline,
        ):
            took = fires(cluster, "VllmPodsPending", namespace, seconds=150)
            traffic.wait_for_requests(len(traffic.requests) + 50)
            made = len(of(cluster, namespace, "refused"))
    finally:
        cluster.kubectl("delete", "resourcequota", "gpus", "--namespace", namespace)
    lost = traffic.report().not_ok()
    record(
        "quota of GPUs used up", load=f"{SLOTS} running + 12 waiting", replicas=sequence(timeline), lost=len(lost),
        note=f"the quota refuses the second pod; VllmPodsPending fires {took:.0f} s after the load began "
        f"({ALERT_NOTE} 10 min)", log=timeline.write("quota"),
    )  # fmt: skip
    assert made == 1
    assert max(timeline.wanted) > 1
    assert lost == []


def test_the_model_of_higher_priority_takes_gpus_and_the_other_loses_no_request(
    cluster: Cluster, namespace: str
) -> None:
    classes = {name: f"{namespace}-{name}" for name in ("high", "low")}
    cluster.apply([priority(classes["high"], 1000), priority(classes["low"], 10)])
    two = {"gpu": {"count": 2}, "parallelism": {"tensor": 2}}
    # The node has room for four replicas of two GPUs.
    low = {"availability": {"priorityClassName": classes["low"]}, "autoscaling": {"minReplicas": 3, "maxReplicas": 3}}
    high = {"availability": {"priorityClassName": classes["high"]}, "autoscaling": {"maxReplicas": 3}}
    try:
        with (
            scaled(cluster, namespace, "low", two, low) as below,
            scaled(cluster, namespace, "high", two, high) as above,
            local.traffic(cluster, below.url, "tiny", **waiting(4)) as patient,
            local.traffic(cluster, above.url, "tiny", **waiting(SLOTS + 12)) as urgent,
            Timeline(cluster, namespace, "high", urgent) as timeline,
        ):
            began = time.time()
            wait_until("three replicas of the higher", lambda: timeline.since(began, ready=3), seconds=200)
            patient.wait_for_requests(len(patient.requests) + 30)
            left = cluster.get("deployment", "low", "--namespace", namespace)["status"].get("readyReplicas", 0)
    finally:
        cluster.kubectl("delete", "priorityclass", *classes.values())
    lost = urgent.report().not_ok() + patient.report().not_ok()
    record(
        "two models, priorities", load=f"high: {SLOTS} running + 12 waiting, low: 4 running",
        replicas=sequence(timeline), ready=f"{timeline.since(began, ready=3):.0f} s", lost=len(lost),
        note=f"8 GPUs, 2 a replica: the higher goes from 1 to 3 and the lower from 3 to {left}, its pods drain first",
        log=timeline.write("priorities"),
    )  # fmt: skip
    assert left == 1
    assert lost == [], (urgent.report().summary(), patient.report().summary())


def priority(name: str, value: int) -> dict[str, Any]:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        "preemptionPolicy": "PreemptLowerPriority",
    }


@pytest.mark.timeout(900)
def test_hours_wake_the_model_in_the_morning_and_put_it_to_sleep_at_night(cluster: Cluster, namespace: str) -> None:
    """A day of two minutes: the hours are those of a cron, so a minute is the shortest."""
    morning = time.gmtime(time.time() + 150)
    night = time.gmtime(time.time() + 150 + 120)
    hours = {
        "timezone": "Europe/Berlin",
        "start": f"{morning.tm_min} * * * *",
        "end": f"{night.tm_min} * * * *",
        "replicas": 2,
    }
    day = {"autoscaling": {"minReplicas": 0, "triggers": {"cron": {"day": hours}}}}
    with (
        scaled(cluster, namespace, "hours", day) as world,
        Timeline(cluster, namespace, "hours") as timeline,
    ):
        # The chart's cooldown is longer than a start may take; ten seconds are enough for a double.
        world.patch(cooldownPeriod=10, initialCooldownPeriod=10)
        wait_until("it is night", lambda: timeline.wanted[-1] == 0, seconds=100)
        slept = time.time()
        wait_until("it is day", lambda: timeline.since(slept, ready=2), seconds=200)
        with local.traffic(cluster, world.url, "tiny", **waiting(4)) as traffic:
            traffic.wait_for_requests(40)
        wait_until("it is night again", lambda: timeline.wanted[-1] == 0, seconds=240)
    lost = traffic.report().not_ok()
    record(
        "night by cron", load="4 running by day", replicas=sequence(timeline), lost=len(lost),
        note="a day of two minutes, cooldown 10 s", log=timeline.write("night"),
    )  # fmt: skip
    assert timeline.wanted[-4:] in ([0, 1, 2, 0], [1, 0, 2, 0])
    assert lost == []


def test_keda_and_prometheus_that_restart_lose_no_request_and_move_no_replica(cluster: Cluster, namespace: str) -> None:
    timing = Timing()
    values = local.overlay(timing.values, {"engine": {"flags": {"maxNumSeqs": 128}}, "autoscaling": {"minReplicas": 2}})
    with scaled(cluster, namespace, "m", values) as world:
        scenario = Scenario(cluster, namespace, world.url, timing=timing)
        ready(scenario, 2)
        before = pods(scenario)

        def event(_: object) -> None:
            cluster.kubectl("delete", "pods", "--all", "--namespace", "keda", "--wait=false")
            cluster.kubectl("delete", "pods", "--selector=app=prometheus", "--namespace", operators.MONITORING)
            operators.rolled_out(cluster, "keda", "keda-operator", "keda-metrics-apiserver", "keda-admission")
            operators.rolled_out(cluster, operators.MONITORING, "prometheus")
            operators.wait_for_series(cluster, f'vllm:num_requests_waiting{{namespace="{namespace}",pod=~"m-.*"}}')
            wait_until("the HPA gets its metric", lambda: active(cluster, namespace, "m"), seconds=120, pause=1)

        with Timeline(cluster, namespace, "m") as timeline:
            outcome = scenario.run("Prometheus and KEDA restarted", event)
        outcome.record(note=f"wanted replicas: {sequence(timeline)}")
        outcome.assert_nothing_lost()
        assert timeline.wanted == [2]
        assert pods(scenario) == before
