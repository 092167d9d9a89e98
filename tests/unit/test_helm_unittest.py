"""The suites that live beside the templates, run as ``helm unittest`` does for everyone."""

import os
import subprocess
from pathlib import Path

import pytest

from scripts import tools
from scripts.paths import CHARTS

SUITES = sorted(CHARTS.glob("*/tests/*_test.yaml"))


def helm(command: str, *arguments: str, home: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Runs Helm with folders of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HELM_")} | home
    return subprocess.run([tools.ensure(command), *arguments], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: f"{suite.parts[-3]}-{suite.stem}")
def test_a_suite_of_a_chart_passes(suite: Path) -> None:
    """One at a time, so that they share the processors."""
    chart = suite.parent.parent
    file = str(suite.relative_to(chart))
    result = helm("helm", "unittest", "--strict", "--file", file, str(chart), home=tools.helm_environment())
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr
    assert "0 passed, 0 total" not in result.stdout.split("Tests:")[1].splitlines()[0]


@pytest.mark.parametrize("command", ["helm", "helm3"])
def test_the_pinned_build_installs_as_a_plugin(command: str, tmp_path: Path) -> None:
    home = {f"HELM_{name}_HOME": str(tmp_path / name) for name in ("DATA", "CACHE", "CONFIG")}
    installed = helm(command, "plugin", "install", str(tools.ensure("helm-unittest")), home=home)
    assert installed.returncode == 0, installed.stderr
    assert "unittest" in helm(command, "plugin", "list", home=home).stdout
    assert helm(command, "unittest", "--help", home=home).stdout.startswith("Running chart unittest")


def test_every_chart_has_suites_or_depends_on_what_no_suite_can_render() -> None:
    """The umbrella needs its operators' archives, which are not in the tree; tests/render looks at its templates."""
    assert {suite.parts[-3] for suite in SUITES} == {"vllm-model"}


def test_a_suite_that_fails_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "tests").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: small, version: 0.1.0}\n")
    (tmp_path / "templates" / "map.yaml").write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: small}}\n")
    suite = (
        "suite: small\ntemplates: [map.yaml]\ntests:\n  - it: is wrong\n    asserts:\n      - isKind: {of: Secret}\n"
    )
    (tmp_path / "tests" / "map_test.yaml").write_text(suite)
    assert helm("helm", "unittest", str(tmp_path), home=tools.helm_environment()).returncode != 0
