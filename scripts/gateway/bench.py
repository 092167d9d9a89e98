"""The gateway's cost: added latency and requests a second, beside the engine itself and beside vllm-router.

Everything in one run on one machine. The contender has a core of its own; the load generator (wrk) and the engine, a
HAProxy that answers at once, share the other. Rounds are interleaved, so that what else the machine does hits all
alike, and the median of the rounds is told. The gateway runs as it is rendered: keys, limits and access log on.
"""

import hashlib
import http.client
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from scripts.console import UserError
from scripts.gateway.name_server import NameServer
from scripts.gateway.process import wait_until, write_files
from scripts.gateway.programs import haproxy, wheels
from scripts.platform_chart import stubbed
from scripts.ports import free_port
from scripts.render import render

KEY = "llm-bench-key"
MODEL = "org/bench"
BODIES = {"0.5 KB": 500, "100 KB": 100_000}
CONNECTIONS = (1, 32)
EVENTS, EVENT_GAP = 20, 0.05

ENGINE = """\
global
    nbthread 1
    maxconn 2000
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
frontend engine
    bind {address}:{port}
    http-request return status 200 content-type application/json string '{answer}'
"""

ANSWER = (
    '{"id":"x","object":"chat.completion","model":"org/bench",'
    '"choices":[{"index":0,"message":{"role":"assistant","content":"hello"}}]}'
)

WRK_SCRIPT = """\
wrk.method = "POST"
wrk.body = io.open("{body}"):read("*a")
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer {key}"
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format('RESULT {{"requests":%d,"us":%d,"p50":%d,"p99":%d,"errors":%d}}\\n', summary.requests,
        summary.duration, latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


@dataclass(frozen=True)
class Result:
    """One contender at one size of body and number of connections; medians over the rounds.

    Attributes:
        contender: "engine" for the way without anything between.
        per_second: requests answered a second.
        p50_ms, p99_ms: latency.
        cpu_us: CPU time of the contender for a request. It hardly depends on what else the machine does; 10^6 / cpu_us
            is what a core to itself would do. 0 for the engine.
        errors: answers that were no 2xx, and failures, over all rounds.
    """

    contender: str
    body: str
    connections: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    errors: int


@dataclass(frozen=True)
class Streaming:
    """How evenly tokens arrive that are sent every 50 ms.

    Attributes:
        worst_gap_ms: the longest time between two events.
        bunched: events that came within 5 ms of the one before.
    """

    contender: str
    worst_gap_ms: float
    bunched: int


def pinned(core: int) -> list[str]:
    """Words before a command that bind it to a core, where there are two."""
    return ["taskset", "-c", str(core)] if (os.cpu_count() or 1) > 1 else []


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of its children so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    except OSError:
        return 0
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(int(child)) for child in children)


@dataclass(frozen=True)
class Contender:
    """What is measured: where it listens, and its process (0 for the engine, whose CPU nobody asks for)."""

    url: str
    pid: int = 0


@contextmanager
def process(command: list[str | Path], ready: tuple[str, int], **options: Any) -> Iterator[int]:
    """Runs a program until the block ends; begins when it answers on ``ready``. Gives its process id."""
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)

    def answers() -> bool:
        if running.poll() is not None:
            raise UserError(f"{command[0]} ended with status {running.returncode}")
        try:
            return httpx.get(f"http://{ready[0]}:{ready[1]}/health", timeout=1).status_code < 500
        except httpx.HTTPError:
            return False

    try:
        wait_until(answers, seconds=60, what=str(command[0]))
        yield running.pid
    finally:
        running.terminate()
        running.wait(20)


@contextmanager
def engine(folder: Path, address: str, port: int) -> Iterator[None]:
    """An engine that answers every request at once."""
    config = folder / "engine.cfg"
    config.write_text(ENGINE.format(address=address, port=port, answer=ANSWER), encoding="utf-8")
    command: list[str | Path] = [*pinned(1), haproxy(), "-db", "-f", config]
    with process(command, (address, port)):
        yield


@contextmanager
def gateway(folder: Path, address: str, port: int) -> Iterator[Contender]:
    """The gateway on a core, in front of the engine."""
    names = NameServer()
    names.addresses["bench-pods.llm.svc.cluster.local"] = [address]
    ports = {"api": free_port(), "demand": free_port(), "metrics": free_port()}
    limits = {"requestsPerSecond": 1_000_000, "concurrentRequests": 10_000, "tokensPerMinute": 2_000_000_000}
    values = {
        "gateway": {
            "replicas": 1,
            "threads": 1,
            "bindAddress": "127.0.0.1",
            "ports": ports,
            "dns": {"nameservers": [f"127.0.0.1:{names.port}"]},
            "externalModels": {"bench": {"servedNames": [MODEL], "port": port, "concurrencyPerReplica": 1000}},
        },
        "tenants": {"bench": {"models": ["bench"], "limits": limits}},
    }
    data = render(stubbed(), [values], release="llm", namespace="llm").one("ConfigMap", "llm-gateway")["data"]
    keys = f"{hashlib.sha256(KEY.encode()).hexdigest()} bench\n"
    config = write_files(folder / "gateway", data, {"keys": {"keys.map": keys}})
    with (folder / "access.log").open("w") as log, ExitStack() as stack:
        stack.callback(names.close)
        command: list[str | Path] = [*pinned(0), haproxy(), "-W", "-db", "-f", config]
        running = subprocess.Popen(command, stdout=log, stderr=subprocess.DEVNULL)
        stack.callback(running.wait, 20)
        stack.callback(running.terminate)
        url = f"http://127.0.0.1:{ports['api']}"
        wait_until(lambda: _serves(url), seconds=30, what="the gateway")
        yield Contender(url, running.pid)


@contextmanager
def router(address: str, port: int) -> Iterator[Contender]:
    """vllm-router on a core, in front of the engine."""
    own = free_port()
    command: list[str | Path] = [*pinned(0), sys.executable, "-m", "vllm_router.launch_router"]
    command += ["--worker-urls", f"http://{address}:{port}", "--host", "127.0.0.1", "--port", str(own)]
    command += ["--policy", "round_robin", "--log-level", "error", "--prometheus-port", str(free_port())]
    environment = os.environ | {"PYTHONPATH": str(wheels("rivals")), "TOKIO_WORKER_THREADS": "1"}
    with process(command, ("127.0.0.1", own), env=environment) as pid:
        url = f"http://127.0.0.1:{own}"
        wait_until(lambda: _serves(url), seconds=60, what="vllm-router")
        yield Contender(url, pid)


def _serves(url: str) -> bool:
    headers = {"authorization": f"Bearer {KEY}"}
    try:
        answer = httpx.post(f"{url}/v1/chat/completions", json={"model": MODEL, "messages": []}, headers=headers)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


def find_wrk() -> str:
    """The load generator.

    Raises:
        UserError: it is not installed.
    """
    if found := shutil.which("wrk"):
        return found
    raise UserError("wrk is not installed", why="a client in Python is slower than what it measures",
                    fix="apt-get install wrk")  # fmt: skip


def measure(folder: Path, contender: Contender, body: Path, connections: int, seconds: float) -> dict[str, float]:
    """One round of one contender: requests, duration, percentiles and CPU of a request in microseconds, errors."""
    script = folder / "wrk.lua"
    script.write_text(WRK_SCRIPT.format(body=body, key=KEY), encoding="utf-8")
    command = [*pinned(1), find_wrk(), "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script)]
    before = cpu_seconds(contender.pid)
    done = subprocess.run(
        [*command, f"{contender.url}/v1/chat/completions"], capture_output=True, text=True, check=True
    )
    used = cpu_seconds(contender.pid) - before
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    result: dict[str, float] = json.loads(line.removeprefix("RESULT "))
    return result | {"cpu": used * 1e6 / max(1, result["requests"])}


def write_bodies(folder: Path) -> dict[str, Path]:
    """A request of each size, its model at the beginning as clients write it."""
    found = {}
    for name, size in BODIES.items():
        body = {"model": MODEL, "messages": [{"role": "user", "content": ""}]}
        filler = "x" * (size - len(json.dumps(body)))
        body["messages"] = [{"role": "user", "content": filler}]
        found[name] = folder / f"{size}.json"
        found[name].write_text(json.dumps(body), encoding="utf-8")
    return found


def run(rounds: int, seconds: float) -> tuple[list[Result], list[Streaming]]:
    """The whole bench.

    Args:
        rounds: of every contender, interleaved.
        seconds: of one measurement.
    """
    address, port = "127.0.0.1", free_port()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, ExitStack() as stack:
        folder = Path(scratch)
        stack.enter_context(engine(folder, address, port))
        contenders = {"engine": Contender(f"http://{address}:{port}")}
        contenders["gateway"] = stack.enter_context(gateway(folder, address, port))
        contenders["vllm-router"] = stack.enter_context(router(address, port))
        bodies = write_bodies(folder)
        raw: dict[tuple[str, str, int], list[dict[str, float]]] = {}
        for _ in range(rounds):
            for size, body in bodies.items():
                for connections in CONNECTIONS:
                    for name, contender in contenders.items():
                        found = measure(folder, contender, body, connections, seconds)
                        raw.setdefault((name, size, connections), []).append(found)
    return [_median(*case, found) for case, found in raw.items()], streams()


def _median(contender: str, body: str, connections: int, found: list[dict[str, float]]) -> Result:
    rates = [entry["requests"] / entry["us"] * 1e6 for entry in found]
    p50, p99 = ([entry[key] / 1000 for entry in found] for key in ("p50", "p99"))
    cpu = [entry["cpu"] for entry in found]
    errors = int(sum(entry["errors"] for entry in found))
    rate, half, most, used = (round(statistics.median(values), 3) for values in (rates, p50, p99, cpu))
    return Result(contender, body, connections, rate, half, most, used if contender != "engine" else 0, errors)


class _Stream(BaseHTTPRequestHandler):
    """An engine that sends an event every 50 ms."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        pass

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for number in range(EVENTS if b'"stream"' in body else 1):
            event = b"data: %d\n\n" % number
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
            self.wfile.flush()
            time.sleep(EVENT_GAP)
        self.wfile.write(b"0\r\n\r\n")


def streams() -> list[Streaming]:
    """How evenly a stream arrives through each contender."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Stream)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # health checks hang up early
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = int(server.server_address[1])
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch, ExitStack() as stack:
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        urls = {"engine": f"http://127.0.0.1:{port}"}
        urls["gateway"] = stack.enter_context(gateway(Path(scratch), "127.0.0.1", port)).url
        urls["vllm-router"] = stack.enter_context(router("127.0.0.1", port)).url
        return [_evenness(name, url) for name, url in urls.items()]


def _evenness(contender: str, url: str) -> Streaming:
    host, _, port = url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    body = json.dumps({"model": MODEL, "stream": True, "messages": []})
    connection.request(
        "POST", "/v1/chat/completions", body, {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    )
    answer = connection.getresponse()
    times = []
    while line := answer.readline():
        if line.startswith(b"data:"):
            times.append(time.monotonic())
    connection.close()
    gaps = [1000 * (later - earlier) for earlier, later in itertools.pairwise(times)]
    return Streaming(contender, round(max(gaps), 1), sum(gap < 5 for gap in gaps))


def as_json(results: list[Result], streaming: list[Streaming]) -> str:
    """What is kept of a run."""
    kept = {"results": [asdict(result) for result in results], "streams": [asdict(entry) for entry in streaming]}
    return json.dumps(kept, indent=1) + "\n"
