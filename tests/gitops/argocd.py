"""The Argo CD objects of each environment, as Kustomize builds them, and the layers of a model's values."""

import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from scripts.kubernetes_yaml import load, load_all
from scripts.paths import CHARTS, REPO, VALUES
from scripts.tools import ensure

ARGOCD = REPO / "gitops" / "argocd"
OVERLAYS = ARGOCD / "overlays"
ENVIRONMENTS = sorted(path.name for path in OVERLAYS.iterdir() if path.is_dir())


@cache
def build(folder: Path) -> list[dict[str, Any]]:
    """The objects of a kustomization."""
    command = [str(ensure("kustomize")), "build", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [body for body in load_all(done.stdout) if body]


def objects(environment: str, kind: str) -> list[dict[str, Any]]:
    return [body for body in build(OVERLAYS / environment) if body["kind"] == kind]


def one(environment: str, kind: str, name: str) -> dict[str, Any]:
    [found] = [body for body in objects(environment, kind) if body["metadata"]["name"] == name]
    return found


def settings(environment: str) -> dict[str, str]:
    data: dict[str, str] = load((OVERLAYS / environment / "settings.yaml").read_text(encoding="utf-8"))["data"]
    return data


def model_files(environment: str) -> list[Path]:
    """The files that switch models on in an environment."""
    return sorted((OVERLAYS / environment / "models").glob("*.yaml"))


def model_layers(path: Path) -> list[Path]:
    """The values files of one model, a later one over an earlier one."""
    return [VALUES / "models" / path.name, ARGOCD / "base" / "model-values.yaml", path]


def referenced(application: dict[str, Any]) -> list[Path]:
    """The values files that an Application names, as paths of this tree."""
    source = application["spec"]["source"]
    chart = CHARTS / Path(source["path"]).name
    return [(chart / name).resolve() for name in source["helm"]["valueFiles"]]
