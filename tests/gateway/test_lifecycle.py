"""Zero, changes and the end: models that sleep, keys that change, gateways that leave."""

import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from scripts.gateway.process import wait_until
from tests.gateway.conftest import KEYS, NAMESPACE, TWO_TENANTS, MakeWorld, World, code, keys_map, merged, pod_address
from tests.gateway.doubles import Engine

SLEEPS = merged(TWO_TENANTS, {"gateway": {"externalModels": {"tiny": {"holds": True}}}})


def asleep(world: World) -> str:
    """The model has no pod; its Service has an address that refuses connections. Gives the address."""
    address = pod_address()
    world.names.addresses[f"tiny.{NAMESPACE}.svc.cluster.local"] = [address]
    time.sleep(1.5)  # the gateway looks names up once a second
    return address


def test_a_request_for_a_model_that_sleeps_is_held_counted_and_answered(make_world: MakeWorld) -> None:
    world = make_world(SLEEPS)
    address = asleep(world)
    with ThreadPoolExecutor(3) as pool:
        held = [pool.submit(world.ask) for _ in range(3)]
        wait_until(lambda: world.demand("tiny") == 3, what="a demand of 3")
        engine = Engine(address, world.port)
        began = time.monotonic()
        assert [answer.result().status_code for answer in held] == [200] * 3
        assert time.monotonic() - began < 2.5
    engine.close()
    wait_until(lambda: world.demand("tiny") == 0, what="a demand of 0")


def test_a_request_is_held_while_dns_does_not_know_even_the_models_service(make_world: MakeWorld) -> None:
    """The cluster's DNS caches "no such name" for half a minute: a Service that was just made is not known yet."""
    world = make_world(SLEEPS)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(world.ask)
        wait_until(lambda: world.demand("tiny") == 1, what="a demand of 1")
        engine = Engine(asleep(world), world.port)
        assert held.result().status_code == 200
    engine.close()


def test_the_first_requests_after_a_wake_up_are_served_before_dns_knows_the_pod(make_world: MakeWorld) -> None:
    world = make_world(SLEEPS)
    engine = Engine(asleep(world), world.port)
    assert world.servers_up("tiny") == 0
    assert world.ask().status_code == 200
    engine.close()


def test_a_pod_that_dns_does_not_know_yet_is_reached_through_the_service(make_world: MakeWorld) -> None:
    """The cluster's DNS caches "no such name" for half a minute, and kube-proxy knows a ready pod within a second."""
    world = make_world()
    engine = Engine(asleep(world), world.port)
    wait_until(lambda: world.ask().status_code == 200, what="an answer")
    assert world.servers_up("tiny") == 0
    engine.close()


def test_without_a_pod_behind_the_service_there_is_503_at_once(make_world: MakeWorld) -> None:
    world = make_world()
    asleep(world)
    wait_until(lambda: code(world.ask()) == (503, "model_unavailable"), what="the refusal")
    began = time.monotonic()
    assert code(world.ask()) == (503, "model_unavailable")
    assert time.monotonic() - began < 0.5


def test_a_model_that_does_not_wake_in_time_is_503(make_world: MakeWorld) -> None:
    world = make_world(merged(SLEEPS, {"gateway": {"hold": {"seconds": 2}}}))
    asleep(world)
    began = time.monotonic()
    answer = world.ask()
    assert code(answer) == (503, "model_not_started")
    assert answer.headers["retry-after"] == "30"
    assert 1.5 < time.monotonic() - began < 5


def test_no_more_than_so_many_requests_wait_for_a_model(make_world: MakeWorld) -> None:
    world = make_world(merged(SLEEPS, {"gateway": {"hold": {"maxRequests": 2, "seconds": 3}}}))
    asleep(world)
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(world.ask) for _ in range(2)]
        wait_until(lambda: world.demand("tiny") == 2, what="a demand of 2")
        assert code(world.ask()) == (503, "model_starting")
        assert [answer.result().status_code for answer in held] == [503, 503]


def test_a_client_that_gives_up_no_longer_wakes_the_model(make_world: MakeWorld) -> None:
    world = make_world(SLEEPS)
    asleep(world)
    with pytest.raises(httpx.ReadTimeout):
        world.ask(timeout=0.5)
    wait_until(lambda: world.demand("tiny") == 0, seconds=3, what="a demand of 0")


def test_a_model_that_sleeps_is_listed(make_world: MakeWorld) -> None:
    world = make_world(SLEEPS)
    listed = world.client.get("/v1/models", headers={"authorization": "Bearer key-b"}).json()["data"]
    assert [model["id"] for model in listed] == ["tiny"]


def test_a_model_that_wakes_is_held_no_longer_than_it_loads(make_world: MakeWorld) -> None:
    """A hold that outlasts timeout client: the client says nothing while it waits, and must not be cut off for it."""
    world = make_world(merged(SLEEPS, {"gateway": {"timeouts": {"idleSeconds": 2}, "hold": {"seconds": 20}}}))
    address = asleep(world)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(world.ask)
        time.sleep(4)
        engine = Engine(address, world.port)
        assert held.result().status_code == 200
    engine.close()


class Load:
    """Clients that ask again and again, each over a connection of its own, until told to stop."""

    def __init__(self, world: World, clients: int = 4) -> None:
        self.answers: list[int | str] = []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._ask, args=(world,)) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _ask(self, world: World) -> None:
        with httpx.Client(base_url=world.url, timeout=10) as client:
            while not self.stopped.is_set():
                try:
                    body: dict[str, Any] = {"model": "tiny", "messages": []}
                    answer = client.post("/v1/completions", json=body, headers={"authorization": "Bearer key-b"})
                    self.answers.append(answer.status_code)
                except httpx.HTTPError as error:
                    self.answers.append(repr(error))

    def stop(self) -> list[int | str]:
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        return self.answers


def stream(world: World, events: list[str]) -> threading.Thread:
    """A stream in a thread; its events as they come."""

    def read() -> None:
        body = {"model": "tiny", "stream": True, "messages": []}
        with httpx.stream(
            "POST", f"{world.url}/v1/completions", json=body, headers={"authorization": "Bearer key-a"}, timeout=30
        ) as answer:
            events.extend(line for line in answer.iter_lines() if line)

    thread = threading.Thread(target=read)
    thread.start()
    return thread


@contextmanager
def reloader(world: World) -> Iterator[None]:
    """The second container of the pod, looking every second."""
    process = subprocess.Popen(["sh", world.folder / "config" / "reload.sh", "1", world.folder / "keys"])
    try:
        yield
    finally:
        process.terminate()
        assert process.wait(5) == 0


def reloads(world: World) -> int:
    return sum("Reloading" in line for line in world.haproxy.log)


def test_a_new_key_works_after_a_reload_that_loses_no_request(make_world: MakeWorld) -> None:
    world = make_world()
    [pod, _] = world.pods("tiny", 2)
    pod.event_gap = 0.5
    events: list[str] = []
    streaming = stream(world, events)
    load = Load(world)
    with reloader(world):
        assert world.ask(key="key-new").status_code == 401
        world.names.silent = True  # what the new worker knows, it has from the old one
        (world.folder / "keys" / "keys.map").write_text(keys_map({**KEYS, "key-new": "team-a"}))
        wait_until(lambda: world.ask(key="key-new").status_code == 200, what="the new key")
    answers = load.stop()
    streaming.join()
    assert set(answers) == {200}, {answer: answers.count(answer) for answer in set(answers)}
    assert events[-1] == "data: [DONE]"


def test_after_a_reload_a_pod_that_is_ill_gets_nothing_until_it_is_well(make_world: MakeWorld) -> None:
    world = make_world()
    [_, ill] = world.pods("tiny", 2)
    ill.healthy = False
    wait_until(lambda: world.servers_up("tiny") == 1, seconds=15, what="the end of the ill pod")
    seen = len(ill.seen)
    with reloader(world):
        (world.folder / "keys" / "keys.map").write_text(keys_map({**KEYS, "key-new": "team-a"}))
        wait_until(lambda: world.ask(key="key-new").status_code == 200, what="the new key")
    assert [world.ask(key="key-new").status_code for _ in range(6)] == [200] * 6
    assert len(ill.seen) == seen


def test_a_key_that_was_taken_away_stops_working_after_a_reload(make_world: MakeWorld) -> None:
    world = make_world()
    world.pods("tiny")
    assert world.ask().status_code == 200
    (world.folder / "keys" / "keys.map").write_text(keys_map({"key-b": "team-b"}))
    world.haproxy.reload()
    with httpx.Client(base_url=world.url) as fresh:
        answer = fresh.post("/v1/completions", json={"model": "tiny"}, headers={"authorization": "Bearer key-a"})
    assert answer.status_code == 401


def test_the_reloader_reloads_once_for_a_changed_secret_and_not_without_one(make_world: MakeWorld) -> None:
    world = make_world()
    world.pods("tiny")
    with reloader(world):
        time.sleep(1.5)
        assert not reloads(world)
        (world.folder / "keys" / "keys.map").write_text(keys_map({**KEYS, "key-new": "team-a"}))
        wait_until(lambda: world.ask(key="key-new").status_code == 200, what="the new key")
        time.sleep(1.5)
        assert reloads(world) == 1


def test_the_stop_hook_returns_when_the_last_stream_has_ended(make_world: MakeWorld) -> None:
    world = make_world()
    [pod] = world.pods("tiny")
    pod.event_gap = 0.5
    events: list[str] = []
    streaming = stream(world, events)
    wait_until(lambda: pod.running == 1, what="the stream")
    hook = subprocess.Popen(["sh", world.folder / "config" / "drain.sh", "1"])
    assert world.ask().status_code == 200  # it serves on until everybody has forgotten it
    threading.Thread(target=world.haproxy.process.wait, daemon=True).start()  # as the container's runtime reaps it
    assert hook.wait(15) == 0
    streaming.join()
    assert events[-1] == "data: [DONE]"
    assert world.haproxy.process.poll() is not None


def test_a_gateway_that_leaves_ends_its_streams_first(make_world: MakeWorld) -> None:
    world = make_world()
    [pod] = world.pods("tiny")
    pod.event_gap = 0.5
    events: list[str] = []
    streaming = stream(world, events)
    wait_until(lambda: pod.running == 1, what="the stream")
    world.haproxy.drain()
    streaming.join()
    assert events[-1] == "data: [DONE]"
    world.haproxy.process.wait(10)


def test_a_gateway_that_leaves_takes_no_new_connection_and_fails_its_health_check(make_world: MakeWorld) -> None:
    world = make_world()
    [pod] = world.pods("tiny")
    pod.event_gap = 0.5
    streaming = stream(world, [])
    wait_until(lambda: pod.running == 1, what="the stream")
    world.haproxy.drain()

    def refuses() -> bool:
        try:
            httpx.get(f"{world.url}/healthz", timeout=1)
        except httpx.ConnectError:
            return True
        return False

    wait_until(refuses, what="the end of listening")
    streaming.join()


def test_a_stream_that_outlasts_the_drain_is_cut(make_world: MakeWorld) -> None:
    world = make_world(merged(TWO_TENANTS, {"gateway": {"shutdown": {"drainSeconds": 2}}}))
    [pod] = world.pods("tiny")
    pod.event_gap, pod.events = 0.5, 40
    with ThreadPoolExecutor(1) as pool:
        cut = pool.submit(world.ask, json={"model": "tiny", "stream": True})
        wait_until(lambda: pod.running == 1, what="the stream")
        began = time.monotonic()
        world.haproxy.drain()
        with pytest.raises(httpx.RemoteProtocolError):
            cut.result()
        world.haproxy.process.wait(10)
    assert 1 < time.monotonic() - began < 6
