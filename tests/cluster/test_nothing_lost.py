"""A model behind its plain Service loses no request in any planned event, and only what it held in an unplanned one."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.bench import local
from scripts.bench.traffic import Traffic
from scripts.cluster import Cluster, CommandError, wait_until
from tests.cluster.kills import kill_engine
from tests.cluster.pods import gone, pods, ready
from tests.cluster.scenario import Outcome, Scenario, Timing

BUDGET_SECONDS = 360
LIVENESS = {"periodSeconds": 5, "timeoutSeconds": 2, "failureThreshold": 2, "terminationGracePeriodSeconds": 5}
NOT_READY_AFTER = 3 * 5 + 3 + 5
"""Three readiness probes that time out, a period between them, and 5 s until every proxy knows."""

BASE: dict[str, Any] = {"replicas": 3, "probes": {"liveness": LIVENESS}}


@pytest.fixture(scope="module")
def scenario(cluster: Cluster) -> Iterator[Scenario]:
    """Three replicas of a model on the double."""
    local.ensure_double(cluster)
    timing = Timing()
    with cluster.namespace("nothing-lost") as namespace:
        local.helm(cluster, "install", "m", namespace, values(timing), "--wait", "--timeout", "2m")
        yield Scenario(cluster, namespace, local.service_url(cluster, "m", namespace), timing=timing)


def values(timing: Timing, **engine: Any) -> dict[str, Any]:
    return local.overlay(local.DOUBLE, BASE, timing.values, {"engine": engine})


def upgrade(scenario: Scenario, **engine: Any) -> None:
    """A rolling update by ``helm upgrade``, up to the end of the last old pod."""
    before = pods(scenario)
    local.helm(scenario.cluster, "upgrade", "m", scenario.namespace, values(scenario.timing, **engine))
    rollout = ("rollout", "status", "deployment/m", "--namespace", scenario.namespace, "--timeout=150s")
    scenario.cluster.kubectl(*rollout, seconds=160)
    gone(scenario, before)


def assert_overlong_streams_end_with_an_error_at_the_limit(outcome: Outcome) -> None:
    """Streams that no drain lets end are told so in time; those on pods that stay end well."""
    timing, overlong = outcome.scenario.timing, outcome.report.of("overlong")
    told = [each for each in overlong if each.fate == "error"]
    assert {each.fate for each in overlong} <= {"ok", "error"}, outcome.report.summary()
    assert told
    assert all(each.ended < outcome.event[1] + 5 for each in told)
    assert all(each.ended > outcome.event[0] + timing.endpoint + timing.drain - 1 for each in told)


def test_a_rolling_update_of_flags_loses_nothing(scenario: Scenario) -> None:
    ready(scenario)
    outcome = scenario.run("rolling update, flags", lambda _: upgrade(scenario, flags={"maxNumSeqs": 200}), overlong=9)
    outcome.record()
    outcome.assert_nothing_lost()
    assert_overlong_streams_end_with_an_error_at_the_limit(outcome)


@pytest.mark.long
def test_a_scale_down_loses_nothing(scenario: Scenario) -> None:
    ready(scenario)

    def event(_: Traffic) -> None:
        before = pods(scenario)
        scenario.cluster.kubectl("scale", "deployment/m", "--replicas=2", "--namespace", scenario.namespace)
        leaving = wait_until("one pod leaves", lambda: set(before) - set(pods(scenario)), seconds=20)
        gone(scenario, list(leaving))

    outcome = scenario.run("scale-down 3 to 2", event, overlong=9)
    scenario.cluster.kubectl("scale", "deployment/m", "--replicas=3", "--namespace", scenario.namespace)
    outcome.record()
    outcome.assert_nothing_lost()
    assert_overlong_streams_end_with_an_error_at_the_limit(outcome)


def test_evicting_every_pod_as_a_drain_does_loses_nothing_and_respects_the_budget(scenario: Scenario) -> None:
    ready(scenario)
    refused = 0

    def evict(pod: str) -> bool:
        nonlocal refused
        path = f"/api/v1/namespaces/{scenario.namespace}/pods/{pod}/eviction"
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
        try:
            scenario.cluster.kubectl("create", "--raw", path, "--filename=-", stdin=local.as_json(eviction))
        except CommandError as error:
            refused += "disruption budget" in error.output
            return False
        return True

    def event(_: Traffic) -> None:
        before = pods(scenario)
        for pod in before:
            wait_until(f"{pod} may be evicted", lambda pod=pod: evict(pod), seconds=90, pause=1)  # type: ignore[misc]
        gone(scenario, before)

    outcome = scenario.run("node drain (evictions)", event)
    outcome.record(note=f"{refused} evictions put off by the PodDisruptionBudget")
    outcome.assert_nothing_lost()
    assert refused > 0


def test_an_api_server_that_restarts_loses_nothing(scenario: Scenario) -> None:
    ready(scenario)

    def event(traffic: Traffic) -> None:
        pid = scenario.cluster.inside("pgrep", "-o", "-f", "kube-apiserver").split()[0]
        local.send_signal(scenario.cluster, int(pid), signal.SIGKILL)
        ended = len(traffic.requests)
        wait_until("the API server answers again", lambda: api_answers(scenario.cluster), seconds=90)
        traffic.wait_for_requests(ended + 200)

    outcome = scenario.run("API server killed", event)
    outcome.record()
    outcome.assert_nothing_lost()


def api_answers(cluster: Cluster) -> bool:
    return cluster.kubectl("get", "--raw=/readyz", check=False, seconds=10).strip() == "ok"


def test_a_killed_engine_takes_only_what_it_held_and_its_streams_end_at_once(scenario: Scenario) -> None:
    ready(scenario)
    kill = kill_engine(scenario)
    kill.record_behind_service()
    summary = kill.outcome.report.summary()
    kill.outcome.assert_big_enough()
    assert 0 < len(kill.cut) < kill.held + 10
    assert kill.longest < 10, summary
    assert {each.fate for each in kill.late} <= {"unreachable"}
    assert all(each.started < kill.at + 5 for each in kill.lost), summary


@pytest.mark.long
def test_a_hung_api_server_is_replaced_within_liveness_and_its_grace(scenario: Scenario) -> None:
    ready(scenario)
    victim, hung, replaced = pods(scenario)[0], 0.0, 0.0
    before = restarts(scenario, victim)

    def event(_: Traffic) -> None:
        nonlocal hung, replaced
        (pid,) = local.engine_pids(scenario.cluster, victim, scenario.namespace)
        hung = local.send_signal(scenario.cluster, pid, signal.SIGSTOP)
        wait_until("it is restarted", lambda: restarts(scenario, victim) == before + 1, seconds=120)
        ready(scenario)
        replaced = time.time() - hung

    limit = LIVENESS["periodSeconds"] * LIVENESS["failureThreshold"] + LIVENESS["timeoutSeconds"]
    limit += LIVENESS["terminationGracePeriodSeconds"] + 15
    outcome = scenario.run("API server of the engine hung (SIGSTOP)", event)
    lost = outcome.report.not_ok()
    outcome.record(note=f"serves again after {replaced:.0f} s; liveness + its grace + 15 s are {limit} s")
    outcome.assert_big_enough()
    assert replaced < limit
    assert all(each.started < hung + NOT_READY_AFTER for each in lost), outcome.report.summary()
    assert all(each.ended < hung + limit for each in lost), outcome.report.summary()


def restarts(scenario: Scenario, pod: str) -> int:
    status = scenario.cluster.get("pod", pod, "--namespace", scenario.namespace)["status"]
    return int(status["containerStatuses"][0]["restartCount"])
