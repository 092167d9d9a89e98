"""Turns every knob of a chart, one at a time, and sees whether what Helm renders changes.

A render for each knob would take minutes. Here one call of Helm renders hundreds: a parent chart whose subcharts are
the chart again and again, each with its own values. The named templates are there once; the rules of the validator
print what they refuse instead of failing, so that a refusal of one is a change like any other and no end to the rest.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.paths import CHARTS
from scripts.render import helm_path
from scripts.schema import values
from scripts.schema.bundle import MISSING
from scripts.schema.lockstep import Knob
from scripts.schema.sources import Schema

Values = Mapping[str, Any]

MODEL_CHART = CHARTS / "vllm-model"
PLATFORM = CHARTS / "llm-platform"
FAIL = re.compile(r'\{\{- fail (\(printf "\\n\\n[a-z-]+ cannot render.*?\)) -\}\}')
PRINTED = """---
apiVersion: v1
kind: ConfigMap
metadata: {{name: refused}}
data: {{text: {{{{ {text} | quote }}}}}}
"""
OBJECTS = '{{ include "vllm-model.objects" . }}\n'
NOTES = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: notes}
data: {text: {{ include "notes" . | quote }}}
"""
SOURCE = re.compile(r"(?m)^# Source: knobs/charts/(case\d+)/")
CULPRIT = re.compile(r"knobs/charts/(case\d+)/")
OWN_NAME = re.compile(r"\bcase\d+-0\.1\.0\b")


def renders(cases: Sequence[Values], chart: Path = MODEL_CHART) -> list[str]:
    """What Helm makes of the chart with each of the values, as text; an error where a template renders nothing."""
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="knobs-") as scratch:
        parent = Path(scratch, "knobs")
        _write_library(parent, chart)
        for number in range(len(cases)):
            _write_case(parent / "charts" / f"case{number}", chart)
        while True:
            left = {f"case{number}": case for number, case in enumerate(cases) if f"case{number}" not in found}
            done = _helm(parent, left)
            if done.returncode == 0:
                break
            culprit = CULPRIT.search(done.stderr)
            if culprit is None:
                raise AssertionError(done.stderr)
            found[culprit[1]] = done.stderr
            shutil.rmtree(parent / "charts" / culprit[1])
    parts: dict[str, list[str]] = defaultdict(list)
    for document in re.split(r"(?m)^---$", done.stdout):
        if source := SOURCE.search(document):
            parts[source[1]].append(OWN_NAME.sub("case", SOURCE.sub("", document)).strip())
    found |= {name: "---".join(documents) for name, documents in parts.items()}
    return [found[f"case{number}"] for number in range(len(cases))]


def _write_library(parent: Path, chart: Path) -> None:
    """The parent, and a subchart with all named templates and nothing to render."""
    templates = parent / "charts" / "library" / "templates"
    templates.mkdir(parents=True)
    (parent / "Chart.yaml").write_text("{apiVersion: v2, name: knobs, version: 0.1.0}")
    (templates.parent / "Chart.yaml").write_text("{apiVersion: v2, name: library, version: 0.1.0}")
    for source in {MODEL_CHART, chart}:
        for number, path in enumerate(sorted((source / "templates").rglob("*.tpl"))):
            text = path.read_text(encoding="utf-8")
            changed = FAIL.sub(lambda match: "\n" + PRINTED.format(text=match[1]), text)
            (templates / f"_{source.name}-{number}.tpl").write_text(changed)
    notes = (chart / "templates" / "NOTES.txt").read_text(encoding="utf-8")
    (templates / "_notes-text.tpl").write_text('{{- define "notes" -}}\n' + notes + "\n{{- end }}\n")


def _write_case(folder: Path, chart: Path) -> None:
    """The chart itself once more: all but its named templates."""
    _copy_values(chart, folder)
    (folder / "templates").mkdir()
    (folder / "templates" / "notes.yaml").write_text(NOTES)
    if chart == MODEL_CHART:
        (folder / "templates" / "all.yaml").write_text(OBJECTS)
        return
    _copy_values(MODEL_CHART, folder / "charts" / MODEL_CHART.name)
    for path in (chart / "templates").rglob("*.yaml"):
        copy = folder / path.relative_to(chart)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)


def _copy_values(chart: Path, folder: Path) -> None:
    """What templates read of a chart: its values, its version and its files."""
    folder.mkdir(parents=True)
    (folder / "Chart.yaml").write_text(f"{{apiVersion: v2, name: {folder.name}, version: 0.1.0, appVersion: '0.33.0'}}")
    shutil.copy(chart / "values.yaml", folder)
    for files in ("files", "dashboards"):
        shutil.copytree(chart / files, folder / files)


def _helm(chart: Path, cases: Mapping[str, Values]) -> subprocess.CompletedProcess[str]:
    typed = chart.parent / "values.json"
    typed.write_text(json.dumps(cases))
    command: list[str | Path] = [helm_path("helm"), "template", "demo", chart, "--namespace", "llm", "--values", typed]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"KUBECONFIG": os.devnull}
    )


def turned(knob: Knob) -> Iterator[Any]:
    """Values of a knob that are not its default, by its schema."""
    if "enum" in knob.schema:
        yield from (choice for choice in knob.schema["enum"] if choice not in (knob.default, None))
        return
    default = None if knob.default is MISSING else knob.default
    yield from (value for value in made(knob.schema, default) if value != default)


def made(schema: Schema, default: Any = None) -> list[Any]:
    """Values that a schema takes, or that are near enough for a template to show that it reads them."""
    kinds = schema.get("type", "object")
    kind = kinds if isinstance(kinds, str) else next(each for each in kinds if each != "null")
    examples = list(schema.get("examples", []))
    if "enum" in schema:
        return [choice for choice in schema["enum"] if choice is not None]
    if kind == "boolean":
        return [not default]
    if kind in ("integer", "number"):
        least = default if isinstance(default, int | float) else schema.get("minimum", 1)
        return [value for value in (*examples, least + 1, least / 2) if value <= schema.get("maximum", value)]
    if kind == "string":
        return [*examples, "probe"]
    if kind == "array":
        return [*examples, made(schema.get("items", {}))[:1], []]
    return [*examples, _map(schema), {}]


def _map(schema: Schema) -> dict[str, Any]:
    """A map with something in it: a field that is a text or number, else any key."""
    for name, field in schema.get("properties", {}).items():
        if field.get("type") in ("string", "integer", "boolean"):
            return {name: made(field)[0]}
    others = schema.get("additionalProperties")
    return {"probe": made(others)[0] if isinstance(others, dict) and "type" in others else "probe"}


def set_at(base: Values, path: Sequence[str], value: Any) -> dict[str, Any]:
    """Values with one more said."""
    for key in reversed(path):
        value = {key: value}
    return values.coalesce(dict(base), value)


def unread(knobs: Sequence[Knob], context: Values, chart: Path = MODEL_CHART) -> list[Knob]:
    """Knobs that change nothing of what is rendered, whatever they are turned to, beside the values of a context."""
    left = list(knobs)
    for attempt in range(max((len([*turned(knob)]) for knob in knobs), default=0)):
        turns = [(knob, value) for knob in left for value in [*turned(knob)][attempt : attempt + 1]]
        if not turns:
            break
        before, *after = renders([context, *(set_at(context, knob.path, value) for knob, value in turns)], chart)
        read = {knob.dotted for (knob, _), text in zip(turns, after, strict=True) if text != before}
        left = [knob for knob in left if knob.dotted not in read]
    return left
