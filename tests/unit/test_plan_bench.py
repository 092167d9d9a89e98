"""The planner's targets on the measured cases, and how rows become questions."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.console import UserError
from scripts.plan import bench
from scripts.plan.bench_command import DATA, _replaced
from scripts.plan.cases import memory_cases, number, start_cases
from scripts.plan.catalog import GIB
from scripts.plan.fit import TIGHT_MARGIN
from scripts.plan.interval import Interval

KV = (DATA / "kv_cases.csv").read_text().splitlines()


def with_cell(tmp_path: Path, column: str, value: str) -> Path:
    """The first measured case with one cell changed."""
    names, cells = KV[0].split(","), KV[1].split(",")
    cells[names.index(column)] = value
    file = tmp_path / "cases.csv"
    file.write_text("\n".join([KV[0], ",".join(cells)]) + "\n")
    return file


def test_the_memory_targets_are_met() -> None:
    scores, _ = bench.score_memory(DATA / "kv_cases.csv")
    assert len(scores) >= 19
    assert [t.what for t in bench.memory_targets(scores) if not t.met] == []


def test_the_start_targets_are_met() -> None:
    scores, _ = bench.score_start(DATA / "startup_cases.csv")
    assert len(scores) >= 50
    assert [t.what for t in bench.start_targets(scores) if not t.met] == []


def test_what_users_saw_is_computed_within_bounds() -> None:
    scores, left_out = bench.score_latency(DATA / "latency_cases.csv")
    assert not left_out
    fitted = [s.tpot_error for s in scores if s.case.fitted]
    unseen = [s.tpot_error for s in scores if s.case.speed.model.name == "Qwen/Qwen3-32B"]
    assert sorted(fitted)[len(fitted) // 2] < 0.15
    assert sorted(unseen)[len(unseen) // 2] < 0.15


def test_every_case_left_out_says_why() -> None:
    _, memory = memory_cases(DATA / "kv_cases.csv")
    _, starts = start_cases(DATA / "startup_cases.csv")
    assert all(reason for _, reason in [*memory, *starts])


@pytest.mark.parametrize(("spare_share", "right"), [(0.5, True), (1.5, False), (-1.5, False)])
def test_tight_is_right_only_near_the_need(spare_share: float, right: bool) -> None:
    score = bench.score_memory(DATA / "kv_cases.csv")[0][0]
    margin = TIGHT_MARGIN * score.answer.setup.memory
    available = Interval(0, 40 * GIB, 80 * GIB)
    tight = replace(score.answer, available=available, needed=int(40 * GIB - spare_share * margin))
    assert tight.verdict == "tight"
    assert bench.MemoryScore(score.case, tight).right == right


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("vllm_version", "not in excerpt", "version not stated"),
        ("gpu", "RTX-5070Ti-16GB + RTX-5090D-32GB", "two kinds"),
        ("model", "who/knows", "not in the planner's table"),
        ("gpu", "TPU-v5", "not in the catalogue"),
    ],
)
def test_a_row_that_does_not_tell_enough_is_left_out(tmp_path: Path, column: str, value: str, reason: str) -> None:
    cases, left_out = memory_cases(with_cell(tmp_path, column, value))
    assert not cases
    assert reason in left_out[0][1]


def test_a_version_inferred_from_a_date_does_not_count_as_known(tmp_path: Path) -> None:
    inferred, _ = memory_cases(with_cell(tmp_path, "vllm_version", "~0.11 (2025-10-31)"))
    stated, _ = memory_cases(with_cell(tmp_path, "vllm_version", "0.11.0"))
    assert not inferred[0].exact_version
    assert stated[0].exact_version


def test_memory_without_a_stated_utilization_is_not_compared(tmp_path: Path) -> None:
    cases, _ = memory_cases(with_cell(tmp_path, "gpu_memory_utilization", "not stated"))
    assert cases[0].kv_bytes is None


@pytest.mark.parametrize(("cell", "value"), [("default (0.9)", 0.9), ("31.4 usable", 31.4), ("", None), ("none", None)])
def test_numbers_are_found_in_words(cell: str, value: float | None) -> None:
    assert number(cell) == value


def test_a_file_of_something_else_is_refused_by_the_column_it_lacks(tmp_path: Path) -> None:
    file = tmp_path / "other.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="lacks the column case_id"):
        memory_cases(file)


def test_tables_in_the_docs_are_replaced_between_their_marks_only() -> None:
    text = "before\n<!-- bench memory -->\nold\n<!-- end -->\nafter"
    assert _replaced(text, "memory", "new") == "before\n<!-- bench memory -->\nnew\n<!-- end -->\nafter"
    assert _replaced(text, "start", "new") == text
