"""The way to the pods: streams, queues, retries, balance, and what is written down."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from scripts.gateway.process import wait_until
from tests.gateway.conftest import TWO_TENANTS, MakeWorld, World, code, merged


def arrivals(world: World) -> list[float]:
    """Seconds from the first to each further event of a stream."""
    body = {"model": "tiny", "stream": True, "messages": []}
    headers = {"authorization": "Bearer key-a"}
    with world.client.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
        times = [time.monotonic() for line in answer.iter_lines() if line.startswith("data:")]
    return [moment - times[0] for moment in times]


def test_tokens_of_a_stream_arrive_one_by_one(make_world: MakeWorld) -> None:
    world = make_world()
    world.pods("tiny")[0].event_gap = 0.1
    found = arrivals(world)
    assert len(found) == 6
    assert all(abs(moment - 0.1 * number) < 0.06 for number, moment in enumerate(found)), found


def test_the_engine_sees_the_tenant_and_no_key(make_world: MakeWorld) -> None:
    world = make_world()
    [pod] = world.pods("tiny")
    world.ask(headers={"x-tenant": "other", "x-request-id": "r-1"})
    headers = pod.seen[-1]["headers"]
    assert (headers["x-tenant"], headers["x-request-id"], "authorization" in headers) == ("team-a", "r-1", False)


def test_the_engines_own_key_is_added(make_world: MakeWorld) -> None:
    values = merged(TWO_TENANTS, {"gateway": {"externalModels": {"tiny": {"apiKeySecret": {"name": "k", "key": "v"}}}}})
    world = make_world(values, start=False)
    world.start(environment={"ENGINE_KEY_TINY": "engine-secret"})
    [pod] = world.pods("tiny")
    world.ask()
    assert pod.seen[-1]["headers"]["authorization"] == "Bearer engine-secret"


def limited(per_replica: int, **knobs: object) -> dict[str, object]:
    tiny = {"concurrencyPerReplica": per_replica, **knobs}
    return merged(TWO_TENANTS, {"gateway": {"replicas": 1, "externalModels": {"tiny": tiny}}})


def test_a_pod_gets_no_more_at_once_than_it_takes_and_the_rest_waits(make_world: MakeWorld) -> None:
    world = make_world(limited(2))
    pods = world.pods("tiny", 2)
    for pod in pods:
        pod.delay = 0.6
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: world.ask().status_code, range(8)))
    assert answers == [200] * 8
    assert [pod.most for pod in pods] == [2, 2]


def test_the_limit_of_a_pod_is_divided_by_the_gateways_replicas(make_world: MakeWorld) -> None:
    values = merged(limited(5), {"gateway": {"replicas": 2}})
    assert "maxconn 3 " in make_world(values, start=False).config.read_text()


def test_demand_counts_what_runs_and_what_waits(make_world: MakeWorld) -> None:
    world = make_world(limited(2))
    [pod] = world.pods("tiny")
    pod.delay = 0.8
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(world.ask) for _ in range(5)]
        wait_until(lambda: world.demand("tiny") == 5, what="a demand of 5")
        assert world.demand("large") == 0
        assert all(answer.result().status_code == 200 for answer in asked)
    wait_until(lambda: world.demand("tiny") == 0, what="a demand of 0")


def test_a_full_queue_is_503_with_retry_after(make_world: MakeWorld) -> None:
    world = make_world(limited(1, maxQueue=1))
    [pod] = world.pods("tiny")
    pod.delay = 3  # long enough for a busy machine to ask once more in between
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(world.ask) for _ in range(2)]
        wait_until(lambda: world.demand("tiny") == 2, what="a demand of 2")
        refused = world.ask()
        assert code(refused) == (503, "model_overloaded")
        assert refused.headers["retry-after"] == "5"
        assert all(answer.result().status_code == 200 for answer in asked)


def test_who_waits_too_long_gets_503(make_world: MakeWorld) -> None:
    world = make_world(limited(1, queueSeconds=1))
    [pod] = world.pods("tiny")
    pod.delay = 3
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(world.ask)
        wait_until(lambda: world.demand("tiny") == 1, what="a demand of 1")
        assert code(world.ask()) == (503, "model_unavailable")
        assert first.result().status_code == 200


def test_a_client_that_gives_up_frees_its_place_in_the_queue(make_world: MakeWorld) -> None:
    world = make_world(limited(1))
    [pod] = world.pods("tiny")
    pod.delay = 2
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(world.ask)
        wait_until(lambda: world.demand("tiny") == 1, what="a demand of 1")
        with pytest.raises(httpx.ReadTimeout):
            world.ask(timeout=0.3)
        wait_until(lambda: world.demand("tiny") == 1, what="the second request's end")
        first.result()
    assert len(pod.seen) == 1


def test_no_pod_is_503_in_the_shape_of_openai(make_world: MakeWorld) -> None:
    answer = make_world().ask()
    assert code(answer) == (503, "model_unavailable")
    assert answer.headers["retry-after"] == "5"


def test_an_answer_that_does_not_come_is_504(make_world: MakeWorld) -> None:
    world = make_world(merged(TWO_TENANTS, {"gateway": {"timeouts": {"idleSeconds": 1}}}))
    world.pods("tiny")[0].delay = 2
    assert code(world.ask()) == (504, "model_timeout")


def test_a_connection_that_ends_without_an_answer_is_tried_on_another_pod(make_world: MakeWorld) -> None:
    world = make_world()
    broken, good = world.pods("tiny", 2)
    broken.status = 0
    assert {world.ask().json()["served_by"] for _ in range(6)} == {good.address}
    assert broken.seen


def test_a_503_is_tried_on_another_pod(make_world: MakeWorld) -> None:
    world = make_world()
    busy, good = world.pods("tiny", 2)
    busy.status = 503
    assert {world.ask().json()["served_by"] for _ in range(6)} == {good.address}


def test_a_500_is_never_tried_again(make_world: MakeWorld) -> None:
    world = make_world()
    [pod] = world.pods("tiny")
    pod.status = 500
    assert world.ask().status_code == 500
    assert len(pod.seen) == 1


def test_a_response_that_is_stored_is_never_made_twice(make_world: MakeWorld) -> None:
    world = make_world()
    pods = world.pods("tiny", 2)
    for pod in pods:
        pod.status = 0
    assert world.ask(path="/v1/responses").status_code == 502
    assert sum(len(pod.seen) for pod in pods) == 1


def test_a_pod_that_is_gone_from_dns_gets_nothing_new_and_ends_its_stream(make_world: MakeWorld) -> None:
    world = make_world()
    leaving, staying = world.pods("tiny", 2)
    leaving.event_gap = staying.event_gap = 0.5
    counts: list[int] = []

    def stream() -> None:
        counts.append(len(arrivals(world)))

    threads = [threading.Thread(target=stream) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_until(lambda: bool(leaving.running and staying.running), what="a stream on each pod")
    world.publish("tiny", [staying])
    wait_until(lambda: world.servers_up("tiny") == 1, what="one pod")
    leaving.draining = True
    assert {world.ask().json()["served_by"] for _ in range(6)} == {staying.address}
    for thread in threads:
        thread.join()
    assert counts == [6, 6]


def test_requests_that_begin_alike_go_to_one_pod(make_world: MakeWorld) -> None:
    world = make_world(merged(TWO_TENANTS, {"gateway": {"externalModels": {"tiny": {"balance": "prefixHash"}}}}))
    world.pods("tiny", 3)

    def served_by(question: str, *more: str) -> str:
        messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": question}]
        messages += [{"role": "user", "content": text} for text in more]
        return str(world.ask(json={"model": "tiny", "messages": messages}).json()["served_by"])

    assert len({served_by("a", f"turn {number}") for number in range(10)}) == 1
    assert len({served_by(f"question {number}") for number in range(30)}) == 3


def test_entries_that_share_a_name_share_its_requests_by_weight(make_world: MakeWorld) -> None:
    external = {"stable": {"servedNames": ["chat"], "weight": 90}, "canary": {"servedNames": ["chat"], "weight": 10}}
    world = make_world({"gateway": {"externalModels": external}, "tenants": {"team-a": {"models": ["chat"]}}})
    [stable], [canary] = world.pods("stable"), world.pods("canary")
    for _ in range(200):
        assert world.ask("chat").status_code == 200
    assert len(stable.seen) + len(canary.seen) == 200
    assert 5 <= len(canary.seen) <= 40
    assert world.ask("chat", path="/models/canary/v1/chat/completions").json()["served_by"] == canary.address


def test_entries_that_share_a_name_stand_in_for_one_without_pods(make_world: MakeWorld) -> None:
    external = {"stable": {"servedNames": ["chat"]}, "canary": {"servedNames": ["chat"]}}
    world = make_world({"gateway": {"externalModels": external}, "tenants": {"team-a": {"models": ["chat"]}}})
    world.pods("stable")
    assert {world.ask("chat").status_code for _ in range(20)} == {200}


def test_an_entry_that_a_request_names_itself_is_replaced_by_no_other(make_world: MakeWorld) -> None:
    external = {"stable": {"servedNames": ["chat"]}, "canary": {"servedNames": ["chat"]}}
    world = make_world({"gateway": {"externalModels": external}, "tenants": {"team-a": {"models": ["chat"]}}})
    [stable] = world.pods("stable")
    assert world.ask("chat", path="/models/canary/v1/chat/completions").status_code == 503
    assert stable.seen == []
    assert world.ask("chat", path="/models/stable/v1/chat/completions").status_code == 200


def test_an_entry_of_weight_0_gets_nothing_also_while_the_other_has_no_pods(make_world: MakeWorld) -> None:
    external = {"stable": {"servedNames": ["chat"]}, "canary": {"servedNames": ["chat"], "weight": 0}}
    world = make_world({"gateway": {"externalModels": external}, "tenants": {"team-a": {"models": ["chat"]}}})
    [canary] = world.pods("canary")
    assert {world.ask("chat").status_code for _ in range(5)} == {503}
    world.pods("stable")
    assert {world.ask("chat").status_code for _ in range(20)} == {200}
    assert canary.seen == []


def test_models_lists_only_what_is_up(make_world: MakeWorld) -> None:
    world = make_world()
    world.pods("tiny")
    listed = world.client.get("/v1/models", headers={"authorization": "Bearer key-b"}).json()["data"]
    assert [model["id"] for model in listed] == ["tiny"]


def test_a_name_that_many_models_share_is_listed_while_one_of_them_is_up(make_world: MakeWorld) -> None:
    """HAProxy takes 64 words a line, so the last of twelve is in another line than the first."""
    names = [f"version-{number:02}" for number in range(12)]
    versions = {name: {"servedNames": ["shared"]} for name in names}
    world = make_world(merged(TWO_TENANTS, {"gateway": {"externalModels": versions}}))

    def listed() -> list[str]:
        answer = world.client.get("/v1/models", headers={"authorization": "Bearer key-b"}).json()
        return [model["id"] for model in answer["data"]]

    assert listed() == []
    world.pods(names[-1])
    assert listed() == ["shared"]


def test_the_access_log_has_tenant_model_and_times_and_no_secrets(make_world: MakeWorld) -> None:
    world = make_world()
    [pod] = world.pods("tiny")
    pod.delay = 0.2
    world.ask(path="/v1/chat/completions?secret=1", headers={"x-request-id": "r-1"})
    world.ask("large")
    wait_until(lambda: len(world.haproxy.access_log) == 2, what="two lines")
    served, refused = world.haproxy.access_log
    assert served["tenant"] == "team-a"
    assert served["model"] == "tiny"
    assert served["request_id"] == "r-1"
    assert (served["status"], served["path"], served["server"]) == (200, "/v1/chat/completions", "pod1")
    assert 150 < served["answered_ms"] <= served["total_ms"] < 1000
    assert (refused["status"], refused["error"]) == (403, "model_not_allowed")
    text = json.dumps(world.haproxy.log)
    assert not any(secret in text for secret in ("hello", "key-a", "secret"))
