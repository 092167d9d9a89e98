"""``ct lint`` on both charts, without a network.

``ct`` runs ``helm dependency build``, which fetches the umbrella's operators. So the umbrella is linted as a copy whose
dependencies are stub charts beside it.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from scripts import tools
from scripts.console import UserError, step
from scripts.paths import REPO, VENV
from scripts.platform_chart import MODEL, UMBRELLA, dependencies, write_stub


def lint() -> None:
    """Lints both charts.

    Raises:
        UserError: a chart does not pass; has what ``ct`` said.
    """
    with step("ct lint charts/vllm-model"):
        run_ct(MODEL)
    with tempfile.TemporaryDirectory() as scratch, step("ct lint charts/llm-platform (its operators as stubs)"):
        run_ct(umbrella_with_local_dependencies(Path(scratch)))


def umbrella_with_local_dependencies(folder: Path) -> Path:
    """A copy of the umbrella in which every dependency is a chart of the same folder."""
    copy = folder / UMBRELLA.name
    shutil.copytree(UMBRELLA, copy, ignore=shutil.ignore_patterns("charts", "crds", "Chart.lock"))
    shutil.copytree(MODEL, folder / MODEL.name)
    for dependency in dependencies():
        if not dependency.is_local:
            write_stub(folder / dependency.name, dependency)
    manifest = copy / "Chart.yaml"
    remote = r"(?m)^( +- name: (\S+)\n +version: .*\n +repository: )https.*$"
    manifest.write_text(re.sub(remote, r"\1file://../\2", manifest.read_text()))
    return copy


def run_ct(chart: Path) -> None:
    """Runs ``ct lint`` on one chart with the pinned Helm, plugin and linters.

    Raises:
        UserError: with the end of what it said.
    """
    found = [str(tools.ensure("helm").parent), str(VENV / "bin"), os.environ["PATH"]]
    environment = os.environ | tools.helm_environment() | {"PATH": os.pathsep.join(found)}
    command = [str(tools.ensure("ct")), "lint", "--config", "ct.yaml", "--charts", str(chart)]
    result = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        raise UserError(f"ct lint refuses {chart.name}", why=(result.stdout + result.stderr)[-4000:])
