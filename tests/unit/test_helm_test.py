"""The script of the `helm test` pod, as the pod runs it, against small servers on this machine."""

import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts.cluster import pki
from scripts.paths import CHARTS
from scripts.ports import free_port

SCRIPT = (CHARTS / "vllm-model" / "files" / "helm_test.py").read_text()
ANSWERS: dict[str, Any] = {
    "/health": {},
    "/v1/models": {"data": [{"id": "base"}, {"id": "chat"}]},
    "/v1/chat/completions": {"choices": [{"message": {"content": "Hello."}}]},
    "/v1/completions": {"choices": [{"text": "Hello."}]},
    "/v1/embeddings": {"data": [{"embedding": [0.5]}]},
}


class Double(ThreadingHTTPServer):
    """An engine's API: answers by path, an HTTP status where the answer is a number. It remembers what it was asked."""

    def __init__(self, answers: dict[str, Any], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.answers = answers
        self.asked: list[tuple[str, str | None, Any]] = []


class Handler(BaseHTTPRequestHandler):
    server: Double

    def do_GET(self) -> None:
        self.reply(None)

    def do_POST(self) -> None:
        self.reply(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def reply(self, body: Any) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization"), body))
        answer = self.server.answers.get(self.path, 404)
        self.send_response(answer if isinstance(answer, int) else 200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silence: the test's output is the script's."""


@contextmanager
def engine(answers: dict[str, Any], port: int = 0) -> Iterator[Double]:
    with Double(answers, port) as double:
        threading.Thread(target=double.serve_forever, args=(0.05,), daemon=True).start()
        yield double
        double.shutdown()


def start(port: int, **settings: str) -> "subprocess.Popen[str]":
    """Starts the script as the pod does, with the environment that the chart gives it."""
    environment = {
        "URL": f"http://127.0.0.1:{port}",
        "MODEL": "chat",
        "TASK": "chat",
        "WAIT_SECONDS": "0",
        "TIMEOUT_SECONDS": "5",
    }
    command = [sys.executable, "-c", SCRIPT]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment | settings, **pipes)


def run(port: int, **settings: str) -> tuple[int, str]:
    """The script's exit status and all that it said."""
    out, err = (process := start(port, **settings)).communicate(timeout=30)
    return process.returncode, out + err


@pytest.mark.parametrize(
    ("task", "path", "key"),
    [
        ("chat", "/v1/chat/completions", "messages"),
        ("completion", "/v1/completions", "prompt"),
        ("embedding", "/v1/embeddings", "input"),
    ],
)
def test_it_asks_for_health_models_and_one_answer_of_the_served_name(task: str, path: str, key: str) -> None:
    with engine(ANSWERS) as double:
        status, said = run(double.server_port, TASK=task)
    assert status == 0, said
    assert [asked for asked, _, _ in double.asked] == ["/health", "/v1/models", path]
    assert double.asked[2][2]["model"] == "chat"
    assert key in double.asked[2][2]


def test_it_asks_an_engine_that_ends_tls_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    pki.make_authority(tmp_path, "engine")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "engine.crt", tmp_path / "engine.key")
    with engine(ANSWERS) as double:
        double.socket = context.wrap_socket(double.socket, server_side=True)
        status, said = run(double.server_port, URL=f"https://127.0.0.1:{double.server_port}")
    assert status == 0, said
    assert len(double.asked) == 3


def test_it_shows_its_key_where_it_has_one() -> None:
    with engine(ANSWERS) as double:
        run(double.server_port, API_KEY="secret")
        assert {key for _, key, _ in double.asked} == {"Bearer secret"}
        double.asked.clear()
        run(double.server_port)
        assert {key for _, key, _ in double.asked} == {None}


def test_it_waits_for_a_service_that_refuses_connections() -> None:
    port = free_port()
    process = start(port, WAIT_SECONDS="20")
    assert process.stdout
    assert "does not answer yet" in process.stdout.readline()
    with engine(ANSWERS, port):
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, out + err


def test_a_service_without_an_endpoint_fails_with_the_reasons_that_it_may_have() -> None:
    status, said = run(free_port())
    assert status == 1
    assert "No replica is ready" in said


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"/health": 503}, "/health: HTTP 503"),
        ({"/v1/models": {"data": [{"id": "base"}]}}, "'chat' is not served"),
        ({"/v1/models": 401}, "HTTP 401"),
        ({"/v1/chat/completions": {"choices": []}}, "the answer holds nothing"),
        ({"/v1/chat/completions": 500}, "HTTP 500"),
    ],
)
def test_what_is_wrong_is_said_and_fails_the_test(answers: dict[str, Any], reason: str) -> None:
    with engine(ANSWERS | answers) as double:
        status, said = run(double.server_port)
    assert status == 1
    assert reason in said
    assert "Traceback" not in said
