"""The same events on vLLM itself: rolling update, drain and SIGKILL of a model on the CPU build.

Streams are slow there (two cores, a hundred streams), so the drain is longer and so are the tests.
"""

import re
import signal
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.bench import double, local
from scripts.bench.traffic import Traffic
from scripts.cluster import Cluster, wait_until
from tests.cluster.kills import kill_engine
from tests.cluster.pods import gone, pods, ready
from tests.cluster.scenario import Scenario, Timing

BUDGET_SECONDS = 2400
pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

TIMING = Timing(endpoint=30, drain=200)
"""preStop is twice the default: a node that is out of breath has been seen to send requests to a pod for 20 s after it
was told to go."""

STREAM_TOKENS = 600
"""A stream of 45 to 90 s: a hundred of them share what one core does (about 1,000 tokens/s)."""

ENGINE = {"flags": {"maxNumSeqs": 128, "maxModelLen": 1024}}
LIVENESS = {"periodSeconds": 10, "timeoutSeconds": 20, "failureThreshold": 3, "terminationGracePeriodSeconds": 10}
BASE: dict[str, Any] = {
    "replicas": 1,
    # A machine has more than one core for its engine and the node's own programs; two have to do here.
    "resources": {"limits": {"cpu": "900m"}},
    "probes": {
        "startup": {"initialDelaySeconds": 5, "periodSeconds": 5, "budgetSeconds": 900, "timeoutSeconds": 20},
        "readiness": {"periodSeconds": 5, "timeoutSeconds": 20},
        "liveness": LIVENESS,
    },
    "availability": {"progressDeadlineSeconds": 1200},
}


def values(**engine: Any) -> dict[str, Any]:
    return local.overlay(local.REAL, BASE, TIMING.values, {"engine": ENGINE}, {"engine": engine})


@pytest.fixture(scope="module")
def scenario(cluster: Cluster) -> Iterator[Scenario]:
    """One replica of the tiny model on the real engine: each more is a gigabyte and minutes of two cores."""
    local.ensure_engine(cluster, "real")
    options = {"rate": 3, "tokens": 2, "stream_tokens": STREAM_TOKENS, "limit": 600, "spread": 30}
    with cluster.namespace("real") as namespace:
        local.helm(cluster, "install", "m", namespace, values())
        url = local.service_url(cluster, "m", namespace)
        made = Scenario(cluster, namespace, url, engine="real", timing=TIMING, options=options)
        ready(made, 1, seconds=1200)
        yield made


def test_the_double_has_every_series_of_the_real_engine(scenario: Scenario) -> None:
    """Names and labels of the two, both with one request behind them."""
    ready(scenario, 1, seconds=1200)
    with scenario.traffic(rate=0, streams=0, clients=1) as traffic:
        traffic.wait_for_requests(1, seconds=120)
    real = series(local.metrics(scenario.cluster, pods(scenario)[0], scenario.namespace))
    with double.running() as engine, Traffic(engine.url, "tiny", clients=1) as traffic:
        traffic.wait_for_requests(1)
        with urllib.request.urlopen(f"{engine.url}/metrics", timeout=10) as answer:  # noqa: S310 (http on loopback)
            imitated = series(answer.read().decode())
    imitated.pop("vllm:cache_config_info")
    assert {name: real.get(name) for name in imitated} == imitated


def series(text: str) -> dict[str, set[str]]:
    """Names of the engine's series in Prometheus' text format, and the labels of each."""
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(vllm:\w+)\{(.*)\} ", text, re.MULTILINE):
        if not name.endswith("_created"):
            found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


def test_a_rolling_update_and_the_drain_of_the_real_engine_lose_nothing(scenario: Scenario) -> None:
    ready(scenario, 1)

    def event(_: Traffic) -> None:
        before = pods(scenario)
        local.helm(scenario.cluster, "upgrade", "m", scenario.namespace, values(env={"VLLM_LOGGING_LEVEL": "WARNING"}))
        rollout = ("rollout", "status", "deployment/m", "--namespace", scenario.namespace, "--timeout=1200s")
        scenario.cluster.kubectl(*rollout, seconds=1210)
        gone(scenario, before, seconds=300)

    outcome = scenario.run("rolling update and drain", event)
    outcome.record(note="one replica; the new pod comes first, the old one drains")
    outcome.assert_nothing_lost()


def test_a_killed_real_engine_takes_only_what_it_held(scenario: Scenario) -> None:
    scenario.cluster.kubectl("scale", "deployment/m", "--replicas=2", "--namespace", scenario.namespace)
    ready(scenario, 2, seconds=1200)
    kill = kill_engine(scenario, requests=200)
    kill.record_behind_service()
    summary = kill.outcome.report.summary()
    kill.outcome.assert_big_enough()
    assert 0 < len(kill.lost) < kill.held + 30, summary
    assert kill.longest < 10, summary


def test_a_hung_api_server_of_the_real_engine_is_replaced_within_liveness_and_its_grace(scenario: Scenario) -> None:
    scenario.cluster.kubectl("scale", "deployment/m", "--replicas=2", "--namespace", scenario.namespace)
    ready(scenario, 2, seconds=1200)
    victim, hung, replaced = pods(scenario)[0], 0.0, 0.0
    before = restarts(scenario, victim)
    # A probe that times out is followed by the next one at once: its period has passed.
    limit = LIVENESS["periodSeconds"] + LIVENESS["timeoutSeconds"] * LIVENESS["failureThreshold"]
    limit += LIVENESS["terminationGracePeriodSeconds"] + 15

    def event(_: Traffic) -> None:
        nonlocal hung, replaced
        pid = local.engine_pids(scenario.cluster, victim, scenario.namespace)[0]
        hung = local.send_signal(scenario.cluster, pid, signal.SIGSTOP)
        wait_until("it is restarted", lambda: restarts(scenario, victim) > before, seconds=limit + 60)
        replaced = time.time() - hung

    outcome = scenario.run("API server of the engine hung (SIGSTOP)", event)
    lost = outcome.report.not_ok()
    outcome.record(note=f"replaced after {replaced:.0f} s; liveness + its grace + 15 s are {limit} s")
    outcome.assert_big_enough()
    assert replaced < limit
    assert all(each.ended < hung + limit for each in lost), outcome.report.summary()


def restarts(scenario: Scenario, pod: str) -> int:
    """How often the engine's container was started again."""
    status = scenario.cluster.get("pod", pod, "--namespace", scenario.namespace)["status"]
    return int(status["containerStatuses"][0]["restartCount"])
