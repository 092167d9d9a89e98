"""Archives of the charts, made of the umbrella with stubs for its operators."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from scripts.console import UserError
from scripts.platform_chart import UMBRELLA, dependencies
from scripts.release.package import SUMS, helm_package, missing_dependencies, package_all
from scripts.render import render


def names(archive: Path) -> set[str]:
    with tarfile.open(archive) as file:
        return set(file.getnames())


def test_the_umbrellas_archive_carries_its_dependencies_the_model_and_the_crds(umbrella: Path, tmp_path: Path) -> None:
    _, platform = package_all(tmp_path / "dist", umbrella=umbrella)
    found = names(platform)
    assert f"{UMBRELLA.name}/crds/keda.yaml" in found
    for entry in dependencies():
        assert any(name.startswith(f"{UMBRELLA.name}/charts/{entry.name}") for name in found), entry.name
    assert f"{UMBRELLA.name}/charts/vllm-model/Chart.yaml" in found


def test_a_packaged_model_renders_as_its_folder_does(umbrella: Path, tmp_path: Path) -> None:
    model, _ = package_all(tmp_path / "dist", umbrella=umbrella)
    with tarfile.open(model) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    values = {"model": {"id": "org/model"}}
    unpacked = render(tmp_path / "unpacked" / "vllm-model", [values])
    assert unpacked.objects == render("vllm-model", [values]).objects


def test_the_sums_are_those_of_the_archives(umbrella: Path, tmp_path: Path) -> None:
    archives = package_all(tmp_path / "dist", umbrella=umbrella)
    lines = (tmp_path / "dist" / SUMS).read_text(encoding="utf-8").splitlines()
    assert lines == [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in archives]


@pytest.mark.parametrize("lost", ["crds/keda.yaml", "charts/keda-*.tgz"])
def test_an_incomplete_umbrella_is_refused_and_nothing_is_written(umbrella: Path, tmp_path: Path, lost: str) -> None:
    for path in umbrella.glob(lost):
        path.unlink()
    with pytest.raises(UserError, match=lost.split("-")[0].split("/")[0]) as refused:
        package_all(tmp_path / "dist", umbrella=umbrella)
    assert "make deps" in refused.value.fix
    assert not (tmp_path / "dist").exists()


def test_a_complete_umbrella_misses_nothing(umbrella: Path) -> None:
    assert missing_dependencies(umbrella) == []


def test_what_helm_refuses_to_package_is_said(tmp_path: Path) -> None:
    chart = tmp_path / "broken"
    chart.mkdir()
    (chart / "Chart.yaml").write_text("name: broken\nversion: not-a-version\napiVersion: v2\n", encoding="utf-8")
    with pytest.raises(UserError, match="broken cannot be packaged"):
        helm_package(chart, tmp_path, None)


def test_no_archive_of_the_model_carries_tests_or_examples_of_the_tree(umbrella: Path, tmp_path: Path) -> None:
    model, _ = package_all(tmp_path / "dist", umbrella=umbrella)
    assert [name for name in names(model) if name.startswith(("vllm-model/tests/", "vllm-model/ci/"))] == []
    assert io.BytesIO(model.read_bytes()).getbuffer().nbytes < 500_000
