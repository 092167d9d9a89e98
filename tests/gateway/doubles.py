"""What stands in for the models behind the gateway: engines on the loopback interface.

Every pod is an address of its own (127.x.y.z) with the port that the chart names: the configuration is used unchanged.
The engines answer what the gateway must cope with: slow answers, streams, errors, connections that end.
"""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Health checks and clients that give up close connections; that is no failure of a test."""


class Engine:
    """One pod of a model.

    Attributes:
        address: of the pod.
        delay: seconds before it answers.
        status: what it answers; 0 closes the connection without a byte.
        healthy: whether /health answers 200 or 503.
        draining: answers 500 to requests and 200 to /health, as vLLM does.
        seen: each request: method, path, headers, body.
        running: requests it works on now; most: the most there ever were at once.
    """

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port = address, port
        self.delay, self.status, self.draining, self.event_gap, self.events = 0.0, 200, False, 0.1, 5
        self.healthy = True
        self.seen: list[dict[str, Any]] = []
        self.running = self.most = 0
        self.lock = threading.Lock()
        engine = self

        class Handler(_Handler):
            pod = engine

        self.server = _Server((address, port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stops listening, as a pod that is gone: connections are refused."""
        self.server.shutdown()
        self.server.server_close()

    @contextmanager
    def working(self) -> Iterator[None]:
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            yield
        finally:
            with self.lock:
                self.running -= 1


def read_body(request: BaseHTTPRequestHandler) -> bytes:
    """The body of a request, with a length or in chunks."""
    if "content-length" in request.headers:
        return request.rfile.read(int(request.headers["content-length"]))
    parts = []
    while size := int(request.rfile.readline(), 16):
        parts.append(request.rfile.read(size))
        request.rfile.readline()
    request.rfile.readline()
    return b"".join(parts)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    pod: Engine

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        pass

    def do_GET(self) -> None:
        health = 200 if self.pod.healthy else 503
        self._send(health if self.path == "/health" else 404, {"path": self.path})

    def do_POST(self) -> None:
        body = read_body(self)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.pod.seen.append({"path": self.path, "headers": headers, "body": body})
        with self.pod.working():
            time.sleep(self.pod.delay)
            streams = self._answers_well() and (b'"stream": true' in body or b'"stream":true' in body)
            if streams:
                self._stream()
        self._end(streams, len(body))

    def _answers_well(self) -> bool:
        return self.pod.status == 200 and not self.pod.draining

    def _end(self, streams: bool, size: int) -> None:
        """The last bytes of an answer, no longer counted: with them the gateway sends the next request."""
        if self.pod.status == 0:
            self.close_connection = True
        elif streams:
            self.wfile.write(b"0\r\n\r\n")
        elif self._answers_well():
            self._send(200, {"served_by": self.pod.address, "path": self.path, "size": size})
        else:
            self._send(500 if self.pod.draining else self.pod.status, {"error": "engine"})

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number in [*range(self.pod.events), "[DONE]"]:
            event = f"data: {number}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
            if number != "[DONE]":
                time.sleep(self.pod.event_gap)
