"""The Kustomize examples: built as their README says, valid, and the same model either way."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from scripts.kubernetes_schemas import problems
from scripts.kubernetes_yaml import load_all
from scripts.paths import REPO
from scripts.render import helm_path
from scripts.tools import ensure

EXAMPLES = REPO / "examples" / "kustomize"
ENVIRONMENTS = ("dev", "prod")
Objects = list[dict[str, Any]]


def build(folder: Path, *flags: str) -> Objects:
    command = [str(ensure("kustomize")), "build", *flags, str(folder)]
    environment = os.environ | {"PATH": f"{Path(helm_path('helm')).parent}:{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(load_all(done.stdout))


@cache
def inflated(environment: str) -> Objects:
    flags = ("--enable-helm", "--load-restrictor", "LoadRestrictionsNone")
    return build(EXAMPLES / "inflator" / "overlays" / environment, *flags)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example of rendered manifests, in a copy, with its manifest made."""
    folder = tmp_path_factory.mktemp("rendered") / "rendered"
    shutil.copytree(EXAMPLES / "rendered", folder)
    environment = os.environ | {
        "ROOT": str(REPO),
        "PATH": f"{Path(helm_path('helm')).parent}:{os.environ['PATH']}",
    }
    subprocess.run([folder / "render.sh"], env=environment, check=True)
    return folder


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_kustomize_inflates_is_valid(environment: str) -> None:
    assert [problem for body in inflated(environment) for problem in problems(body)] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_object_is_in_the_namespace_of_its_environment(environment: str, rendered: Path) -> None:
    for objects in (inflated(environment), build(rendered / "overlays" / environment)):
        assert {body["metadata"]["namespace"] for body in objects} == {f"llm-{environment}"}


def deployment(objects: Objects) -> dict[str, Any]:
    [found] = [body for body in objects if body["kind"] == "Deployment"]
    return found


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_both_ways_make_the_same_deployment(environment: str, rendered: Path) -> None:
    assert deployment(inflated(environment)) == deployment(build(rendered / "overlays" / environment))


def test_overlays_differ_where_they_say_so_and_leave_the_selector_alone() -> None:
    dev, prod = deployment(inflated("dev")), deployment(inflated("prod"))
    assert (dev["spec"]["replicas"], prod["spec"]["replicas"]) == (1, 2)
    assert prod["spec"]["template"]["spec"]["priorityClassName"] == "llm-online"
    assert dev["spec"]["selector"] == prod["spec"]["selector"]
    assert "environment" not in prod["spec"]["selector"]["matchLabels"]
