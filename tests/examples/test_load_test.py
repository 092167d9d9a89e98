"""The load test: its Job is valid and closed, and its script calls the benchmark as it should."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

from scripts.kubernetes_schemas import problems
from scripts.kubernetes_yaml import load
from scripts.paths import CHARTS, REPO

FOLDER = REPO / "examples" / "load-test"


def job() -> dict[str, Any]:
    body: dict[str, Any] = load((FOLDER / "job.yaml").read_text(encoding="utf-8"))
    return body


def run(tmp_path: Path, **settings: str) -> list[list[str]]:
    """Calls of the benchmark that the script makes, with a stand-in for vllm on PATH."""
    vllm = tmp_path / "vllm"
    vllm.write_text('#!/usr/bin/env bash\necho "$*" >>"$CALLS"\n', encoding="utf-8")
    vllm.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "CALLS": str(tmp_path / "calls"),
        "BASE_URL": "http://llm-gateway",
        "MODEL": "org/model",
        **settings,
    }
    subprocess.run([FOLDER / "load-test.sh"], env=environment, check=True, capture_output=True)
    return [line.split() for line in (tmp_path / "calls").read_text(encoding="utf-8").splitlines()]


def test_the_job_is_valid() -> None:
    assert problems(job()) == []


def test_the_job_runs_in_a_restricted_namespace() -> None:
    pod = job()["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_the_benchmark_is_that_of_the_charts_engine() -> None:
    version = load((CHARTS / "vllm-model" / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    [container] = job()["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"vllm/vllm-openai:v{version}"


def test_clients_ask_for_no_gpu() -> None:
    [container] = job()["spec"]["template"]["spec"]["containers"]
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}


def test_twenty_clients_and_then_fifty(tmp_path: Path) -> None:
    first, second = run(tmp_path)
    for words, clients in ((first, "20"), (second, "50")):
        assert words[:2] == ["bench", "serve"]
        assert words[words.index("--max-concurrency") + 1] == clients
        assert words[words.index("--num-prompts") + 1] == str(int(clients) * 15)


def test_what_users_feel_is_reported_at_the_95th_percentile(tmp_path: Path) -> None:
    words, _ = run(tmp_path)
    assert "ttft" in words[words.index("--percentile-metrics") + 1].split(",")
    assert "95" in words[words.index("--metric-percentiles") + 1].split(",")


def test_settings_reach_the_benchmark(tmp_path: Path) -> None:
    [words] = run(tmp_path, LOADS="3", REQUESTS_PER_CLIENT="2", INPUT_TOKENS="7", TOKENIZER="/tiny")
    assert words[words.index("--num-prompts") + 1] == "6"
    assert words[words.index("--random-input-len") + 1] == "7"
    assert words[words.index("--tokenizer") + 1] == "/tiny"


def test_every_setting_of_the_script_is_handed_over_by_the_runner() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)[:}]", (FOLDER / "load-test.sh").read_text(encoding="utf-8")))
    handed = re.search(r"for name in (.+); do", (FOLDER / "run.sh").read_text(encoding="utf-8"))
    assert handed is not None
    assert used <= set(handed[1].split())
