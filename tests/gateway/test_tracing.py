"""Traces: where they begin, how they go on, and the gateway's own spans at a collector."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from scripts.gateway.process import wait_until
from tests.gateway.conftest import TWO_TENANTS, MakeWorld, World, merged
from tests.gateway.doubles import read_body

CLIENTS = f"00-{'a' * 32}-{'b' * 16}-01"


class Collector:
    """An OTLP/HTTP receiver. ``spans`` has what came, ``answers`` tells what it says to it."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.answers = 200
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(read_body(self))
                assert self.path == "/v1/traces"
                for resource in body["resourceSpans"]:
                    for scope in resource["scopeSpans"]:
                        collector.spans += scope["spans"]
                self.send_response(collector.answers)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def one(self) -> dict[str, Any]:
        """The span, once it is there."""
        wait_until(lambda: bool(self.spans), what="a span")
        [span] = self.spans
        return span


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


def traced(collector: Collector | None = None, *, percent: int = 100) -> dict[str, Any]:
    tracing: dict[str, Any] = {"enabled": True, "samplePercent": percent}
    return merged(TWO_TENANTS, {"gateway": {"tracing": tracing | ({"endpoint": collector.url} if collector else {})}})


def attributes(span: Mapping[str, Any]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}


def handed_on(world: World, **headers: str) -> str:
    """The traceparent that an engine gets for a request."""
    [pod] = world.pods("tiny")
    assert world.ask(headers=headers).status_code == 200
    return str(pod.seen[-1]["headers"]["traceparent"])


def test_requests_without_a_trace_get_one_that_the_log_has_too(make_world: MakeWorld) -> None:
    world = make_world(traced())
    parent = handed_on(world)
    version, trace, span, flags = parent.split("-")
    assert (version, len(trace), len(span), flags) == ("00", 32, 16, "01")
    wait_until(lambda: bool(world.haproxy.access_log), what="a line")
    assert world.haproxy.access_log[0]["traceparent"] == parent


def test_a_trace_of_the_client_is_kept(make_world: MakeWorld) -> None:
    assert handed_on(make_world(traced()), traceparent=CLIENTS) == CLIENTS


def test_what_is_no_trace_is_replaced_by_one(make_world: MakeWorld) -> None:
    parent = handed_on(make_world(traced()), traceparent="00-zz-01")
    assert len(parent) == len(CLIENTS)


def test_the_engines_spans_become_children_of_the_gateways(make_world: MakeWorld, collector: Collector) -> None:
    parent = handed_on(make_world(traced(collector)))
    span = collector.one()
    assert parent == f"00-{span['traceId']}-{span['spanId']}-01"
    assert "parentSpanId" not in span


def test_the_gateways_span_is_a_child_of_the_clients(make_world: MakeWorld, collector: Collector) -> None:
    parent = handed_on(make_world(traced(collector, percent=0)), traceparent=CLIENTS)
    span = collector.one()
    assert (span["traceId"], span["parentSpanId"]) == ("a" * 32, "b" * 16)
    assert parent == f"00-{'a' * 32}-{span['spanId']}-01"


def test_a_span_lasts_as_long_as_the_stream(make_world: MakeWorld, collector: Collector) -> None:
    world = make_world(traced(collector))
    [pod] = world.pods("tiny")
    pod.event_gap, pod.events = 0.3, 4
    before = time.time_ns()
    world.ask(json={"model": "tiny", "stream": True})
    span = collector.one()
    began, ended = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
    assert before - 10**9 < began < ended < time.time_ns()
    assert ended - began > 1.1e9


def test_a_span_says_who_asked_for_what_and_how_it_ended(make_world: MakeWorld, collector: Collector) -> None:
    world = make_world(traced(collector))
    world.pods("tiny")
    answer = world.ask()
    span = collector.one()
    assert (span["name"], span["kind"]) == ("POST /v1/chat/completions", 2)
    said = attributes(span)
    assert (said["llm.tenant"], said["gen_ai.request.model"]) == ("team-a", "tiny")
    assert (said["http.response.status_code"], said["llm.request_id"]) == (200, answer.headers["x-request-id"])
    assert "status" not in span


def test_a_request_without_a_pod_is_a_span_of_an_error(make_world: MakeWorld, collector: Collector) -> None:
    world = make_world(traced(collector))
    assert world.ask().status_code == 503
    span = collector.one()
    assert span["status"] == {"code": 2}
    assert attributes(span)["error.type"] == "model_unavailable"


def test_a_name_that_would_break_the_json_is_escaped(make_world: MakeWorld, collector: Collector) -> None:
    world = make_world(traced(collector))
    name = 'a"b\\c\td'
    assert world.ask(model=name).status_code == 404
    assert attributes(collector.one())["gen_ai.request.model"] == name


def test_what_is_not_sampled_is_not_sent(make_world: MakeWorld, collector: Collector) -> None:
    world = make_world(traced(collector, percent=0))
    assert handed_on(world).endswith("-00")
    world.ask(headers={"traceparent": CLIENTS})
    assert collector.one()["traceId"] == "a" * 32  # the later one; spans come in order


def test_requests_are_answered_while_the_collector_is_away(make_world: MakeWorld, collector: Collector) -> None:
    values = traced(collector)
    values["gateway"]["tracing"]["endpoint"] = "http://127.0.0.1:1"
    world = make_world(values)
    world.pods("tiny")
    began = time.monotonic()
    while time.monotonic() - began < 2.5:  # two times a span was sent in vain
        assert world.ask().status_code == 200
    with httpx.Client(base_url=world.url) as fresh:
        assert fresh.get("/healthz").status_code == 200


def test_sending_spans_leaves_no_line_in_the_log(make_world: MakeWorld, collector: Collector) -> None:
    world = make_world(traced(collector))
    for number in (1, 2):  # the line about a sending comes after it: the second is waited for to see that of the first
        world.ask()
        wait_until(lambda number=number: len(collector.spans) == number, what="the spans")  # type: ignore[misc]
    assert [line for line in world.haproxy.log if "/v1/traces" in line] == []
