"""The traffic driver tells apart what can become of a request."""

import socketserver
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.bench import double
from scripts.bench.load import known_answer, parse_profile, rate_at
from scripts.bench.traffic import Report, Traffic
from scripts.ports import free_port

HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE = '{"choices":[{"delta":{"content":"amber"}}]}'
ERROR = '{"error":{"message":"gone","code":500}}'
USAGE = '{"choices":[],"usage":{"completion_tokens":1}}'


def chunk(text: str) -> str:
    """One piece of a chunked body."""
    return f"{len(text):x}\r\n{text}\r\n"


def event(data: str) -> str:
    """One server-sent event as a piece of a chunked body."""
    return chunk(f"data: {data}\n\n")


@contextmanager
def server(answer: str) -> Iterator[str]:
    """A server that sends the same bytes to everyone and hangs up."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(answer.encode())

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()


def fate_of(
    url: str, *, stream: bool = True, tokens: int = 1, answers: str = "counted", limit: float = 5
) -> tuple[str, str]:
    """Sends one request and gives its fate and the detail."""
    options: dict[str, Any] = {"tokens": tokens, "answers": answers, "limit": limit, "clients": 1, "seconds": 0.01}
    with Traffic(url, "tiny", stream_share=1 if stream else 0, **options) as traffic:
        traffic.tell("burst 1")
        traffic.wait_for_requests(1)
    request = traffic.report().requests[0]
    return request.fate, request.detail


@pytest.mark.parametrize(
    ("answer", "fate"),
    [
        (HEAD + event(PIECE) + event(USAGE) + event("[DONE]") + "0\r\n\r\n", "ok"),
        (HEAD + event(PIECE) + event(ERROR) + event("[DONE]") + "0\r\n\r\n", "error"),
        (HEAD + event(PIECE) + event(USAGE) + "0\r\n\r\n", "cut"),
        (HEAD + event(PIECE) + "20\r\ndata: ", "cut"),
        (HEAD + event(PIECE) + event(PIECE) + event(USAGE.replace("1", "2")) + event("[DONE]") + "0\r\n\r\n", "wrong"),
        ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}", "refused"),
        ("HTTP/1.1 200 OK\r\nContent-Ty", "cut"),
        ("", "unreachable"),
    ],
    ids=["whole", "error event", "no DONE", "inside a chunk", "too many tokens", "status", "inside headers", "silent"],
)
def test_each_way_to_end_has_its_own_fate(answer: str, fate: str) -> None:
    with server(answer) as url:
        assert fate_of(url)[0] == fate


def test_a_port_that_nobody_listens_on_is_unreachable() -> None:
    fate, detail = fate_of(f"http://127.0.0.1:{free_port()}")
    assert fate == "unreachable"
    assert "Connect" in detail


@pytest.mark.parametrize("stream", [True, False])
def test_the_known_answer_is_the_doubles_answer(stream: bool) -> None:
    with double.running(tokens_per_second=500) as engine:
        assert fate_of(engine.url, stream=stream, tokens=20, answers="known")[0] == "ok"


def test_another_answer_of_the_same_length_is_wrong() -> None:
    answer = HEAD + event(PIECE.replace("amber", "zebra")) + event(USAGE) + event("[DONE]") + "0\r\n\r\n"
    with server(answer) as url:
        assert fate_of(url, answers="known")[0] == "wrong"
        assert fate_of(url, answers="counted")[0] == "ok"


def test_a_request_that_takes_longer_than_the_limit_is_cut() -> None:
    with double.running(tokens_per_second=1) as engine:
        fate, detail = fate_of(engine.url, tokens=30, limit=1)
    assert (fate, detail) == ("cut", "given up after 1 s")


def test_the_load_keeps_the_rate_and_the_streams_it_was_asked_for() -> None:
    with double.running(tokens_per_second=200) as engine:
        options: dict[str, Any] = {
            "rate": "50",
            "tokens": 4,
            "streams": 10,
            "stream_tokens": 200,
            "spread": 0.1,
            "answers": "known",
        }
        with Traffic(engine.url, "tiny", **options) as traffic:
            traffic.wait_for_streams(10)
            traffic.wait_for_requests(150)
    report = traffic.report()
    assert report.fates() == {"ok": len(report.requests)}
    short = report.of("short")
    span = max(each.started for each in short) - min(each.started for each in short)
    assert 35 < len(short) / span < 65


def test_stopping_waits_for_what_is_in_flight() -> None:
    with (
        double.running(tokens_per_second=40) as engine,
        Traffic(engine.url, "tiny", streams=5, stream_tokens=80, spread=0.1) as traffic,
    ):
        traffic.wait_for_streams(5)
    assert traffic.report().fates() == {"ok": 5}


@pytest.mark.timeout(30)
def test_an_error_ends_the_load_also_behind_a_program_that_forks() -> None:
    """What enters a cluster's namespaces does: its end alone would leave the load, and who reads it, running."""

    def forking(command: Sequence[str]) -> Sequence[str]:
        return [sys.executable, "-c", "import subprocess, sys; subprocess.call(sys.argv[1:])", *command]

    def fails(url: str) -> None:
        with Traffic(url, "tiny", around=forking, clients=1) as traffic:
            traffic.wait_for_requests(1)
            raise RuntimeError("the test fails")

    with double.running() as engine, pytest.raises(RuntimeError, match="the test fails"):
        fails(engine.url)


def test_clients_that_leave_are_not_counted_as_lost() -> None:
    with double.running(tokens_per_second=5) as engine, Traffic(engine.url, "tiny") as traffic:
        traffic.tell("burst 3 100")
        traffic.wait_for("3 begun", lambda: traffic.status["running"].get("burst", 0) == 3)
        traffic.tell("leave")
        traffic.wait_for_requests(3)
    report = traffic.report()
    assert report.fates() == {"left": 3}
    assert report.not_ok() == []


def test_a_profile_is_straight_lines_between_its_points() -> None:
    profile = parse_profile("0:2,10:12,20:12")
    assert [rate_at(profile, second) for second in (0, 5, 10, 15, 30)] == [2, 7, 12, 12, 12]
    assert rate_at(parse_profile("7"), 99) == 7


def test_streams_in_flight_at_a_moment_are_those_that_had_begun_and_not_ended() -> None:
    with (
        double.running(tokens_per_second=50) as engine,
        Traffic(engine.url, "tiny", streams=4, stream_tokens=100, spread=0.1) as traffic,
    ):
        traffic.wait_for_streams(4)
        with traffic.window("event"):
            pass
    report = traffic.report()
    assert len(report.in_flight_at(report.windows["event"][0])) == 4
    assert report.in_flight_at(report.windows["event"][0] + 60) == []


def test_two_prompts_have_different_answers() -> None:
    texts = {known_answer(f"request {number} of tiny", 4) for number in range(40)}
    assert len(texts) > 8


def test_a_report_is_kept_with_the_command_that_repeats_it(tmp_path: Path) -> None:
    Report([], {"event": (1.0, 2.0)}, ["load.py", "--seed", "7"]).write(tmp_path / "run" / "traffic.jsonl")
    assert '"--seed", "7"' in (tmp_path / "run" / "traffic.jsonl").read_text()
