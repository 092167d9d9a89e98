"""The real engine behind the gateway: held at zero until it is up, and hung while /health says that all is well."""

import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.bench import gateway, local, operators
from scripts.bench.proof import Record
from scripts.cluster import Cluster, wait_until
from scripts.kubernetes_modules import KUBERNETES_VERSION
from scripts.render import render
from tests.cluster.pods import pods
from tests.cluster.scenario import Scenario, versions
from tests.cluster.timeline import Timeline

BUDGET_SECONDS = 900
pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

IDLE_SECONDS = 20
HELD = 20
ENGINE: dict[str, Any] = {
    "engine": {"flags": {"maxNumSeqs": 32, "maxModelLen": 4096}},
    "probes": {
        "startup": {"initialDelaySeconds": 5, "periodSeconds": 2, "timeoutSeconds": 20, "budgetSeconds": 600},
        "readiness": {"periodSeconds": 2, "timeoutSeconds": 20},
        "liveness": {"timeoutSeconds": 30},
    },
    "autoscaling": {"type": "keda", "minReplicas": 0, "maxReplicas": 1},
    "shutdown": {"endpointSeconds": 2, "drainSeconds": 10},
    "networkPolicy": {"enabled": False},
}


def stuck_alert(namespace: str) -> list[dict[str, Any]]:
    """The chart's alert of an engine that runs requests and makes no token; it fires at once here."""
    rules = {"enabled": True, "alerts": {"engineStuck": {"for": "0s"}}}
    made = render("vllm-model", [local.REAL, {"monitoring": {"rules": rules}}], release="m", namespace=namespace)
    (group,) = made.one("PrometheusRule")["spec"]["groups"]
    return [{**group, "rules": [rule for rule in group["rules"] if rule["alert"] == "VllmEngineStuck"]}]


@pytest.fixture(scope="module")
def scenario(cluster: Cluster) -> Iterator[Scenario]:
    """The umbrella with the tiny model at zero replicas."""
    operators.install_keda(cluster)
    real = local.ensure_engine(cluster, "real")
    gateway.ensure_image(cluster)
    with cluster.namespace("real-gateway") as namespace:
        operators.install_prometheus(cluster, "5s", stuck_alert(namespace))
        values = {
            "models": {"m": local.overlay(real, ENGINE)},
            "gateway": {"timeouts": {"idleSeconds": IDLE_SECONDS}, "hold": {"seconds": 900}},
        }
        gateway.apply(cluster, "install", namespace, values)
        cluster.kubectl("scale", "deployment/m", "--replicas=0", "--namespace", namespace)
        cluster.kubectl("rollout", "status", "deployment/llm-gateway", "-n", namespace, "--timeout=90s")
        made = Scenario(cluster, namespace, gateway.url(cluster, namespace), engine="real", path="gateway")
        wait_until("the model has no pod", lambda: not pods(made), seconds=60)
        yield made
        operators.install_prometheus(cluster)


def test_requests_to_a_sleeping_real_engine_are_held_until_it_is_up_and_all_are_answered(scenario: Scenario) -> None:
    with (
        Timeline(scenario.cluster, scenario.namespace, "m") as timeline,
        local.traffic(scenario.cluster, scenario.url, "tiny", tokens=8, limit=800) as traffic,
    ):
        traffic.tell(f"burst {HELD}")
        traffic.wait_for_requests(HELD, seconds=800)
    report = traffic.report()
    began = min(request.started for request in report.requests)
    decision, up = timeline.since(began, wanted=1), timeline.since(began, ready=1)
    assert decision is not None
    assert up is not None
    added = max(request.first for request in report.requests) - (began + up)
    names = {"Kubernetes": KUBERNETES_VERSION, "vLLM": "0.32.0 (CPU)", **versions("keda-operator")}
    figures = {
        "requests": HELD, "answered": report.fates()["ok"], "decision": f"{decision:.1f} s", "added": f"{added:.1f} s",
        "note": f"the engine takes {up - decision:.0f} s to start on two cores",
    }  # fmt: skip
    Record("zero", f"{HELD} requests at once", "real", figures, names, seed=1).write()
    assert report.fates() == {"ok": HELD}, report.summary()
    assert decision <= 3


def test_a_real_engine_core_that_hangs_is_told_by_the_alert_and_its_streams_are_ended_by_the_gateway(
    scenario: Scenario,
) -> None:
    cluster, namespace = scenario.cluster, scenario.namespace
    (pod,) = pods(scenario)
    streams = local.traffic(cluster, scenario.url, "tiny", streams=10, stream_tokens=4000, spread=1, limit=300)
    with streams as traffic:
        traffic.wait_for_streams(10, seconds=60)
        # The API server goes on and says 200 on /health: only what it started is stopped.
        _, *core = local.engine_pids(cluster, pod, namespace)
        hung = min(local.send_signal(cluster, pid, signal.SIGSTOP) for pid in core)
        try:
            traffic.wait_for("ten streams were ended", lambda: len(cut(traffic)) >= 10, seconds=120)
            first = min(each.ended for each in cut(traffic)) - hung
            traffic.tell("stop")
            firing = f'ALERTS{{alertname="VllmEngineStuck",namespace="{namespace}",alertstate="firing"}}'
            operators.wait_for_series(cluster, firing, seconds=240)
            told = time.time() - hung
            healthy = any(
                each["type"] == "Ready" and each["status"] == "True"
                for each in cluster.get("pod", pod, "--namespace", namespace)["status"]["conditions"]
            )
        finally:
            for pid in core:
                local.send_signal(cluster, pid, signal.SIGCONT)
    names = {"Kubernetes": KUBERNETES_VERSION, "vLLM": "0.32.0 (CPU)", **versions("prometheus")}
    figures = {
        "path": "gateway", "requests": len(traffic.report().of()), "lost": len(cut(traffic)), "in_flight": 10,
        "note": f"/health stays 200; the gateway ends silent streams after {first:.0f} s ({IDLE_SECONDS} s set); "
        f"VllmEngineStuck fires after {told:.0f} s (and a minute more by default)",
    }  # fmt: skip
    Record("nothing-lost", "engine core hung (SIGSTOP)", "real", figures, names, seed=1).write()
    assert healthy
    assert IDLE_SECONDS - 2 < first < IDLE_SECONDS + 10


def cut(traffic: Any) -> list[Any]:
    """Streams that had an answer and not its end. Not each had a token: two cores bring those late and all at once."""
    return [each for each in traffic.report().not_ok() if each.fate == "cut"]
