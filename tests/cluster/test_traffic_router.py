"""Argo Rollouts with a traffic router: 5, 25 and 100 percent of the requests, whatever the numbers of pods.

The router is Traefik, set up as docs/rollouts.md says: the two objects are read from that page.
"""

import re
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from scripts.bench import local, operators
from scripts.bench.traffic import Traffic
from scripts.cluster import Cluster, wait_until
from scripts.paths import REPO
from tests.cluster.rollouts import Canary, installed, record, values

BUDGET_SECONDS = 600
pytestmark = pytest.mark.long

RATE = 40
PAUSE: dict[str, Any] = {"pause": {"duration": "45s"}}
STEPS: list[dict[str, Any]] = [{"setWeight": 5}, PAUSE, {"setWeight": 25}, PAUSE]
ROUTING = {"traefik": {"weightedTraefikServiceName": "m"}}
BAD = {"failing": {"DOUBLE_FAILURE_RATE": "1"}, "slow": {"DOUBLE_PREFILL_SECONDS": "3"}}


def objects_of_the_page(namespace: str) -> list[dict[str, Any]]:
    """The TraefikService and the IngressRoute of docs/rollouts.md, for a release named m and plain HTTP."""
    page = (REPO / "docs" / "rollouts.md").read_text()
    (text,) = re.findall(r"```yaml\n(apiVersion: traefik\.io.*?)```", page, re.DOTALL)
    for there, here in {
        "namespace: llm": f"namespace: {namespace}",
        "Host(`llama.example.com`) && ": "",
        "websecure": "web",
        "llama": "m",
    }.items():
        assert there in text
        text = text.replace(there, here)
    return list(yaml.safe_load_all(text))


@pytest.fixture(scope="module")
def model(cluster: Cluster) -> Iterator[Canary]:
    operators.install_traefik(cluster)
    own = {**values(STEPS, trafficRouting=ROUTING), "replicas": 2}
    with cluster.namespace("router") as namespace:
        cluster.apply(objects_of_the_page(namespace))
        yield installed(cluster, namespace, own)


@pytest.fixture
def canary(model: Canary) -> Canary:
    model.settle()
    return model


def load(canary: Canary) -> Traffic:
    """Steady load through the router."""
    url = local.service_url(canary.cluster, "traefik", "traefik")
    return local.traffic(canary.cluster, url, "tiny", rate=RATE, tokens=4, answers="known", seed=3)


def weight(canary: Canary) -> int:
    """Percent of the requests that the router sends to the new version."""
    made = canary.cluster.get("traefikservice", "m", "--namespace", canary.namespace)
    (found,) = [each["weight"] for each in made["spec"]["weighted"]["services"] if each["name"] == "m-canary"]
    return int(found)


def wait_for_weight(canary: Canary, percent: int, seconds: float = 120) -> float:
    """Waits until the router has this weight. Gives the time."""
    wait_until(f"weight {percent}", lambda: weight(canary) == percent, seconds=seconds, pause=0.2)
    return time.time()


def served(canary: Canary, version: str) -> int:
    """Requests for completions that the pods of a version have answered so far."""
    total = 0.0
    for pod in canary.pods(version):
        text = local.metrics(canary.cluster, pod["metadata"]["name"], canary.namespace)
        total += sum(map(float, re.findall(r'^http_requests_total\{.*handler="/v1/[^}]*\} (\S+)', text, re.MULTILINE)))
    return int(total)


def share_of_the_second(canary: Canary, traffic: Traffic, versions: tuple[str, str], requests: int) -> float:
    """Percent of the next requests that the second of the two gets."""
    before = [served(canary, version) for version in versions]
    traffic.wait_for_requests(len(traffic.requests) + requests)
    after = [served(canary, version) for version in versions]
    old, new = (now - then for now, then in zip(after, before, strict=True))
    return 100 * new / (old + new)


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_version_at_five_percent_goes_back_by_itself(canary: Canary, fault: str) -> None:
    with load(canary) as traffic:
        traffic.wait_for_requests(100)
        began = time.time()
        canary.upgrade(BAD[fault])
        wait_for_weight(canary, 5)
        back = canary.wait("the bad version is taken back", "Degraded", aborted=True)
        gone = wait_for_weight(canary, 0)
        traffic.wait_for_requests(len(traffic.requests) + 10 * RATE)
    report = traffic.report()
    lost = report.not_ok()
    meanwhile = [request for request in report.of() if began <= request.started <= gone]
    cost = 100 * len(lost) / len(meanwhile)
    share = f" ({cost:.1f} % until it was back)" if lost else ""
    record(
        f"a {fault} version at 5 percent", "traefik", what="5 % by Traefik, taken back by its analysis",
        requests=f"{len(report.of()):,}", lost=f"{len(lost)}{share}",
        took=f"{back - began:.0f} s",
        note="p95 of the first token and 5xx of the new pods, from Prometheus; windows 6 times shorter than by default",
    )  # fmt: skip
    # The router learns of the weight a moment after the object has it.
    assert [request for request in lost if request.started > gone + 3] == [], report.summary()
    if fault == "failing":
        assert 1 <= cost <= 7, report.summary()
    else:
        assert lost == [], report.summary()


def test_a_new_version_that_hangs_gets_no_more_and_the_route_of_the_old_one_stays(canary: Canary) -> None:
    cluster, namespace, stable = canary.cluster, canary.namespace, canary.behind("m-stable")
    with load(canary) as traffic:
        canary.upgrade({"VLLM_LOGGING_LEVEL": "ERROR"})
        new = wait_until("a Service leads to the new version", lambda: canary.other(stable), seconds=60)
        wait_for_weight(canary, 5)
        (pod,) = canary.pods(new)
        (pid,) = local.engine_pids(cluster, pod["metadata"]["name"], namespace)
        hung = local.send_signal(cluster, pid, signal.SIGSTOP)
        # Its only pod is not ready any more, so its Service is empty: that must not take the route away.
        left_out = wait_for_weight(canary, 0, 60) + 3
        traffic.wait_for_requests(len(traffic.requests) + 8 * RATE)
        local.send_signal(cluster, pid, signal.SIGCONT)
        traffic.wait_for_requests(len(traffic.requests) + RATE)
    report = traffic.report()
    after = [request for request in report.of() if request.started >= left_out]
    lost = report.not_ok()
    record(
        "a new version that hangs at 5 percent", "traefik", what="its pod is not ready, so its weight is set to 0",
        requests=f"{len(report.of()):,}", lost=len(lost), took=f"{left_out - 3 - hung:.0f} s",
        note="0 lost after that; Traefik with allowEmptyServices, without which the route is gone for both versions",
    )  # fmt: skip
    assert len(after) > RATE
    assert [request for request in lost if request in after] == [], report.summary()


def test_a_good_version_gets_5_then_25_then_100_percent_with_nothing_lost(canary: Canary) -> None:
    stable = canary.behind("m-stable")
    shares = {}
    with load(canary) as traffic:
        traffic.wait_for_requests(100)
        began = time.time()
        canary.upgrade({"VLLM_LOGGING_LEVEL": "WARNING"})
        new = wait_until("a Service leads to the new version", lambda: canary.other(stable), seconds=60)
        for percent in (5, 25):
            wait_for_weight(canary, percent)
            traffic.wait_for_requests(len(traffic.requests) + 3 * RATE)
            shares[percent] = share_of_the_second(canary, traffic, (stable, new), 20 * RATE)
        done = canary.wait("the new version has all of the requests", "Healthy", seconds=180)
        wait_until("no pod of the old one is left", lambda: not canary.pods(stable), seconds=120, pause=0.5)
        traffic.wait_for_requests(len(traffic.requests) + 5 * RATE)
    report = traffic.report()
    measured = ", ".join(f"{found:.1f} % at {percent}" for percent, found in shares.items())
    record(
        "a good version by a traffic router", "traefik", what="5, 25, 100 % by Traefik",
        requests=f"{len(report.of()):,}", lost=len(report.not_ok()), took=f"{done - began:.0f} s",
        note=f"the new version got {measured}; judged on the way",
    )  # fmt: skip
    assert abs(shares[5] - 5) <= 1.5
    assert abs(shares[25] - 25) <= 3
    assert canary.behind("m-stable") == new
    assert report.not_ok() == [], report.summary()
