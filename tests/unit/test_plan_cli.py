"""What the planner's commands print and refuse."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from scripts.console import UserError, console
from scripts.plan.cli import app

RUNNER = CliRunner()
COMMANDS = ("fit", "startup", "values", "check", "cost", "simulate", "bench", "models", "gpus")


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for whole names of columns: the width was taken when the console was made, in a worker from its parent."""
    monkeypatch.setattr(console, "width", 160)


def run(*arguments: str, status: int = 0) -> str:
    result = RUNNER.invoke(app, [*arguments])
    if isinstance(result.exception, UserError):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.output


def answer(*arguments: str, status: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*arguments, "--json", status=status))
    return found


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    file = tmp_path / "trace.csv"
    lines = [f"2023-11-16 18:{i // 60:02d}:{i % 60:02d}.5000000,500,80" for i in range(300)]
    file.write_text("TIMESTAMP,ContextTokens,GeneratedTokens\n" + "\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    text = run(command, "--help")
    assert f"vllm-charts plan {command}" in text
    assert "Example" in text
    assert "--json" in text


def test_fit_prints_verdict_and_interval() -> None:
    text = run("fit", "--model", "llama-3.1-8b-instruct", "--gpu", "L4", "--max-model-len", "8192")
    assert "fits" in text
    assert "best guess" in text


def test_fit_ends_with_status_one_where_it_does_not_fit_and_names_what_would() -> None:
    text = run("fit", "--model", "qwen3-32b", "--gpu", "L4", status=1)
    assert "does not fit" in text
    assert "--tensor" in text


def test_fit_as_json_has_the_bounds_in_order() -> None:
    found = answer("fit", "--model", "qwen3-8b", "--gpu", "L4", "--max-model-len", "4096")
    low, middle, high = found["kvAvailableGiB"]
    assert low < middle < high
    assert found["verdict"] in ("fits", "tight")


def test_startup_as_json_has_what_the_probe_needs() -> None:
    found = answer("startup", "--size-gib", "131.42", "--gpus", "2", "--storage", "nvme")
    assert 60 + 10 * (found["failureThreshold"] - 1) >= found["budgetSeconds"]
    assert found["scaleUpDelaySeconds"] > found["expectedReadySeconds"]


@pytest.mark.parametrize("arguments", [[], ["--model", "qwen3-8b", "--size-gib", "3"]])
def test_startup_wants_a_model_or_a_size_and_not_both(arguments: list[str]) -> None:
    assert "--size-gib" in run("startup", *arguments, status=2)


def test_values_are_written_to_a_file_or_printed(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    run("values", "--model", "qwen3-14b", "--gpu", "L40S", "--rate", "2", "--out", str(file))
    assert file.read_text() == run("values", "--model", "qwen3-14b", "--gpu", "L40S", "--rate", "2")


def test_nothing_is_written_where_the_values_cannot_be_planned(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    with pytest.raises(UserError):
        run("values", "--model", "deepseek-r1", "--gpu", "L4", "--out", str(file))
    assert not file.exists()


VALUES = """
model: {id: Qwen/Qwen3-14B}
weights: {sizeGiB: 27.51}
gpu: {nodeLabels: {nvidia.com/gpu.product: [%s]}}
engine: {flags: {maxModelLen: 8192}}
"""


def values_file(folder: Path, gpu: str) -> str:
    file = folder / "values.yaml"
    file.write_text(VALUES % gpu)
    return str(file)


def test_check_sizes_a_values_file_on_the_gpu_it_names(tmp_path: Path) -> None:
    assert "fits" in run("check", values_file(tmp_path, "NVIDIA-L40S"))
    assert "does not fit" in run("check", values_file(tmp_path, "NVIDIA-L4"), status=1)


def test_check_takes_the_charts_defaults_for_what_a_file_does_not_say(tmp_path: Path) -> None:
    found = answer("check", values_file(tmp_path, "NVIDIA-L40S"))
    assert next(iter(found.values()))["utilization"] == 0.9


def test_check_of_a_file_without_a_gpu_says_so_and_takes_one(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("model: {id: Qwen/Qwen3-8B}\n")
    assert "names no GPU" in run("check", str(file))
    assert "L40S" in run("check", str(file), "--gpu", "L40S")


def test_check_of_a_file_without_a_model_says_what_to_set(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("replicas: 2\n")
    with pytest.raises(UserError, match=r"model\.id is empty"):
        run("check", str(file))


def test_cost_prints_the_days_and_the_break_even() -> None:
    text = run("cost", "--model", "llama-3.1-8b-instruct", "--gpu", "L4", "--capacity", "1.2", "--price", "0.7")
    assert "break-even: 37,333" in text
    found = answer("cost", "--model", "llama-3.1-8b-instruct", "--gpu", "L4", "--requests-per-day", "10k,1M")
    assert [day["requests"] for day in found["days"]] == [10_000, 1_000_000]


def test_cost_refuses_a_list_that_is_none() -> None:
    text = run("cost", "--model", "qwen3-8b", "--gpu", "L4", "--requests-per-day", "many", status=2)
    assert "--requests-per-day" in text


def test_simulate_prints_a_table_and_draws(trace: Path, tmp_path: Path) -> None:
    text = run("simulate", "--trace", str(trace), "--max", "4", "--svg", str(tmp_path / "out"))
    assert "GPU-hours" in text
    assert "oracle" in text
    assert len(list((tmp_path / "out").glob("*.svg"))) >= 8


def test_simulate_sweeps_one_threshold_and_recommends(trace: Path) -> None:
    text = run("simulate", "--trace", str(trace), "--sweep", "demand=4,16", "--max", "4")
    assert "recommended: KEDA on demand" in text
    assert text.count("KEDA on demand") == 3


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--sweep", "luck=1,2"], "--sweep"),
        (["--sweep", "demand=few"], "--sweep"),
        (["--strategy", "hope"], "--strategy"),
    ],
)
def test_simulate_refuses_what_it_does_not_know(trace: Path, arguments: list[str], named: str) -> None:
    with pytest.raises(UserError, match=named):
        run("simulate", "--trace", str(trace), *arguments)


def test_simulate_without_a_trace_says_what_to_give() -> None:
    assert "--trace" in run("simulate", status=2)


def test_simulate_compares_a_recording(tmp_path: Path) -> None:
    file = tmp_path / "timeline.csv"
    file.write_text("# target=5 maximum=3\nseconds,metric,wanted\n0,0,1\n15,0,1\n30,0,2\n")
    assert answer("simulate", "--compare", str(file))["equal"] == pytest.approx(2 / 3, abs=1e-3)
    assert "66.7%" in run("simulate", "--compare", str(file))


def test_bench_prints_its_targets_and_those_it_left_out() -> None:
    text = run("bench")
    assert "verdicts right" in text
    assert "MISSED" not in text
    assert "kv47" in text


def test_bench_fails_where_a_target_is_missed(tmp_path: Path) -> None:
    """One refusal of a configuration that started is enough."""
    from scripts.plan.bench_command import DATA

    names, *rows = (DATA / "kv_cases.csv").read_text().splitlines()
    failing = [r.replace("fails: OOM while loading weights", "starts") for r in rows]
    file = tmp_path / "kv.csv"
    file.write_text("\n".join([names, *failing]) + "\n")
    assert "MISSED" in run("bench", "--kv-cases", str(file), status=1)


def test_lists_of_models_and_gpus_are_printed_and_machine_readable() -> None:
    assert "Qwen/Qwen3-32B" in run("models")
    assert answer("gpus")["L4"]["memory_gib"] < 24
    assert answer("models")["Qwen/Qwen3-32B"]["weightsGiB"] == pytest.approx(61.02)
