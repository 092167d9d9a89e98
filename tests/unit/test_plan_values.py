"""Values files that the planner writes, and those in values/models that it must agree with."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.console import UserError
from scripts.paths import VALUES
from scripts.plan.catalog import Gpu, find_gpu, gpus
from scripts.plan.check_command import setup_of
from scripts.plan.fit import Fit, Setup, fit
from scripts.plan.sources import find_model
from scripts.plan.values import Wish, Written, write
from scripts.plan.values_command import check
from scripts.render import render
from scripts.schema.generate import ChartSchema
from scripts.schema.values import coalesce

FILES = sorted((VALUES / "models").glob("*.yaml"))
NOT_PLANNED = {"tiny-cpu.yaml": "runs on CPUs: there is no GPU to plan for"}
"""Files that the planner cannot reproduce, and why."""
NOT_THE_PLANNERS = {
    "model.servedNames": "names are the team's",
    "model.adapters": "adapters are the team's",
    "resources": "by the machine that the file recommends; the planner takes the smallest that has the GPU",
    "sharedMemory": "with resources",
    "engine.flags.enableAutoToolChoice": "a choice of what is served, not of memory or speed",
    "engine.flags.toolCallParser": "the same",
    "engine.flags.reasoningParser": "the same",
    "engine.flags.maxLoras": "adapters are the team's",
    "engine.flags.maxLoraRank": "the same",
    "engine.flags.maxCpuLoras": "the same",
    "engine.flags.quantization": "vLLM reads it from the checkpoint; the file only says it aloud",
    "engine.flags.dtype": "vLLM's own default elsewhere",
    "engine.extraArgs": "about files of the checkpoint, not about memory",
    "weights.downloader": "by how many pods share the claim",
    "weights.cache": "the same; small weights may be downloaded again",
    "weights.readMiBPerSecond": "by the storage that the file assumes",
    "weights.huggingface": "a token does no harm where the model is not gated",
    "availability": "by the claim's access mode",
}
"""What of a file in values/models is not planned, and why."""


def plan(model: str, gpu: str, **settings: Any) -> Written:
    wish = {k: settings.pop(k) for k in ("tensor", "rate", "prometheus", "storage") if k in settings}
    return write(find_model(model), Wish(setup=Setup(gpu=find_gpu(gpu), **settings), **wish))


def loaded(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(path.read_text())
    return values


def gpu_of(values: dict[str, Any]) -> Gpu:
    products = values["gpu"]["nodeLabels"]["nvidia.com/gpu.product"]
    return next(gpu for gpu in gpus().values() if gpu.product in products)


def asked(values: dict[str, Any]) -> Setup:
    """A file, laid over the chart's defaults, as a question to the planner."""
    return setup_of(coalesce(ChartSchema("vllm-model").defaults, values), gpu_of(values))


def sized(values: dict[str, Any]) -> Fit:
    return fit(find_model(values["model"]["id"]), asked(values))


def leaves(node: Any, path: str = "") -> dict[str, Any]:
    """Every value by its path; lists are values."""
    if not isinstance(node, dict):
        return {path: node}
    return {k: v for key, child in node.items() for k, v in leaves(child, f"{path}.{key}".lstrip(".")).items()}


# --- what it writes ---


@pytest.mark.parametrize(
    ("model", "gpu", "settings"),
    [
        ("llama-3.1-8b-instruct", "L4", {"rate": 3}),
        ("llama-3.1-70b-instruct", "H100", {"rate": 3, "storage": "nfs", "prometheus": "http://p.monitoring.svc:9090"}),
        ("qwen2.5-7b-instruct-awq", "T4", {}),
        ("openai/gpt-oss-20b", "A10G", {}),
        ("deepseek-r1", "H100", {}),
        ("qwen3-embedding-0.6b", "L4", {}),
        ("qwen3-14b", "L4", {"kv_dtype": "fp8"}),
    ],
)
def test_what_is_written_is_what_helm_accepts(model: str, gpu: str, settings: dict[str, Any]) -> None:
    written = plan(model, gpu, **settings)
    check(written)
    assert yaml.safe_load(written.text) == written.values
    assert render("vllm-model", [written.values]).objects


def test_every_written_configuration_surely_fits() -> None:
    for model in ("llama-3.1-8b-instruct", "qwen3-32b", "gpt-oss-120b", "qwen3-30b-a3b"):
        for gpu in ("L4", "A100-80GB", "H100"):
            assert plan(model, gpu).answer.verdict == "fits", (model, gpu)


def test_the_fewest_gpus_that_fit_are_taken() -> None:
    written = plan("llama-3.1-70b-instruct", "H100")
    assert written.values["parallelism"]["tensor"] == 2
    one = fit(find_model("llama-3.1-70b-instruct"), Setup(gpu=find_gpu("H100"), max_model_len=2048))
    assert one.verdict == "does not fit"


def test_reasons_stand_before_what_they_explain() -> None:
    lines = plan("llama-3.1-8b-instruct", "L4").text.splitlines()
    place = next(i for i, line in enumerate(lines) if "maxModelLen" in line)
    assert lines[place - 1].strip().startswith("#")
    assert "sequences of this length" in lines[place - 1]


def test_a_gated_model_names_the_secret_and_how_to_make_it() -> None:
    assert "kubectl create secret generic hf-token" in plan("llama-3.1-8b-instruct", "L4").text
    assert "hf-token" not in plan("qwen3-14b", "L40S").text


def test_a_gpu_without_bfloat16_gets_half() -> None:
    assert plan("qwen2.5-7b-instruct-awq", "T4").values["engine"]["flags"]["dtype"] == "half"
    assert "dtype" not in plan("qwen2.5-7b-instruct-awq", "L4").values["engine"]["flags"]


def test_a_rate_becomes_replicas_and_with_prometheus_an_autoscaler() -> None:
    fixed = plan("llama-3.1-8b-instruct", "L4", rate=3).values
    scaled = plan("llama-3.1-8b-instruct", "L4", rate=3, prometheus="http://p.monitoring.svc:9090").values
    assert fixed["replicas"] > 1
    assert "autoscaling" not in fixed
    assert "replicas" not in scaled
    assert scaled["autoscaling"]["maxReplicas"] > fixed["replicas"]


def test_pods_ask_for_less_than_the_machine_has() -> None:
    requests = plan("llama-3.1-8b-instruct", "A10G").values["resources"]["requests"]
    assert int(requests["cpu"]) < 4
    assert int(requests["memory"].removesuffix("Gi")) < 16


def test_large_weights_are_kept_on_a_claim_that_as_many_pods_can_mount_as_there_are() -> None:
    one, many = (plan("qwen3-32b", "H100", rate=rate).values for rate in (0, 50))
    assert one["weights"]["cache"] == {"type": "claim"}
    assert one["availability"]["strategy"]["type"] == "recreate"
    assert many["weights"]["cache"]["accessModes"] == ["ReadWriteMany"]
    assert "availability" not in many


def test_a_model_that_fits_no_two_nodes_is_refused() -> None:
    with pytest.raises(UserError, match="fits no number of L4"):
        plan("deepseek-r1", "L4")


# --- the files of values/models ---


def planned_files() -> list[Path]:
    return [path for path in FILES if path.name not in NOT_PLANNED]


@pytest.mark.parametrize("path", planned_files(), ids=lambda p: p.stem)
def test_a_ready_file_surely_starts(path: Path) -> None:
    assert sized(loaded(path)).verdict == "fits"


@pytest.mark.parametrize("path", planned_files(), ids=lambda p: p.stem)
def test_a_ready_file_is_what_the_planner_writes_for_its_flags(path: Path) -> None:
    values = loaded(path)
    question = asked(values)
    answer = write(find_model(values["model"]["id"]), Wish(setup=question, tensor=question.tensor))
    mine, theirs = leaves(answer.values), leaves(values)
    for key, value in theirs.items():
        if any(key == known or key.startswith(f"{known}.") for known in NOT_THE_PLANNERS):
            continue
        assert key in mine, f"{key} is neither planned nor in NOT_THE_PLANNERS"
        if isinstance(value, float) or isinstance(mine[key], float):
            assert mine[key] == pytest.approx(value, rel=0.01), key
        elif isinstance(value, list):
            assert set(mine[key]) <= set(value), key
        else:
            assert mine[key] == value, key


def test_every_file_that_is_not_planned_exists_and_says_why() -> None:
    names = {path.name for path in FILES}
    assert set(NOT_PLANNED) <= names
    assert all(NOT_PLANNED.values())
