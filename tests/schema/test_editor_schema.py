"""Every values file tells an editor which schema it has, and the README which values there are."""

import json
from pathlib import Path

import pytest

from scripts.paths import CHARTS, REPO, VALUES
from scripts.schema.generate import ChartSchema, charts
from scripts.schema.lockstep import groups, knobs

FOLDERS = {"models": "vllm-model", "platforms": "llm-platform"}
"""Which chart the files of a folder of ``values/`` are for."""

FILES = sorted(VALUES.rglob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_first_line_leads_to_the_overlay_schema_of_its_chart(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    schema = (path.parent / first.split("$schema=", 1)[1]).resolve()
    assert schema == ChartSchema(FOLDERS[path.parent.name]).overlay_path


def test_there_are_values_files() -> None:
    assert {path.parent.name for path in FILES} == set(FOLDERS)


@pytest.mark.parametrize("chart", charts())
def test_the_overlay_explains_every_knob(chart: str) -> None:
    """What an editor shows: each knob's own words and default."""
    schema = ChartSchema(chart)
    overlay = json.loads(schema.overlay_path.read_text())
    for knob in knobs(schema.source, schema.defaults):
        node = overlay
        for key in knob.path:
            node = node["properties"][key]
        assert node["description"] == knob.schema["description"], knob.dotted


@pytest.mark.parametrize("chart", charts())
def test_the_readme_lists_every_knob(chart: str) -> None:
    schema = ChartSchema(chart)
    text = (CHARTS / chart / "README.md").read_text()
    assert [knob.dotted for knob in knobs(schema.source, schema.defaults) if f"| `{knob.dotted}` |" not in text] == []
    assert [path[0] for path, _ in groups(schema.source) if f"### {path[0]}\n" not in text] == []


@pytest.mark.parametrize("path", ["charts/vllm-model/README.md"])
def test_the_readmes_example_line_is_that_of_the_files(path: str) -> None:
    assert FILES[0].read_text().splitlines()[0] in (REPO / path).read_text()
