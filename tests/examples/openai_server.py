"""A server that speaks as much of OpenAI's protocol as the example clients need, on a free port of the loopback."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

KEY = "sk-test"
MODEL = "org/model"
WORDS = ["Rayleigh", " scattering", ": blau, «bleu»", ", blue."]


class Server(ThreadingHTTPServer):
    """Answers, after as many refusals as it was told to give.

    Attributes:
        refusals: 503 answers with Retry-After still to give before a chat is answered.
        breaks: end the stream with an error after the first words.
        asked: bodies of the chats that were answered.
    """

    def __init__(self, refusals: int = 0, breaks: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.refusals, self.breaks = refusals, breaks
        self.asked: list[dict[str, Any]] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the base class's name
        """Says nothing."""

    def send(self, status: int, body: dict[str, Any], **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def is_known(self) -> bool:
        if self.headers["Authorization"] == f"Bearer {KEY}":
            return True
        self.send(401, {"error": {"message": "no such key", "type": "invalid_request_error"}})
        return False

    def do_GET(self) -> None:
        if self.is_known():
            self.send(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.is_known():
            return
        if self.server.refusals:
            self.server.refusals -= 1
            self.send(503, {"error": {"message": "full"}}, Retry_After="0")
        elif body["model"] != MODEL:
            self.send(404, {"error": {"message": f"no model {body['model']}; there are: {MODEL}"}})
        else:
            self.server.asked.append(body)
            self.stream()

    def stream(self) -> None:
        """Words as events. The bytes of one letter are sent apart, as a network may do."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for word in WORDS[: 1 if self.server.breaks else None]:
            delta = {"choices": [{"index": 0, "delta": {"content": word}}]}
            data = f"data: {json.dumps(delta, ensure_ascii=False)}\n\n".encode()
            cut = data.find("«".encode()) + 1 or len(data) // 2
            for part in (data[:cut], data[cut:]):
                self.wfile.write(part)
                self.wfile.flush()
        if self.server.breaks:
            self.wfile.write(b'data: {"error": {"message": "the replica died"}, "choices": []}\n\n')
        else:
            self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True


@contextmanager
def serving(refusals: int = 0, breaks: bool = False) -> Iterator[Server]:
    """A server for the time of a test."""
    server = Server(refusals, breaks)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
