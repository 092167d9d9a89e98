"""The renderer: what is cached and what is not, what an error says, what comes out of Helm's text."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from scripts import render as module
from scripts.console import UserError
from scripts.paths import VALUES
from scripts.render import RenderError, app, chart_of, parse, release_name, render

CHART = {
    "Chart.yaml": "apiVersion: v2\nname: small\nversion: 0.1.0\n",
    "values.yaml": "colour: red\n",
    "templates/one.yaml": """
{{ if eq .Values.colour "bad" }}{{ fail "colour: bad is no colour." }}{{ end }}
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}
data: {colour: {{ .Values.colour | quote }}, day: 2024-01-01, version: {{ .Capabilities.KubeVersion.Version }}}
""",
}


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    """A chart of one object."""
    folder = tmp_path / "small"
    for name, text in CHART.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Counts calls of Helm, with an empty cache."""
    seen: list[str] = []
    real: Callable[..., Any] = module._run

    def counting(*arguments: Any) -> Any:
        seen.append(arguments[0])
        return real(*arguments)

    monkeypatch.setattr(module, "_run", counting)
    monkeypatch.setattr(module, "CACHE", tmp_path / "cache")
    module._stored.cache_clear()
    return seen


def test_object_is_found_by_kind_and_name(chart: Path) -> None:
    made = render(chart, [{"colour": "blue"}], release="a")
    assert made.one("ConfigMap", "a")["data"]["colour"] == "blue"
    assert made.all("Secret") == []


def test_missing_object_is_named_with_those_that_are_there(chart: Path) -> None:
    with pytest.raises(LookupError, match=r"0 objects Secret/\*, wanted one; there are: ConfigMap/demo"):
        render(chart).one("Secret")


def test_later_values_lie_over_earlier_ones(chart: Path, tmp_path: Path) -> None:
    file = tmp_path / "v.yaml"
    file.write_text("colour: green\n")
    assert render(chart, [file, {"colour": "blue"}]).objects[0]["data"]["colour"] == "blue"
    assert render(chart, [{"colour": "blue"}, file]).objects[0]["data"]["colour"] == "green"
    assert render(chart, [file], set_=["colour=grey"]).objects[0]["data"]["colour"] == "grey"


def test_objects_know_their_template(chart: Path) -> None:
    assert [source for source, _ in render(chart).documents] == ["small/templates/one.yaml"]


def test_dates_stay_text_as_in_kubernetes(chart: Path) -> None:
    assert render(chart).objects[0]["data"]["day"] == "2024-01-01"


def test_refusal_carries_the_message_and_all_that_helm_said(chart: Path) -> None:
    with pytest.raises(RenderError) as error:
        render(chart, [{"colour": "bad"}])
    assert error.value.message == "colour: bad is no colour."
    assert "execution error at (small/templates/one.yaml" in error.value.stderr


def test_same_render_calls_helm_once(chart: Path, calls: list[str]) -> None:
    for _ in range(3):
        render(chart, [{"colour": "blue"}])
    assert len(calls) == 1


def test_refusal_is_remembered_too(chart: Path, calls: list[str]) -> None:
    for _ in range(2):
        with pytest.raises(RenderError):
            render(chart, [{"colour": "bad"}])
    assert len(calls) == 1


def test_other_processes_find_the_render_on_disk(chart: Path, calls: list[str]) -> None:
    first = render(chart)
    module._stored.cache_clear()
    assert render(chart).documents == first.documents
    assert len(calls) == 1


def test_copy_of_a_chart_shares_its_renders(chart: Path, calls: list[str]) -> None:
    render(chart)
    shutil.copytree(chart, chart.parent / "copy")
    render(chart.parent / "copy")
    assert len(calls) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda chart: render(chart, [{"colour": "blue"}]),
        lambda chart: render(chart, release="other"),
        lambda chart: render(chart, namespace="other"),
        lambda chart: render(chart, kube_version="1.30.0"),
        lambda chart: render(chart, api_versions=["keda.sh/v1alpha1"]),
        lambda chart: render(chart, set_=["colour=blue"]),
        lambda chart: render(chart, helm="helm3"),
        lambda chart: (chart / "values.yaml").write_text("colour: ray\n") and render(chart),
        lambda chart: (chart / "templates/two.yaml").write_text("# nothing\n") and render(chart),
    ],
    ids=["values", "release", "namespace", "version", "apis", "set", "helm", "defaults", "template"],
)
def test_whatever_a_render_depends_on_makes_a_new_one(
    chart: Path, calls: list[str], change: Callable[[Path], object]
) -> None:
    render(chart)
    change(chart)
    assert len(calls) == 2


@pytest.mark.parametrize("name", ["README.md", "ci/a-values.yaml", "tests/a_test.yaml"])
def test_files_that_no_render_reads_change_nothing(chart: Path, calls: list[str], name: str) -> None:
    render(chart)
    (chart / name).parent.mkdir(exist_ok=True)
    (chart / name).write_text("x")
    render(chart)
    assert len(calls) == 1


@pytest.mark.usefixtures("calls")
def test_settings_of_the_user_have_no_say(chart: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HELM_NAMESPACE", "other")
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    assert render(chart).objects[0]["metadata"]["namespace"] == "default"


def test_oldest_charts_leave_the_cache(
    chart: Path, calls: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CACHED_CHARTS", 2)
    for number in range(4):
        (chart / "values.yaml").write_text(f"colour: c{number}\n")
        render(chart)
    assert len(list((tmp_path / "cache" / "renders").iterdir())) == 2
    assert len(calls) == 4


def test_folder_without_a_chart_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a chart"):
        render(tmp_path)


def test_boundary_of_documents_is_not_found_inside_a_text() -> None:
    made = parse("---\n# Source: a/b.yaml\nkind: A\ndata: |\n  ---\n  kind: B\n---\n# Source: a/c.yaml\nkind: C\n")
    assert [(source, body["kind"]) for source, body in made.documents] == [("a/b.yaml", "A"), ("a/c.yaml", "C")]


def test_key_given_twice_is_an_error() -> None:
    with pytest.raises(yaml.YAMLError, match="given twice: a"):
        parse("a: 1\nb: 2\na: 3\n")


@pytest.mark.parametrize(
    ("text", "chart_name"), [("model: {id: a}", "vllm-model"), ("models: {a: {}}", "llm-platform"), ("", "vllm-model")]
)
def test_chart_is_known_by_what_a_file_sets(tmp_path: Path, text: str, chart_name: str) -> None:
    path = tmp_path / "v.yaml"
    path.write_text(text)
    assert chart_of(path) == chart_name


def test_release_is_named_after_the_file() -> None:
    assert release_name(Path("a/Llama_3.1-8B.yaml")) == "llama-3-1-8b"
    assert len(release_name(Path("a" * 80))) == 53


def test_command_prints_a_line_a_workload() -> None:
    result = CliRunner().invoke(app, [str(VALUES / "models" / "tiny-cpu.yaml")])
    assert result.exit_code == 0
    assert "tiny-cpu" in result.output
    assert "360 s" in result.output


def test_command_prints_the_objects(chart: Path, tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text("colour: blue\n")
    result = CliRunner().invoke(app, [str(tmp_path / "v.yaml"), "--chart", str(chart), "-o", "yaml"])
    assert result.exit_code == 0
    assert "kind: ConfigMap" in result.output


def test_command_refuses_objects_that_kubernetes_would(chart: Path, tmp_path: Path) -> None:
    (chart / "templates/one.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndatta: {}\n")
    (tmp_path / "v.yaml").write_text("")
    result = CliRunner().invoke(app, [str(tmp_path / "v.yaml"), "--chart", str(chart)])
    assert isinstance(result.exception, UserError)
    assert "'datta' was unexpected" in str(result.exception)
