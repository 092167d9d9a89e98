"""``vllm-charts schema``: what is printed, and the status."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.console import UserError
from scripts.paths import VALUES
from scripts.schema import generate
from scripts.schema.cli import app
from scripts.schema.readme import BEGIN, END, updated

RUN = CliRunner()


def refusal(arguments: list[str]) -> str:
    """What is said where the command refuses."""
    result = RUN.invoke(app, arguments)
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "values.yaml"


def test_a_good_file_is_good() -> None:
    path = VALUES / "models" / "llama-3.1-8b-instruct-l4.yaml"
    result = RUN.invoke(app, ["validate", str(path)])
    assert result.exit_code == 0
    assert "good values for vllm-model" in " ".join(result.output.split())


def test_a_bad_file_is_refused_with_file_line_and_key(file: Path) -> None:
    file.write_text("model:\n  id: a/b\n  revison: main\n")
    assert f"{file}:3: model.revison: there is no such key.\n    Did you mean revision?" in refusal(
        ["validate", str(file)]
    )


def test_what_must_be_set_is_asked_for_unless_the_file_is_partial(file: Path) -> None:
    file.write_text("replicas: 2\n")
    assert "model.id: must not be empty" in refusal(["validate", str(file)])
    assert RUN.invoke(app, ["validate", "--partial", str(file)]).exit_code == 0


def test_files_are_layered_in_order(file: Path, tmp_path: Path) -> None:
    file.write_text("model: {id: a/b}\nreplicas: -1\n")
    upper = tmp_path / "upper.yaml"
    upper.write_text("replicas: 2\n")
    assert RUN.invoke(app, ["validate", str(file), str(upper)]).exit_code == 0
    assert "replicas: is -1" in refusal(["validate", str(upper), str(file)])


def test_free_maps_are_listed_with_their_reason() -> None:
    result = RUN.invoke(app, ["free-maps"])
    assert "podLabels: label names are the user's; values are held to the form" in result.output
    assert "engine.flags.speculativeConfig: vLLM's SpeculativeConfig" in result.output


def test_generate_check_names_what_is_out_of_date(monkeypatch: pytest.MonkeyPatch) -> None:
    path = generate.ChartSchema("vllm-model").strict_path
    monkeypatch.setattr(generate, "stale", lambda: {path: "{}"})
    assert "out of date: charts/vllm-model/values.schema.json" in refusal(["generate", "--check"])
    assert path.read_text() != "{}"


def test_generate_writes_what_is_out_of_date(tmp_path: Path) -> None:
    path = tmp_path / "new" / "schema.json"
    generate.write({path: "{}"})
    assert path.read_text() == "{}"


def test_a_readme_keeps_what_stands_around_its_table(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(f"# Head\n{BEGIN}\nthe table before\n{END}\n# Tail\n")
    schema = generate.ChartSchema("vllm-model")
    text = updated(path, schema.source, schema.defaults)
    assert text.startswith("# Head\n")
    assert text.endswith("# Tail\n")
    assert "the table before" not in text
    assert "| `model.id` | string | unset |" in text


def test_a_readme_without_a_place_for_the_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("# Head\n")
    with pytest.raises(UserError, match="no place for the table"):
        updated(path, {"properties": {}}, {})
