"""A real Prometheus as a process of the test, and exporters that say what a file says."""

import itertools
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from scripts.cluster.host import install
from scripts.gateway.process import wait_until
from scripts.ports import free_port

SELECTOR = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\{[^{}]*\}")
"""A series with its matchers, where strings have been taken out: they may hold braces."""


@dataclass(frozen=True)
class Target:
    """What is scraped: address, path and parameters, and the labels that the cluster's discovery would add."""

    port: int
    labels: Mapping[str, str]
    path: str = "/metrics"
    parameters: Mapping[str, Sequence[str]] | None = None


class Prometheus:
    """A running Prometheus, asked by its API."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, timeout=30)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression answers now; an error of Prometheus is the test's."""
        answer = self.client.post("/api/v1/query", data={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}\n{answer}"
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def get(self, path: str, **parameters: str) -> Any:
        """The data of one of its API's answers."""
        answer = self.client.get(f"/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def silent(self, expressions: Sequence[str]) -> list[str]:
        """Those that answer nothing."""
        return [each for each in expressions if not self.query(each)]


def binary() -> str:
    """Debian's Prometheus, which comes with promtool."""
    if not shutil.which("prometheus"):
        install(["prometheus"], purpose="the tests that scrape")
    return shutil.which("prometheus") or "prometheus"


def configuration(targets: Sequence[Target], rules: Path) -> dict[str, Any]:
    """Scrapes and evaluates every second: what takes minutes in a cluster is there in seconds."""
    jobs = [
        {
            "job_name": f"target-{number}",
            "metrics_path": target.path,
            "params": dict(target.parameters or {}),
            "honor_labels": True,
            "static_configs": [{"targets": [f"127.0.0.1:{target.port}"], "labels": dict(target.labels)}],
        }
        for number, target in enumerate(targets)
    ]
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": jobs,
    }


@contextmanager
def prometheus(folder: Path, targets: Sequence[Target], groups: Sequence[Mapping[str, Any]]) -> Iterator[Prometheus]:
    """Runs Prometheus over targets, with groups of rules, until the block ends."""
    rules, config, port = folder / "rules.yaml", folder / "prometheus.yaml", free_port()
    rules.write_text(json.dumps({"groups": groups}))
    config.write_text(json.dumps(configuration(targets, rules)))
    options = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen([binary(), *options], stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _is_ready(url), seconds=60, what=f"Prometheus ({folder / 'prometheus.log'})")
        yield Prometheus(url)
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", timeout=2).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def exporter(constant: str, growing: Sequence[str] = ()) -> Iterator[int]:
    """Serves metrics and gives the port. What it says is made up: tests say so where they use it.

    Args:
        constant: lines that never change.
        growing: series that are one more at each scrape.
    """
    scrapes = itertools.count(1)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            number = next(scrapes)
            self.wfile.write((constant + "".join(f"{series} {number}\n" for series in growing)).encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


def selections(expression: str) -> list[str]:
    """The selections of series in an expression, each a query of its own: ``name{matchers}``.

    What an alert compares with its threshold must be there, also while the alert stays quiet.
    """
    text, kept = expression, []

    def keep(match: re.Match[str]) -> str:
        kept.append(match.group())
        return f"\0{len(kept) - 1}\0"

    text = re.sub(r'"[^"]*"', keep, text)
    found = SELECTOR.findall(text)
    return [re.sub("\0(\\d+)\0", lambda match: kept[int(match.group(1))], each) for each in found]
