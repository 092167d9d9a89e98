"""Limits of tenants: rate, concurrency, tokens, divided by the gateway's pods."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from scripts.gateway.process import wait_until
from tests.gateway.conftest import TWO_TENANTS, MakeWorld, World, code, merged


def with_limits(replicas: int = 1, window: int = 1, **limits: float) -> dict[str, Any]:
    gateway = {"replicas": replicas, "limits": {"windowSeconds": window}}
    return merged(TWO_TENANTS, {"gateway": gateway, "tenants": {"team-a": {"limits": limits}}})


@dataclass(frozen=True)
class Ask:
    """One request: when it began and ended, and whether it was let through or refused for the rate."""

    began: float
    ended: float
    through: bool


def ask_for(world: World, seconds: float) -> list[Ask]:
    """Asks one request after the other, far faster than any limit here."""
    asked: list[Ask] = []
    until = time.monotonic() + seconds
    while (began := time.monotonic()) < until:
        status = world.ask().status_code
        assert status in (200, 429)
        asked.append(Ask(began, time.monotonic(), status == 200))
    return asked


WINDOW = 1
RATE = 10


def most_let_through(asked: list[Ask], rate: float) -> float:
    """The most that a limit lets through while all this was asked: the rate, and one window's worth at the beginning.

    By the time that really passed, so that a busy machine changes nothing. A tenth is left to HAProxy's estimate, which
    takes what came before the current window as spread evenly.
    """
    return 1.1 * rate * (asked[-1].ended - asked[0].began + WINDOW)


def least_let_through(asked: list[Ask], rate: float) -> float:
    """The least: four fifths of the rate, over the time in which it was really asked twice as often as that."""
    gaps = (later.ended - sooner.ended for sooner, later in itertools.pairwise(asked))
    return 0.8 * rate * sum(gap for gap in gaps if gap <= 0.5 / rate)


@pytest.mark.parametrize("replicas", [1, 2])
def test_the_rate_is_the_tenants_whatever_the_number_of_gateways(make_world: MakeWorld, replicas: int) -> None:
    worlds = [make_world(with_limits(replicas, WINDOW, requestsPerSecond=RATE)) for _ in range(replicas)]
    for world in worlds:
        world.pods("tiny")
    with ThreadPoolExecutor(replicas) as pool:
        asked = list(pool.map(lambda world: ask_for(world, 4), worlds))
    share = RATE / replicas
    for of_one in asked:
        assert not all(ask.through for ask in of_one)
        assert least_let_through(of_one, share) <= sum(ask.through for ask in of_one) <= most_let_through(of_one, share)


def test_the_judgement_of_a_rate_does_not_depend_on_how_busy_the_machine_is() -> None:
    """Four seconds of 100 requests of which 10 go through; then the same with a standstill of two seconds in it."""
    steady = [Ask(n / 100, n / 100 + 0.001, n % 10 == 0) for n in range(400)]
    halted = [Ask(ask.began + 2, ask.ended + 2, ask.through) if ask.began > 2 else ask for ask in steady]
    for asked in (steady, halted):
        through = sum(ask.through for ask in asked)
        assert least_let_through(asked, 10) <= through <= most_let_through(asked, 10)
    assert through < least_let_through(halted, 20)
    assert sum(ask.through for ask in steady) > most_let_through(steady, 6)


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
