"""The script of the load test with the real benchmark of vLLM: every flag is taken, and what users feel is reported."""

import os
import subprocess

import pytest

from scripts.cluster import engine, model
from scripts.paths import REPO
from tests.examples.openai_server import KEY, MODEL, serving

BUDGET_SECONDS = 90


@pytest.mark.long
def test_the_benchmark_takes_every_flag_and_reports_percentiles() -> None:
    with serving() as server:
        environment = os.environ | {
            "PATH": f"{engine.ensure() / 'bin'}:{os.environ['PATH']}",
            "BASE_URL": server.base_url.removesuffix("/v1"),
            "MODEL": MODEL,
            "TOKENIZER": str(model.ensure()),
            "OPENAI_API_KEY": KEY,
            "LOADS": "2",
            "REQUESTS_PER_CLIENT": "3",
            "INPUT_TOKENS": "20",
            "OUTPUT_TOKENS": "5",
            "READY_SECONDS": "30",
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
        }
        script = REPO / "examples" / "load-test" / "load-test.sh"
        done = subprocess.run([script], env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "Successful requests:                     6" in done.stdout
    for line in ("P95 TTFT (ms)", "P95 TPOT (ms)", "Request goodput (req/s)"):
        assert line in done.stdout
