"""The load test with the real benchmark of vLLM: its script by itself, and its Job as a user starts it."""

import os
import subprocess
from pathlib import Path

import pytest

from scripts import tools
from scripts.bench import local
from scripts.cluster import Cluster, engine, model
from scripts.cluster.images import TINY_MODEL, engine_reference
from scripts.paths import REPO
from tests.examples.openai_server import KEY, MODEL, serving

BUDGET_SECONDS = 240
pytestmark = pytest.mark.long

FOLDER = REPO / "examples" / "load-test"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
SMALL = {"INPUT_TOKENS": "20", "OUTPUT_TOKENS": "5", "REQUESTS_PER_CLIENT": "3", "READY_SECONDS": "60"}
FIGURES = ("P95 TTFT (ms)", "P95 TPOT (ms)", "Request goodput (req/s)")


def test_the_benchmark_takes_every_flag_and_reports_percentiles() -> None:
    with serving() as server:
        environment = os.environ | {
            **SMALL,
            "PATH": f"{engine.ensure() / 'bin'}:{os.environ['PATH']}",
            "BASE_URL": server.base_url.removesuffix("/v1"),
            "MODEL": MODEL,
            "TOKENIZER": str(model.ensure()),
            "OPENAI_API_KEY": KEY,
            "LOADS": "2",
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
        }
        script = FOLDER / "load-test.sh"
        done = subprocess.run([script], env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "Successful requests:                     6" in done.stdout
    for line in FIGURES:
        assert line in done.stdout


def follow(cluster: Cluster, log: Path, **settings: str) -> list[str]:
    """Runs run.sh as docs/load-test.md says, and gives what it printed, line by line. The model grows meanwhile."""
    environment = os.environ | SMALL | settings
    environment |= {
        "KUBECONFIG": str(cluster.kubeconfig),
        "PATH": f"{tools.ensure('kubectl').parent}:{os.environ['PATH']}",
        "IMAGE": engine_reference(),
        "GPUS": "1",
        "TOKENIZER": TINY_MODEL,
    }
    lines = []
    with (
        log.open("w") as errors,
        subprocess.Popen([FOLDER / "run.sh"], env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as run,
    ):
        assert run.stdout is not None
        for line in run.stdout:
            lines.append(line)
            if line.endswith("1 wanted, 1 ready\n"):
                cluster.kubectl("scale", "deployment/tiny", "--replicas=2", "--namespace", settings["NAMESPACE"])
    assert run.returncode == 0, "".join(lines) + log.read_text()
    return lines


def test_the_job_reports_each_load_and_how_the_replicas_followed(cluster: Cluster, tmp_path: Path) -> None:
    cluster.ensure_engine()
    values = local.overlay(local.ensure_engine(cluster, "double"), {"replicas": 1})
    with cluster.namespace("load-test", labels=RESTRICTED) as namespace:
        local.helm(cluster, "install", "tiny", namespace, values, "--wait")
        said = follow(
            *(cluster, tmp_path / "errors"),
            NAMESPACE=namespace,
            BASE_URL="http://tiny:8000",
            MODEL="tiny",
            DEPLOYMENT="tiny",
            LOADS="2 4",
        )
    text = "".join(said)
    assert "== 2 clients, 6 requests" in text
    assert "== 4 clients, 12 requests" in text
    assert "Successful requests:                     12" in text
    assert "Failed requests:                         0" in text
    for line in FIGURES:
        assert text.count(line) == 2
    assert "tiny: 2 wanted, 2 ready" in text
