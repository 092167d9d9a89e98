"""What a release says of itself: one version, in the charts, in the changelog and for Artifact Hub."""

import re
from typing import Any

import pytest

from scripts.kubernetes_yaml import load
from scripts.paths import CHARTS, REPO

NAMES = ("vllm-model", "llm-platform")


def chart(name: str) -> dict[str, Any]:
    content: dict[str, Any] = load((CHARTS / name / "Chart.yaml").read_text(encoding="utf-8"))
    return content


def changelog_versions() -> list[str]:
    return re.findall(r"^## (\d+\.\d+\.\d+)", (REPO / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_both_charts_have_the_version_of_the_newest_section_of_the_changelog() -> None:
    assert {str(chart(name)["version"]) for name in NAMES} == {changelog_versions()[0]}


def test_the_umbrella_depends_on_the_model_chart_of_the_same_version() -> None:
    [entry] = [entry for entry in chart("llm-platform")["dependencies"] if entry["name"] == "vllm-model"]
    assert str(entry["version"]) == str(chart("vllm-model")["version"])


@pytest.mark.parametrize("name", NAMES)
def test_the_application_version_is_the_default_engine(name: str) -> None:
    tag = load((CHARTS / "vllm-model" / "values.yaml").read_text(encoding="utf-8"))["engine"]["image"]["tag"]
    assert tag == f"v{chart(name)['appVersion']}"


@pytest.mark.parametrize("name", NAMES)
def test_artifact_hub_is_told_licence_category_and_changes(name: str) -> None:
    annotations = chart(name)["annotations"]
    assert annotations["artifacthub.io/license"] == "Apache-2.0"
    assert annotations["artifacthub.io/category"] == "ai-machine-learning"
    kinds = {"added", "changed", "deprecated", "removed", "fixed", "security"}
    changes = load(annotations["artifacthub.io/changes"])
    assert changes
    assert {entry["kind"] for entry in changes} <= kinds
