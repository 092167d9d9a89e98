"""The umbrella as a release packages it."""

import tarfile
from pathlib import Path

import pytest

from scripts.platform_chart import UMBRELLA, assemble, dependencies


@pytest.fixture
def umbrella(tmp_path: Path) -> Path:
    """The umbrella as ``make deps`` leaves it: archives in charts/, CRDs in crds/."""
    chart = assemble(tmp_path / UMBRELLA.name)
    for entry in dependencies():
        folder = chart / "charts" / entry.name
        if entry.is_local:
            continue
        with tarfile.open(chart / "charts" / f"{entry.name}-{entry.version}.tgz", "w:gz") as archive:
            archive.add(folder, arcname=entry.name)
        for path in sorted(folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()
    (chart / "crds").mkdir()
    (chart / "crds" / "keda.yaml").write_text("# a definition\n", encoding="utf-8")
    return chart
