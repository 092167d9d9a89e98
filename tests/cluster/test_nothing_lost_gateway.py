"""Behind the gateway nothing is lost either, and an engine that is killed takes only the streams that it held.

CoreDNS caches for 30 s as kubeadm sets it, so a pod stays in the gateway's answers for that long after it has left.
"""

import secrets
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.bench import gateway, local
from scripts.bench.traffic import Traffic
from scripts.cluster import Cluster, wait_until
from tests.cluster.pods import gone, pods, ready
from tests.cluster.scenario import Scenario, Timing

BUDGET_SECONDS = 300

pytestmark = pytest.mark.long
TIMING = Timing(endpoint=35, drain=25)
"""The umbrella's own preStop behind a gateway: the TTL of the cluster's DNS and 5 s."""

IDLE_SECONDS = 20
GATEWAY = "app.kubernetes.io/component=gateway"
MODEL: dict[str, Any] = {
    "replicas": 3,
    "shutdown": {"drainSeconds": TIMING.drain},
}


def values(model: dict[str, Any] | None = None, **gateway_values: Any) -> dict[str, Any]:
    """The umbrella with one model of three replicas, and a gateway that ends silent streams soon."""
    own = {"timeouts": {"idleSeconds": IDLE_SECONDS}, "shutdown": {"drainSeconds": 90}, **gateway_values}
    return {"models": {"m": local.overlay(local.DOUBLE, MODEL, model or {})}, "gateway": own}


@pytest.fixture(scope="module")
def scenario(cluster: Cluster) -> Iterator[Scenario]:
    local.ensure_double(cluster)
    gateway.ensure_image(cluster)
    with cluster.namespace("gateway") as namespace:
        gateway.apply(cluster, "install", namespace, values(), "--wait", "--timeout", "3m")
        made = Scenario(cluster, namespace, gateway.url(cluster, namespace), path="gateway", timing=TIMING)
        answers(made)
        yield made


def answers(scenario: Scenario) -> None:
    """Waits until the gateway knows all three pods: right after Ready it may not have asked for names yet."""

    def all_known() -> bool:
        line = 'haproxy_backend_active_servers{proxy="model-m"} 3'
        return all(line in metrics(scenario, pod) for pod in gateway_pods(scenario))

    wait_until("the gateway knows three pods", all_known, seconds=90, pause=0.5)


def metrics(scenario: Scenario, pod: str) -> str:
    """The gateway's own figures."""
    path = f"/api/v1/namespaces/{scenario.namespace}/pods/{pod}:8405/proxy/metrics?scope=backend"
    return scenario.cluster.kubectl("get", f"--raw={path}", check=False)


def gateway_pods(scenario: Scenario) -> list[str]:
    found = scenario.cluster.get("pods", "--namespace", scenario.namespace, "--selector", GATEWAY)
    return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]


def rolled_out(scenario: Scenario, deployment: str) -> None:
    words = ("rollout", "status", f"deployment/{deployment}", "--namespace", scenario.namespace, "--timeout=150s")
    scenario.cluster.kubectl(*words, seconds=160)


def test_an_upgrade_of_the_umbrella_that_replaces_every_engine_loses_nothing(scenario: Scenario) -> None:
    ready(scenario)

    def event(_: Traffic) -> None:
        before = pods(scenario)
        changed = values({"engine": {"flags": {"maxNumSeqs": 200}}})
        gateway.apply(scenario.cluster, "upgrade", scenario.namespace, changed)
        rolled_out(scenario, "m")
        gone(scenario, before, seconds=150)

    outcome = scenario.run("rolling update, flags", event)
    outcome.record()
    outcome.assert_nothing_lost()


def test_a_killed_engine_takes_only_the_streams_it_held(scenario: Scenario) -> None:
    ready(scenario)
    answers(scenario)
    victim, held, killed = pods(scenario)[0], 0, 0.0

    def event(traffic: Traffic) -> None:
        nonlocal held, killed
        (pid,) = local.engine_pids(scenario.cluster, victim, scenario.namespace)
        held = local.requests_in(scenario.cluster, victim, scenario.namespace)
        killed = local.send_signal(scenario.cluster, pid, signal.SIGKILL)
        traffic.wait_for_requests(len(traffic.requests) + 300)

    outcome = scenario.run("engine killed (SIGKILL)", event)
    lost = outcome.report.not_ok()
    longest = max(each.ended for each in lost) - killed
    outcome.record(
        note=f"only streams that the dead process held ({len(lost)} of {held} requests), each ended within "
        f"{longest:.1f} s; all others were sent to another replica"
    )
    outcome.assert_big_enough()
    assert 0 < len(lost) < held + 10, outcome.report.summary()
    assert {each.fate for each in lost} == {"cut"}, outcome.report.summary()
    assert all(each.stream and each.started < killed + 1 for each in lost), outcome.report.summary()
    assert longest < 10


def test_a_gateway_pod_that_is_killed_takes_only_what_it_held(scenario: Scenario) -> None:
    ready(scenario)
    answers(scenario)
    victim = gateway_pods(scenario)[0]

    def event(traffic: Traffic) -> None:
        for pid in local.engine_pids(scenario.cluster, victim, scenario.namespace):
            local.send_signal(scenario.cluster, pid, signal.SIGKILL)
        traffic.wait_for_requests(len(traffic.requests) + 300)

    outcome = scenario.run("gateway pod killed (SIGKILL)", event)
    lost = outcome.report.not_ok()
    longest = max(each.ended for each in lost) - outcome.event[0]
    outcome.record(note=f"what one of two gateway pods held; each ended within {longest:.1f} s of the event")
    outcome.assert_big_enough()
    assert len(lost) < len(outcome.in_flight), outcome.report.summary()
    assert all(each.started < outcome.event[1] for each in lost), outcome.report.summary()


def test_a_rolling_update_of_the_gateway_and_its_rollback_lose_nothing(scenario: Scenario) -> None:
    ready(scenario)

    def event(_: Traffic) -> None:
        before = gateway_pods(scenario)
        gateway.apply(scenario.cluster, "upgrade", scenario.namespace, values(hold={"seconds": 120}))
        rolled_out(scenario, "llm-gateway")
        between = gateway_pods(scenario)
        gone(scenario, [name for name in before if name not in between], seconds=150)
        scenario.cluster.helm("rollback", "llm", "--namespace", scenario.namespace)
        rolled_out(scenario, "llm-gateway")
        gone(scenario, between, seconds=150)

    outcome = scenario.run("gateway: rolling update and rollback", event)
    outcome.record()
    outcome.assert_nothing_lost()


def test_an_engine_core_that_hangs_is_ended_by_the_gateways_timeout(scenario: Scenario) -> None:
    ready(scenario)
    answers(scenario)
    victim, hung = pods(scenario)[0], 0.0

    def event(traffic: Traffic) -> None:
        nonlocal hung
        (pid,) = local.engine_pids(scenario.cluster, victim, scenario.namespace)
        hung = local.send_signal(
            scenario.cluster, pid, signal.SIGUSR1
        )  # the double's engine core stops, /health does not
        traffic.wait_for("streams were ended", lambda: any(each.fate != "ok" for each in traffic.requests), seconds=90)
        local.send_signal(scenario.cluster, pid, signal.SIGUSR1)

    outcome = scenario.run("engine core hung (SIGSTOP)", event)
    lost = [each for each in outcome.report.not_ok() if each.stream]
    first = min(each.ended for each in lost) - hung
    outcome.record(
        note=f"/health stays 200; the gateway ends silent streams after {first:.0f} s ({IDLE_SECONDS} s set)"
    )
    assert IDLE_SECONDS - 2 < first < IDLE_SECONDS + 10, outcome.report.summary()


def test_a_model_that_is_added_and_removed_loses_nothing(scenario: Scenario) -> None:
    """A model that comes and goes changes the gateway's configuration, so its pods are replaced twice."""
    ready(scenario)
    name = f"other-{secrets.token_hex(2)}"
    other = local.overlay(local.DOUBLE, {"model": {"id": name}, "shutdown": {"endpointSeconds": 1, "drainSeconds": 1}})

    def event(_: Traffic) -> None:
        two = values()
        two["models"][name] = other
        for wanted in (two, values()):
            before = gateway_pods(scenario)
            gateway.apply(scenario.cluster, "upgrade", scenario.namespace, wanted)
            rolled_out(scenario, "llm-gateway")
            gone(scenario, before, seconds=150)

    outcome = scenario.run("gateway: a model added and removed", event)
    outcome.record()
    outcome.assert_nothing_lost()
