"""The umbrella chart with stand-ins for its operators.

Helm refuses to render a chart whose dependencies are not in ``charts/``, also those that are switched off. Where the
archives are not at hand (tests, lint, benches), each operator is a stub chart made on the fly: it renders one ConfigMap
with the values it was given, so that what the umbrella passes on can be asserted.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.kubernetes_yaml import load
from scripts.paths import CACHE, CHARTS
from scripts.render import chart_digest

UMBRELLA = CHARTS / "llm-platform"
MODEL = CHARTS / "vllm-model"

_LEFT_OUT = ("charts", "crds", "Chart.lock", "tests", "ci", "README.md")
"""What is at the top of a chart's folder and no part of a render."""

_STUB_TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: stub-{{ .Chart.Name }}
  namespace: {{ .Release.Namespace | quote }}
data:
  values.json: {{ toJson .Values | quote }}
"""


@dataclass(frozen=True)
class Dependency:
    """One entry of ``dependencies`` in Chart.yaml.

    Attributes:
        name: the chart's name.
        version: the exact version.
        repository: where it comes from; ``file://`` for a chart of this tree.
        condition: the path of the value that switches it, or "" if nothing does.
    """

    name: str
    version: str
    repository: str
    condition: str

    @property
    def is_local(self) -> bool:
        """Whether the chart is part of this tree."""
        return self.repository.startswith("file://")


def dependencies(chart: Path = UMBRELLA) -> list[Dependency]:
    """The dependencies that a chart names, in its order."""
    listed: list[dict[str, Any]] = load((chart / "Chart.yaml").read_text(encoding="utf-8")).get("dependencies", [])
    return [
        Dependency(entry["name"], str(entry["version"]), entry["repository"], entry.get("condition", ""))
        for entry in listed
    ]


def write_stub(folder: Path, dependency: Dependency) -> None:
    """Writes a stub chart that prints the values it is given into one ConfigMap, ``stub-<name>``."""
    (folder / "templates").mkdir(parents=True)
    chart = {"apiVersion": "v2", "name": dependency.name, "version": dependency.version}
    (folder / "Chart.yaml").write_text(json.dumps(chart), encoding="utf-8")
    (folder / "templates" / "values.yaml").write_text(_STUB_TEMPLATE, encoding="utf-8")


def _copy_chart(source: Path, destination: Path) -> None:
    def left_out(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if name in _LEFT_OUT] if Path(folder) == source else []

    shutil.copytree(source, destination, ignore=left_out)


def assemble(destination: Path, *, archives: Iterable[Path] = ()) -> Path:
    """Writes a copy of the umbrella that Helm can render without a network.

    Args:
        destination: a folder that does not exist yet.
        archives: packaged dependencies to put in as they are; every other one becomes a stub.

    Returns:
        destination.
    """
    _copy_chart(UMBRELLA, destination)
    charts = destination / "charts"
    _copy_chart(MODEL, charts / MODEL.name)
    given = {path.name: path for path in archives}
    for dependency in dependencies():
        archive = given.get(f"{dependency.name}-{dependency.version}.tgz")
        if archive is not None:
            shutil.copy2(archive, charts / archive.name)
        elif not dependency.is_local:
            write_stub(charts / dependency.name, dependency)
    return destination


def stubbed() -> Path:
    """The umbrella with stubs for all its operators, made once for a content of the two charts and shared."""
    recipe = Path(__file__).read_bytes()
    parts = (chart_digest(UMBRELLA), chart_digest(MODEL), hashlib.sha256(recipe).hexdigest())
    folder = CACHE / "platform" / hashlib.sha256("".join(parts).encode()).hexdigest()[:16] / UMBRELLA.name
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            made = assemble(Path(scratch) / UMBRELLA.name)
            try:
                os.rename(made, folder)  # noqa: PTH104 - fails if another process was faster, where Path.replace may not
            except OSError:
                if not folder.exists():
                    raise
    return folder
