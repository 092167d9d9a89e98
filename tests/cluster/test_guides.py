"""The contrast: the same rolling update with what public guides deploy loses requests, so the scenarios can fail."""

from pathlib import Path

import pytest
import yaml

from scripts.bench import local
from scripts.bench.traffic import Traffic
from scripts.cluster import Cluster, wait_until
from tests.cluster.scenario import Scenario, Timing

BUDGET_SECONDS = 720
pytestmark = pytest.mark.long

MANIFEST = Path(__file__).with_name("manifests") / "guide.yaml"


def deploy(cluster: Cluster, namespace: str, prestop: int) -> Scenario:
    """Applies a guide's manifest and waits until it serves."""
    text = MANIFEST.read_text().replace("IMAGE", local.ensure_double(cluster)).replace("PRESTOP", str(prestop))
    cluster.apply(list(yaml.safe_load_all(text)), "--namespace", namespace)
    cluster.kubectl("rollout", "status", "deployment/guide", "--namespace", namespace, "--timeout=90s")
    options = {"limit": 90}  # a request that a stopped engine never answers is given up then
    return Scenario(
        cluster, namespace, local.service_url(cluster, "guide", namespace), timing=Timing(), options=options
    )


def restart(scenario: Scenario) -> None:
    scenario.cluster.kubectl("rollout", "restart", "deployment/guide", "--namespace", scenario.namespace)
    words = ("rollout", "status", "deployment/guide", "--namespace", scenario.namespace, "--timeout=300s")
    scenario.cluster.kubectl(*words, seconds=310)


def test_without_prestop_a_rolling_update_loses_requests(cluster: Cluster, namespace: str) -> None:
    scenario = deploy(cluster, namespace, prestop=0)
    outcome = scenario.run("rolling update of a guide's manifest, no preStop", lambda _: restart(scenario))
    outcome.record(note="SIGTERM aborts what runs: vLLM's default --shutdown-timeout is 0")
    outcome.assert_big_enough()
    assert len(outcome.report.not_ok()) > 50, outcome.report.summary()


def test_without_prestop_a_scale_down_loses_requests(cluster: Cluster, namespace: str) -> None:
    scenario = deploy(cluster, namespace, prestop=0)

    def event(traffic: Traffic) -> None:
        cluster.kubectl("scale", "deployment/guide", "--replicas=2", "--namespace", namespace)
        wait_until("one pod is gone", lambda: len(pods(scenario)) == 2, seconds=60)
        traffic.wait_for_requests(len(traffic.requests) + 100)

    outcome = scenario.run("scale-down of a guide's manifest, no preStop", event)
    outcome.record(note="every stream of the pod that leaves is cut")
    outcome.assert_big_enough()
    assert len(outcome.report.not_ok()) > 20, outcome.report.summary()


def test_without_a_budget_a_drain_takes_every_replica_at_once(cluster: Cluster, namespace: str) -> None:
    scenario = deploy(cluster, namespace, prestop=0)

    def event(traffic: Traffic) -> None:
        for pod in pods(scenario):
            path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction"
            eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
            cluster.kubectl("create", "--raw", path, "--filename=-", stdin=local.as_json(eviction))
        rolled_out = ("rollout", "status", "deployment/guide", "--namespace", namespace, "--timeout=120s")
        cluster.kubectl(*rolled_out, seconds=130)
        traffic.wait_for_requests(len(traffic.requests) + 100)

    outcome = scenario.run("node drain of a guide's manifest, no PodDisruptionBudget", event)
    outcome.record(note="every eviction is granted at once: until the new pods are up nobody serves")
    outcome.assert_big_enough()
    assert len(outcome.report.not_ok()) > 50, outcome.report.summary()


def pods(scenario: Scenario) -> list[str]:
    """Pods of the guide that have not been told to go."""
    found = scenario.cluster.get("pods", "--namespace", scenario.namespace, "--selector", "app=guide")
    return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]


def test_with_a_prestop_sleep_alone_streams_longer_than_the_sleep_are_lost(cluster: Cluster, namespace: str) -> None:
    scenario = deploy(cluster, namespace, prestop=15)

    def event(_: Traffic) -> None:
        restart(scenario)

    outcome = scenario.run("rolling update of a guide's manifest, preStop 15 s", event)
    lost = outcome.report.not_ok()
    outcome.record(note="requests shorter than the sleep are saved, longer streams are not")
    outcome.assert_big_enough()
    assert {each.group for each in lost} == {"stream"}, outcome.report.summary()
