"""The example Dockerfile: linted, pinned, and with an engine that gets its signals."""

import json
import re
import subprocess

from scripts.kubernetes_yaml import load
from scripts.paths import CHARTS, REPO, VENV

DOCKERFILE = REPO / "images" / "Dockerfile"


def test_the_dockerfile_passes_the_linter() -> None:
    done = subprocess.run([VENV / "bin" / "hadolint", DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_base_is_the_charts_default_engine() -> None:
    values = load((CHARTS / "vllm-model" / "values.yaml").read_text(encoding="utf-8"))["engine"]["image"]
    base = re.search(r"^ARG BASE=(\S+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert base is not None
    assert base[1] == f"{values['repository']}:{values['tag']}"


def test_the_engine_becomes_the_first_process_of_the_container() -> None:
    entry = re.search(r"^ENTRYPOINT (.+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert entry is not None
    assert json.loads(entry[1]) == ["vllm", "serve"]


def test_the_engine_runs_as_a_user_without_rights() -> None:
    users = re.findall(r"^USER (\S+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert users == ["1000:1000"]


def test_no_token_gets_into_a_layer() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert not re.search(r"^(ARG|ENV) .*TOKEN", text, re.MULTILINE)
    assert "--mount=type=secret,id=hf-token" in text
