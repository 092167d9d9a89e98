"""Argo Rollouts around the chart's pod template: a canary that Prometheus judges, back by itself or onward.

Weights are numbers of pods here; test_traffic_router.py has those of a router, test_canary.py those of the gateway.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from scripts.bench import local
from scripts.bench.traffic import Traffic
from scripts.cluster import Cluster, wait_until
from tests.cluster.rollouts import Canary, installed, record, values

BUDGET_SECONDS = 480
pytestmark = pytest.mark.long

RATE = 40
STEPS: list[dict[str, Any]] = [
    {"setWeight": 25},
    {"pause": {"duration": "60s"}},
    {"setWeight": 50},
    {"pause": {"duration": "30s"}},
]
BAD = {"failing": {"DOUBLE_FAILURE_RATE": "0.5"}, "slow": {"DOUBLE_PREFILL_SECONDS": "3"}}


@pytest.fixture(scope="module")
def model(cluster: Cluster) -> Iterator[Canary]:
    with cluster.namespace("rollouts") as namespace:
        yield installed(cluster, namespace, {**values(STEPS), "replicas": 4})


@pytest.fixture
def canary(model: Canary) -> Canary:
    model.settle()
    return model


def load(canary: Canary) -> Traffic:
    """Steady load through the model's Service."""
    url = local.service_url(canary.cluster, "m", canary.namespace)
    return local.traffic(canary.cluster, url, "tiny", rate=RATE, tokens=4, answers="known", seed=3)


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_version_goes_back_by_itself_and_costs_its_share(canary: Canary, fault: str) -> None:
    stable = canary.behind("m-stable")
    with load(canary) as traffic:
        traffic.wait_for_requests(100)
        began = time.time()
        canary.upgrade(BAD[fault])
        bad = wait_until("a Service leads to the new version", lambda: canary.other(stable), seconds=60)
        back = canary.wait("the bad version is taken back", "Degraded", aborted=True)
        most = max(canary.updated)
        wait_until("no pod of it is left", lambda: not canary.pods(bad), seconds=90, pause=0.5)
        gone = time.time()
        traffic.wait_for_requests(len(traffic.requests) + 5 * RATE)
    report = traffic.report()
    lost = report.not_ok()
    record(
        f"a {fault} version, by Argo Rollouts", what="one pod of four, taken back by its analysis",
        requests=f"{len(report.of()):,}", lost=len(lost), took=f"{back - began:.0f} s",
        note="p95 of the first token and 5xx of the new pods, from Prometheus; windows 6 times shorter than by default",
    )  # fmt: skip
    assert most == 1
    assert canary.behind("m-stable") == stable
    assert [request for request in lost if request.started > gone] == [], report.summary()
    if fault == "failing":
        assert 1 <= len(lost) <= 0.25 * len(report.of()), report.summary()
    else:
        assert lost == [], report.summary()


def test_a_good_version_is_promoted_step_by_step_with_nothing_lost(canary: Canary) -> None:
    stable = canary.behind("m-stable")
    with load(canary) as traffic:
        traffic.wait_for_requests(100)
        began = time.time()
        canary.upgrade({"VLLM_LOGGING_LEVEL": "WARNING"})
        done = canary.wait("the new version has all of the pods", "Healthy", seconds=300)
        traffic.wait_for_requests(len(traffic.requests) + 5 * RATE)
    report = traffic.report()
    record(
        "a good version, by Argo Rollouts", what="1, 2, 4 pods of four", requests=f"{len(report.of()):,}",
        lost=len(report.not_ok()), took=f"{done - began:.0f} s", note="judged on the way by the same analysis",
    )  # fmt: skip
    assert [number for number in (1, 2, 4) if number in canary.updated] == [1, 2, 4]
    assert canary.behind("m-stable") not in {"", stable}
    assert report.not_ok() == [], report.summary()
