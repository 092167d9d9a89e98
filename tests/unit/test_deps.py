"""The operators' charts: taken from a folder, checked, and KEDA's CRDs unpacked."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from scripts import deps
from scripts.console import UserError
from scripts.platform_chart import UMBRELLA, Dependency, write_stub
from scripts.tools import ensure

CRD = """\
{{- if .Values.crds.install }}
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: scaledobjects.keda.sh
  labels: {app.kubernetes.io/managed-by: Helm, app.kubernetes.io/part-of: keda-operator}
spec: {group: keda.sh}
{{- end }}
"""


def package(folder: Path, dependency: Dependency, *, values: Any = None, crd: str = "") -> Path:
    """An archive of a stub chart; with a template of a CRD where it stands for KEDA."""
    chart = folder / "charts" / dependency.name
    write_stub(chart, dependency)
    (chart / "values.yaml").write_text(yaml.safe_dump(values or {}))
    if crd:
        (chart / "templates" / "crd.yaml").write_text(crd)
    subprocess.run([ensure("helm"), "package", chart, "--destination", folder], check=True, capture_output=True)
    return folder / deps.archive_name(dependency)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with stand-ins for every operator."""
    folder = tmp_path_factory.mktemp("archives")
    for dependency in deps.remote():
        keda = dependency.name == "keda"
        package(folder, dependency, values={"crds": {"install": False}} if keda else None, crd=CRD if keda else "")
    return folder


@pytest.fixture
def umbrella(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the command writes to, so that the tree stays as it is."""
    folder = tmp_path / "llm-platform"
    folder.mkdir()
    (folder / "values.yaml").write_text((UMBRELLA / "values.yaml").read_text())
    monkeypatch.setattr(deps, "UMBRELLA", folder)
    monkeypatch.setattr(deps, "ARCHIVES", folder / "charts")
    monkeypatch.setattr(deps, "CRDS", folder / "crds")
    monkeypatch.setattr(deps, "HASHES", folder / "dependencies.sha256")
    monkeypatch.setattr(deps, "KEYS", tmp_path)
    return folder


def fetch(*arguments: str | Path) -> str:
    result = CliRunner().invoke(deps.app, ["fetch", *map(str, arguments)])
    if result.exception:
        raise result.exception
    return " ".join(result.output.split())


def test_archives_are_put_in_place_with_the_models_chart(umbrella: Path, archives: Path) -> None:
    fetch("--from", archives)
    names = {path.name for path in (umbrella / "charts").iterdir()}
    assert names == {path.name for path in archives.glob("*.tgz")} | {"vllm-model-0.1.0.tgz"}


def test_kedas_crds_are_unpacked_without_labels_of_a_release(umbrella: Path, archives: Path) -> None:
    fetch("--from", archives)
    [path] = (umbrella / "crds").iterdir()
    body = yaml.safe_load(path.read_text())
    assert (path.name, body["kind"]) == ("scaledobjects.keda.sh.yaml", "CustomResourceDefinition")
    assert body["metadata"]["labels"] == {"app.kubernetes.io/part-of": "keda-operator"}


def test_it_may_run_twice(umbrella: Path, archives: Path) -> None:
    fetch("--from", archives)
    fetch("--from", archives)
    assert len(list((umbrella / "crds").iterdir())) == 1


def test_missing_archives_are_named_all_with_the_command_that_gets_them(umbrella: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        fetch("--from", tmp_path)
    assert "keda-2.20.2.tgz" in refused.value.what
    assert "gpu-operator-v26.7.0.tgz" in refused.value.what
    assert "helm pull keda --repo https://kedacore.github.io/charts --version 2.20.2" in refused.value.fix
    assert not (umbrella / "charts").exists()


def test_an_archive_that_is_another_version_is_refused(umbrella: Path, archives: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wrong"
    folder.mkdir()
    for path in archives.glob("*.tgz"):
        (folder / path.name).write_bytes(path.read_bytes())
    other = package(tmp_path / "made", Dependency("keda", "2.19.0", "", ""))
    other.rename(folder / "keda-2.20.2.tgz")
    with pytest.raises(UserError, match=r"holds keda 2\.19\.0"):
        fetch("--from", folder)
    assert not (umbrella / "charts").exists()


def test_what_is_no_archive_is_refused(umbrella: Path, archives: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wrong"
    folder.mkdir()
    for path in archives.glob("*.tgz"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "keda-2.20.2.tgz").write_text("<html>404</html>")
    with pytest.raises(UserError, match="not the archive of a chart"):
        fetch("--from", folder)
    assert not (umbrella / "charts").exists()


def test_hashes_are_recorded_and_held(umbrella: Path, archives: Path, tmp_path: Path) -> None:
    assert "no SHA-256 of" in fetch("--from", archives)
    fetch("--from", archives, "--record")
    assert "no SHA-256 of" not in fetch("--from", archives)
    done = subprocess.run(["sha256sum", "--check", umbrella / "dependencies.sha256"], cwd=archives, check=False)
    assert done.returncode == 0
    changed = tmp_path / "changed"
    changed.mkdir()
    for path in archives.glob("*.tgz"):
        (changed / path.name).write_bytes(path.read_bytes())
    keda = next(dependency for dependency in deps.remote() if dependency.name == "keda")
    package(tmp_path / "made", keda, values={"other": 1}, crd=CRD).replace(changed / "keda-2.20.2.tgz")
    with pytest.raises(UserError, match="not the archive that was recorded"):
        fetch("--from", changed)


def test_a_keda_without_crds_is_refused(umbrella: Path, archives: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wrong"
    folder.mkdir()
    for path in archives.glob("*.tgz"):
        (folder / path.name).write_bytes(path.read_bytes())
    keda = next(dependency for dependency in deps.remote() if dependency.name == "keda")
    package(tmp_path / "made", keda).replace(folder / "keda-2.20.2.tgz")
    with pytest.raises(UserError, match="renders no CRDs"):
        fetch("--from", folder)
    assert not (umbrella / "charts").exists()


@pytest.mark.usefixtures("umbrella")
def test_keys_of_values_that_nobody_has_recorded_are_noted(archives: Path, tmp_path: Path) -> None:
    assert "are not recorded" not in fetch("--from", archives)
    folder = tmp_path / "newer"
    folder.mkdir()
    for path in archives.glob("*.tgz"):
        (folder / path.name).write_bytes(path.read_bytes())
    keda = next(dependency for dependency in deps.remote() if dependency.name == "keda")
    package(tmp_path / "made", keda, values={"crds": {"install": False, "fromMars": 1}}, crd=CRD).replace(
        folder / "keda-2.20.2.tgz"
    )
    assert "the values of keda have keys that are not recorded" in fetch("--from", folder)


@pytest.mark.usefixtures("umbrella")
def test_keys_of_values_are_recorded_with_the_version(archives: Path, tmp_path: Path) -> None:
    fetch("--from", archives, "--record")
    written = yaml.safe_load((tmp_path / "keda.yaml").read_text())
    assert written == {"version": "2.20.2", "open": [], "keys": {"crds": {"install": None}, "global": None}}


def test_without_a_network_the_way_round_is_said(umbrella: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any) -> str:
        raise UserError("helm pull failed", why="dial tcp: no such host")

    monkeypatch.setattr(deps, "helm", offline)
    with pytest.raises(UserError) as refused:
        fetch()
    assert "--from FOLDER" in refused.value.fix
    assert not (umbrella / "charts").exists()


def test_the_recorded_hashes_of_the_tree_are_of_the_versions_it_asks_for() -> None:
    names = {deps.archive_name(dependency) for dependency in deps.remote()}
    assert set(deps.read_hashes(UMBRELLA / "dependencies.sha256")) <= names


def test_stubs_print_the_values_they_are_given(tmp_path: Path) -> None:
    dependency = Dependency("keda", "2.20.2", "", "")
    write_stub(tmp_path / "keda", dependency)
    text = deps.helm("template", "x", tmp_path / "keda", "--set", "a.b=1")
    assert json.loads(yaml.safe_load(text)["data"]["values.json"])["a"] == {"b": 1}
