"""Behind the gateway nothing is lost either, and an engine that is killed takes only the streams that it held.

CoreDNS caches for 30 s as kubeadm sets it, so a pod stays in the gateway's answers for that long after it has left.
"""

import contextlib
import hashlib
import os
import secrets
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.bench import gateway, local
from scripts.bench.load import Request
from scripts.bench.traffic import Traffic
from scripts.cluster import Cluster, wait_until
from scripts.console import UserError
from tests.cluster.kills import kill_engine
from tests.cluster.pods import gone, pods, ready
from tests.cluster.scenario import Scenario, Timing

BUDGET_SECONDS = 1500

pytestmark = pytest.mark.long
TIMING = Timing(endpoint=35, drain=25)
"""The umbrella's own preStop behind a gateway: the TTL of the cluster's DNS and 5 s."""

IDLE_SECONDS = 20
NOTICED_SECONDS = 50
"""The node controller's grace (node-monitor-grace-period)."""

SUSPECTED_SECONDS = 10
"""Three checks of the gateway that get no answer."""

KEYS = "llm-gateway-keys"
TENANT = "everybody"
MODEL: dict[str, Any] = {
    "replicas": 3,
    "shutdown": {"drainSeconds": TIMING.drain},
}


def values(model: dict[str, Any] | None = None, **gateway_values: Any) -> dict[str, Any]:
    """The umbrella with one model of three replicas, and a gateway that ends silent streams soon."""
    own = {
        "timeouts": {"idleSeconds": IDLE_SECONDS},
        "shutdown": {"drainSeconds": 90},
        "auth": {"anonymousTenant": "", "apiKeys": {"enabled": True, "secret": KEYS}},
        **gateway_values,
    }
    return {"models": {"m": local.overlay(local.DOUBLE, MODEL, model or {})}, "gateway": own}


@pytest.fixture(scope="module")
def scenario(cluster: Cluster) -> Iterator[Scenario]:
    local.ensure_double(cluster)
    gateway.ensure_image(cluster)
    key = secrets.token_urlsafe(24)
    with cluster.namespace("gateway") as namespace, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", key)  # where the load looks for it
        give_keys(cluster, namespace, key)
        gateway.apply(cluster, "install", namespace, values(), "--wait", "--timeout", "3m")
        made = Scenario(cluster, namespace, gateway.url(cluster, namespace), path="gateway", timing=TIMING)
        answers(made)
        yield made


def give_keys(cluster: Cluster, namespace: str, *keys: str) -> None:
    """Writes the Secret of the keys that are valid from now on."""
    lines = [f"{hashlib.sha256(key.encode()).hexdigest()} {TENANT}" for key in keys]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": KEYS, "namespace": namespace},
        "stringData": {"keys.map": "\n".join(lines) + "\n"},
    }
    cluster.apply([secret])


def accepted(scenario: Scenario, key: str, tries: int = 8) -> set[int]:
    """What a key gets, asked several times: each of the two gateway pods has its own idea of the keys for a while."""
    code = (
        "import sys, urllib.request as u, urllib.error as e\n"
        f"asked = u.Request('{scenario.url}/v1/models', headers={{'authorization': 'Bearer ' + sys.argv[1]}})\n"
        f"for _ in range({tries}):\n"
        "    try: print(u.urlopen(asked, timeout=5).status)\n"
        "    except e.HTTPError as error: print(error.code)\n"
    )
    return set(map(int, scenario.cluster.inside("python3", "-I", "-c", code, key).split()))


def answers(scenario: Scenario) -> None:
    """Waits until the gateway knows all three pods."""
    gateway.wait_for_servers(scenario.cluster, scenario.namespace, "m", 3)


def gateway_pods(scenario: Scenario) -> list[str]:
    """The gateway's pods, those that are leaving aside."""
    return gateway.pods(scenario.cluster, scenario.namespace)


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
    kill = kill_engine(scenario)
    kill.outcome.record(
        note=f"only streams that the dead process held ({len(kill.lost)} of {kill.held} requests), each ended within "
        f"{kill.longest:.1f} s; all others were sent to another replica"
    )
    summary = kill.outcome.report.summary()
    kill.outcome.assert_big_enough()
    assert 0 < len(kill.lost) < kill.held + 10, summary
    assert kill.late == [], summary
    assert all(each.stream and each.started < kill.at + 1 for each in kill.lost), summary
    assert kill.longest < 10


def test_a_gateway_pod_that_is_killed_takes_only_what_it_held(scenario: Scenario) -> None:
    ready(scenario)
    answers(scenario)
    victim = gateway_pods(scenario)[0]

    def event(traffic: Traffic) -> None:
        for pid in local.engine_pids(scenario.cluster, victim, scenario.namespace):
            local.send_signal(scenario.cluster, pid, signal.SIGKILL)
        traffic.wait_for_requests(len(traffic.requests) + 300)

    outcome = scenario.run("gateway pod killed (SIGKILL)", event)
    killed, lost = outcome.event[0], outcome.report.not_ok()
    refused = [each for each in lost if each.detail.startswith("ConnectionRefusedError")]
    longest = max(each.ended for each in lost) - killed
    outcome.record(
        note=f"{len(lost) - len(refused)} requests of one of two gateway pods, the last ended after {longest:.1f} s; "
        f"{len(refused)} connections refused until its endpoint was gone"
    )
    outcome.assert_big_enough()
    assert len(lost) - len(refused) < len(outcome.in_flight), outcome.report.summary()
    assert longest < 10, outcome.report.summary()
    assert all(each.started < killed + 5 for each in lost), outcome.report.summary()


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


def stuck(request: Request) -> bool:
    """Whether it is a stream that had begun and did not end well."""
    return request.stream and request.fate not in ("", "ok") and request.first > 0


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
        traffic.wait_for("a stream was ended", lambda: any(stuck(each) for each in traffic.requests), seconds=90)
        local.send_signal(scenario.cluster, pid, signal.SIGUSR1)

    outcome = scenario.run("engine core hung (SIGSTOP)", event)
    first = min(each.ended for each in outcome.report.not_ok() if stuck(each)) - hung
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


def test_keys_that_come_and_go_cost_nobody_else_a_request(scenario: Scenario) -> None:
    """Keys are a Secret: the gateway reloads, its pods stay."""
    ready(scenario)
    answers(scenario)
    mine, other = os.environ["OPENAI_API_KEY"], secrets.token_urlsafe(24)
    before = gateway_pods(scenario)

    def event(traffic: Traffic) -> None:
        give_keys(scenario.cluster, scenario.namespace, mine, other)
        wait_until("the new key is taken", lambda: accepted(scenario, other) == {200}, seconds=180, pause=1)
        give_keys(scenario.cluster, scenario.namespace, mine)
        wait_until("it is taken no more", lambda: accepted(scenario, other) == {401}, seconds=180, pause=1)
        traffic.wait_for_requests(len(traffic.requests) + 100)

    outcome = scenario.run("gateway: a key added and removed", event)
    outcome.record(note="two reloads of each gateway pod")
    outcome.assert_nothing_lost()
    assert gateway_pods(scenario) == before


def test_an_upgrade_of_the_umbrella_and_its_rollback_lose_nothing(scenario: Scenario) -> None:
    """Both engine and gateway change at once, and back: what `helm rollback` is for."""
    ready(scenario)

    def event(_: Traffic) -> None:
        changed = values({"engine": {"flags": {"maxNumSeqs": 150}}}, hold={"seconds": 700})
        for step in ("upgrade", "rollback"):
            leaving = pods(scenario) + gateway_pods(scenario)
            if step == "upgrade":
                gateway.apply(scenario.cluster, "upgrade", scenario.namespace, changed)
            else:
                scenario.cluster.helm("rollback", "llm", "--namespace", scenario.namespace)
            rolled_out(scenario, "m")
            rolled_out(scenario, "llm-gateway")
            gone(scenario, leaving, seconds=200)

    outcome = scenario.run("umbrella: helm upgrade and rollback", event)
    outcome.record(note="every engine and every gateway pod is replaced twice")
    outcome.assert_nothing_lost()


def test_a_node_that_vanishes_takes_only_what_its_pod_held(scenario: Scenario) -> None:
    """Its packets are dropped without a word, and its endpoint goes when the node's controller has noticed (50 s)."""
    ready(scenario)
    answers(scenario)
    victim, held, vanished = pods(scenario)[0], 0, 0.0
    (pid,) = local.engine_pids(scenario.cluster, victim, scenario.namespace)

    def event(traffic: Traffic) -> None:
        nonlocal held, vanished
        held = local.requests_in(scenario.cluster, victim, scenario.namespace)
        with blackhole(scenario.cluster, pid):
            vanished = time.time()
            traffic.wait_for("50 s have passed", lambda: time.time() > vanished + NOTICED_SECONDS, seconds=90)
            words = ("delete", "pod", victim, "--namespace", scenario.namespace, "--force", "--grace-period=0")
            scenario.cluster.kubectl(*words)
            traffic.wait_for_requests(len(traffic.requests) + 100)

    outcome = scenario.run("node gone without notice", event)
    lost = outcome.report.not_ok()
    longest = max(each.ended for each in lost) - vanished
    outcome.record(
        note=f"packets of one pod are dropped and its endpoint stays for {NOTICED_SECONDS} s: {len(lost)} of the "
        f"{held} requests that it held and those sent in the first seconds, ended within {longest:.0f} s "
        f"(idleSeconds {IDLE_SECONDS}); the gateway's own checks send the others elsewhere"
    )
    outcome.assert_big_enough()
    assert all(each.started < vanished + SUSPECTED_SECONDS for each in lost), outcome.report.summary()
    assert longest < SUSPECTED_SECONDS + IDLE_SECONDS + 10


@contextlib.contextmanager
def blackhole(cluster: Cluster, pid: int) -> Iterator[None]:
    """Drops every packet to and from the pod of a process, as if its machine had lost its power."""
    nft = ("nsenter", "--target", str(pid), "--net", "nft")
    cluster.inside(*nft, "add", "table", "inet", "vanished")
    for hook in ("input", "output"):
        chain = f"{{ type filter hook {hook} priority 0 ; policy drop ; }}"
        cluster.inside(*nft, "add", "chain", "inet", "vanished", hook, chain)
    try:
        yield
    finally:
        with contextlib.suppress(UserError):  # the pod may be gone, and its namespace with it
            cluster.inside(*nft, "delete", "table", "inet", "vanished")
