"""Limits of tenants: rate, concurrency, tokens, divided by the gateway's pods."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from scripts.gateway.process import wait_until
from tests.gateway.conftest import TWO_TENANTS, MakeWorld, World, code, merged


def with_limits(replicas: int = 1, window: int = 1, **limits: float) -> dict[str, Any]:
    gateway = {"replicas": replicas, "limits": {"windowSeconds": window}}
    return merged(TWO_TENANTS, {"gateway": gateway, "tenants": {"team-a": {"limits": limits}}})


def accepted(world: World, *, offered: float, seconds: float) -> float:
    """Requests a second let through of ``offered``, over the time that it really took: a busy machine is slower."""
    count, begin = 0, time.monotonic()
    for number in range(int(offered * seconds)):
        time.sleep(max(0.0, begin + number / offered - time.monotonic()))
        count += world.ask().status_code == 200
    elapsed = time.monotonic() - begin
    if elapsed > 1.25 * seconds:
        pytest.skip("this machine is too busy now to keep to the schedule of the requests")
    return count / elapsed


FIRST_WINDOW = 1.2
"""A window's worth passes at once at the beginning; over six seconds and more that is a fifth at most."""


def test_a_tenant_gets_its_requests_per_second_and_no_more(make_world: MakeWorld) -> None:
    world = make_world(with_limits(requestsPerSecond=20))
    world.pods("tiny")
    assert 0.8 * 20 <= accepted(world, offered=60, seconds=6) <= FIRST_WINDOW * 20


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_rate_is_the_tenants_whatever_the_number_of_gateways(make_world: MakeWorld, replicas: int) -> None:
    worlds = [make_world(with_limits(replicas, requestsPerSecond=20)) for _ in range(replicas)]
    for world in worlds:
        world.pods("tiny")
    with ThreadPoolExecutor(replicas) as pool:
        through = sum(pool.map(lambda world: accepted(world, offered=80 / replicas, seconds=6), worlds))
    assert 0.8 * 20 <= through <= FIRST_WINDOW * 20


def test_a_tenant_under_its_limit_is_never_refused(make_world: MakeWorld) -> None:
    world = make_world(with_limits(requestsPerSecond=50))
    world.pods("tiny")
    answers = []
    for _ in range(60):
        answers.append(world.ask().status_code)
        time.sleep(0.04)
    assert set(answers) == {200}


def test_over_the_rate_there_is_429_with_retry_after(make_world: MakeWorld) -> None:
    world = make_world(with_limits(requestsPerSecond=0.2, window=60))
    world.pods("tiny")
    answers = [world.ask() for _ in range(13)]
    assert [answer.status_code for answer in answers[:12]] == [200] * 12
    assert code(answers[-1]) == (429, "rate_limit_exceeded")
    assert answers[-1].headers["retry-after"] == "1"


def test_a_limit_of_one_tenant_is_none_of_another(make_world: MakeWorld) -> None:
    world = make_world(with_limits(requestsPerSecond=0.05, window=60))
    world.pods("tiny")
    assert [world.ask().status_code for _ in range(4)] == [200, 200, 200, 429]
    assert {world.ask(key="key-b").status_code for _ in range(20)} == {200}


def test_a_tenant_has_no_more_requests_at_once_than_it_may(make_world: MakeWorld) -> None:
    world = make_world(with_limits(concurrentRequests=3))
    [pod] = world.pods("tiny")
    pod.delay = 4
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(world.ask) for _ in range(3)]
        wait_until(lambda: world.demand("tiny") == 3, what="three requests")
        assert code(world.ask()) == (429, "concurrency_limit_exceeded")
        assert all(answer.result().status_code == 200 for answer in running)
    pod.delay = 0
    assert world.ask().status_code == 200


def test_concurrency_is_divided_by_the_gateways_pods(make_world: MakeWorld) -> None:
    world = make_world(with_limits(2, concurrentRequests=4))
    [pod] = world.pods("tiny")
    pod.delay = 4
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(world.ask) for _ in range(2)]
        wait_until(lambda: world.demand("tiny") == 2, what="two requests")
        assert world.ask().status_code == 429
        assert all(answer.result().status_code == 200 for answer in running)


def test_tokens_are_estimated_from_the_request_and_what_it_allows(make_world: MakeWorld) -> None:
    world = make_world(with_limits(tokensPerMinute=1000))
    world.pods("tiny")
    assert world.ask(json={"model": "tiny", "max_tokens": 900, "prompt": "x" * 400}).status_code == 200
    answer = world.ask()
    assert code(answer) == (429, "token_limit_exceeded")
    assert answer.headers["retry-after"] == "10"
    assert "estimate" in answer.json()["error"]["message"]


def test_a_request_that_allows_nothing_counts_what_is_assumed(make_world: MakeWorld) -> None:
    world = make_world(with_limits(tokensPerMinute=600))
    world.pods("tiny")
    assert [world.ask(json={"model": "tiny"}).status_code for _ in range(4)] == [200, 200, 200, 429]


def test_a_negative_allowance_does_not_make_tokens(make_world: MakeWorld) -> None:
    world = make_world(with_limits(tokensPerMinute=600))
    world.pods("tiny")
    answers = [world.ask(json={"model": "tiny", "max_tokens": -100000}).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 429]


def test_what_tenants_use_can_be_scraped(make_world: MakeWorld) -> None:
    world = make_world(with_limits(requestsPerSecond=0.04, window=60, tokensPerMinute=100000))
    world.pods("tiny")
    for _ in range(5):
        world.ask()
    text = httpx.get(f"http://127.0.0.1:{world.ports['metrics']}/metrics/tenants").text
    assert '\nllm_gateway_requests_total{tenant="team-a"} 3\n' in text
    assert '\nllm_gateway_limited_requests_total{tenant="team-a"} 2\n' in text
    assert '\nllm_gateway_running_requests{tenant="team-a"} 0\n' in text
    assert '\nllm_gateway_requests_total{tenant="team-b"} 0\n' in text
