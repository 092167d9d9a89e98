"""The script that fetches weights, as the pod runs it: the real huggingface_hub against a hub on this machine."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from scripts.paths import CHARTS

SCRIPT = (CHARTS / "vllm-model" / "files" / "hub_download.py").read_text()
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SAFETENSORS = {
    "config.json": b"{}",
    "model-00001-of-00002.safetensors": b"a" * 5000,
    "model-00002-of-00002.safetensors": b"b" * 5000,
    "original/consolidated.00.pth": b"c" * 5000,
    "metal/model.bin": b"d" * 5000,
    "pytorch_model.bin": b"e" * 5000,
    "tokenizer.json": b"{}",
}
OLDER = {"config.json": b"{}", "pytorch_model.bin": b"e" * 5000, "onnx/model.onnx": b"f" * 5000}


class Hub(ThreadingHTTPServer):
    """One repository. It remembers which files it sent, and breaks off in the middle of those in ``broken``."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.sent: list[tuple[str, str | None]] = []
        self.broken: set[str] = set()


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Says nothing."""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        path = self.path.split("?")[0]
        if path.startswith("/api/models/org/model/tree/"):
            entries = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha256(content).hexdigest()}
                for name, content in self.server.files.items()
            ]
            self.reply(json.dumps(entries).encode(), {}, body=body)
            return
        if path.startswith("/api/models/org/model"):
            siblings = [{"rfilename": name} for name in self.server.files]
            told = {"id": "org/model", "sha": COMMIT, "siblings": siblings}
            self.reply(json.dumps(told).encode(), {}, body=body)
            return
        name = path.split(f"/resolve/{COMMIT}/")[-1].removeprefix("/org/model/resolve/main/")
        if name not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[name]
        tag = hashlib.sha256(content).hexdigest()
        headers = {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if body:
            self.server.sent.append((name, self.headers.get("Range")))
        self.reply(content, headers, body=body, cut=body and name in self.server.broken)

    def reply(self, content: bytes, headers: dict[str, str], *, body: bool, cut: bool = False) -> None:
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        for key, value in headers.items():
            self.send_header(key, value)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if body:
            self.wfile.write(content[start : len(content) // 2] if cut else content[start:])
        if cut:
            self.close_connection = True


@pytest.fixture
def hub(request: pytest.FixtureRequest) -> Iterator[Hub]:
    """A hub that serves the files of the test's parameter, else a repository with safetensors."""
    server = Hub(dict(getattr(request, "param", SAFETENSORS)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def fetch(hub: Hub, cache: Path, *, model: str = "org/model") -> subprocess.CompletedProcess[str]:
    """Runs the script with the environment that the chart gives it."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(cache / "tmp"),
        "HF_HOME": str(cache / "huggingface"),
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server_port}",
        "HF_HUB_DISABLE_XET": "1",
        "MODEL": model,
        "REVISION": "",
        "MARKER": str(cache / ".complete"),
    }
    command = [sys.executable, "-c", SCRIPT]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def fetched(cache: Path) -> set[str]:
    """The files of the snapshot, by their path in the repository."""
    folder = cache / "huggingface" / "hub" / "models--org--model" / "snapshots" / COMMIT
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_weights_come_once_and_in_one_form(hub: Hub, tmp_path: Path) -> None:
    """`original/` and `metal/` are as large as the weights, and vLLM reads neither."""
    done = fetch(hub, tmp_path)
    assert done.returncode == 0, done.stderr
    assert fetched(tmp_path) == {
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "tokenizer.json",
    }


@pytest.mark.parametrize("hub", [OLDER], indirect=True, ids=["no safetensors"])
def test_older_form_is_fetched_where_there_is_no_other(hub: Hub, tmp_path: Path) -> None:
    assert fetch(hub, tmp_path).returncode == 0
    assert fetched(tmp_path) == {"config.json", "pytorch_model.bin"}


def test_whole_weights_are_not_asked_for_again(hub: Hub, tmp_path: Path) -> None:
    fetch(hub, tmp_path)
    hub.sent.clear()
    done = fetch(hub, tmp_path)
    assert done.returncode == 0
    assert "the weights are whole" in done.stdout
    assert hub.sent == []


def test_broken_download_leaves_no_marker_and_goes_on_with_what_is_missing(hub: Hub, tmp_path: Path) -> None:
    hub.broken.add("model-00002-of-00002.safetensors")
    assert fetch(hub, tmp_path).returncode != 0
    assert not (tmp_path / ".complete").exists()
    hub.broken.clear()
    hub.sent.clear()
    assert fetch(hub, tmp_path).returncode == 0
    assert (tmp_path / ".complete").exists()
    assert {name for name, _ in hub.sent} == {"model-00002-of-00002.safetensors"}


def test_missing_repository_fails_and_leaves_no_marker(hub: Hub, tmp_path: Path) -> None:
    done = fetch(hub, tmp_path, model="org/other")
    assert done.returncode != 0
    assert not (tmp_path / ".complete").exists()
