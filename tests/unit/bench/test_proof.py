"""The page of results shows what was recorded, the newest of each scenario, and nothing else."""

import json
from pathlib import Path

import pytest

from scripts.bench import proof
from scripts.bench.proof import Record


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Records, results and page in a folder of the test's own."""
    for name, path in {"RECORDS": "records", "RESULTS": "docs/proof.json", "PAGE": "docs/proof.md"}.items():
        monkeypatch.setattr(proof, name, tmp_path / path)
    return tmp_path


def record(when: str = "2026-01-01 10:00", lost: int = 0, scenario: str = "drain", engine: str = "double") -> Record:
    figures = {"path": "Service", "requests": "1,000", "lost": lost}
    return Record("nothing-lost", scenario, engine, figures, {"Kubernetes": "1.35.4"}, when=when)


def test_the_page_has_a_row_for_each_scenario_and_engine() -> None:
    record().write()
    record(engine="real", lost=3).write()
    proof.write()
    rows = [line for line in proof.PAGE.read_text().splitlines() if line.startswith("| drain")]
    assert [row.split("|")[2].strip() for row in rows] == ["double", "real"]
    assert "| 3 |" in rows[1]


def test_a_newer_record_replaces_the_committed_one_and_an_older_one_does_not() -> None:
    record("2026-01-01 10:00", lost=5).write()
    proof.write()
    record("2026-01-02 10:00", lost=0).write()
    proof.write()
    assert [entry["figures"]["lost"] for entry in json.loads(proof.RESULTS.read_text()).values()] == [0]
    record("2025-12-31 10:00", lost=9).write()
    proof.write()
    assert [entry["figures"]["lost"] for entry in json.loads(proof.RESULTS.read_text()).values()] == [0]


def test_results_stay_when_a_later_run_records_another_scenario_only(elsewhere: Path) -> None:
    record().write()
    proof.write()
    for path in (elsewhere / "records").iterdir():
        path.unlink()
    record(scenario="scale-down").write()
    proof.write()
    rows = [line.split("|")[1].strip() for line in proof.PAGE.read_text().splitlines() if line.startswith("| ")]
    assert rows == ["scenario", "drain", "scale-down"]


def test_columns_that_no_row_fills_are_left_out() -> None:
    record().write()
    proof.write()
    assert "in flight |" not in proof.PAGE.read_text()
    assert "| requests |" in proof.PAGE.read_text()


def test_a_figure_that_no_column_shows_is_an_error() -> None:
    with pytest.raises(KeyError, match="no column of the table nothing-lost shows surprise"):
        Record("nothing-lost", "drain", "double", {"surprise": 1}, {}).write()
