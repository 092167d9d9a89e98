"""Writes the table of values of a chart's README between two markers; what stands around them is written by hand."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.console import UserError
from scripts.schema.bundle import MISSING
from scripts.schema.lockstep import Knob, groups, knobs
from scripts.schema.sources import Schema

BEGIN = "<!-- values: begin (made by 'vllm-charts schema generate'; write schemas/ and values.yaml instead) -->"
END = "<!-- values: end -->"

DEFAULT_LIMIT = 80
"""Characters of a default that still fit into a cell."""


def table(source: Schema, defaults: dict[str, Any]) -> str:
    """The values as Markdown: a section for each top-level group, one row a knob."""
    lines: list[str] = []
    ungrouped = [knob for knob in knobs(source, defaults) if len(knob.path) == 1]
    lines += ["### Top level", "", *_rows(ungrouped), ""]
    for path, group in groups(source):
        if len(path) == 1:
            members = list(knobs(group, defaults.get(path[0], MISSING), path))
            lines += [f"### {path[0]}", "", group["description"], "", *_rows(members), ""]
    return "\n".join(lines)


def _rows(members: list[Knob]) -> Iterator[str]:
    yield "| Key | Type | Default | What it decides |"
    yield "|---|---|---|---|"
    for knob in members:
        yield f"| `{knob.dotted}` | {_kind(knob.schema)} | {_default(knob)} | {_cell(knob.schema['description'])} |"


def _kind(schema: Schema) -> str:
    """The type of a knob in words; the values of an enum where there are few."""
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"] if value != "")
    kinds: list[str] = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    names: dict[str, str] = {"object": "map", "array": "list", "boolean": "true, false"}
    return " or ".join(names.get(kind, kind) for kind in kinds)


def _default(knob: Knob) -> str:
    """The default as it would be typed; a long one is left to values.yaml."""
    if knob.default is MISSING or knob.default is None or knob.default == "":
        return "unset"
    text = json.dumps(knob.default, ensure_ascii=False)
    return f"`{_cell(text)}`" if len(text) <= DEFAULT_LIMIT else "see values.yaml"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def updated(path: Path, source: Schema, defaults: dict[str, Any]) -> str:
    """The text of a README with its table made anew.

    Raises:
        UserError: the README has not got the two markers.
    """
    text = path.read_text() if path.is_file() else ""
    if BEGIN not in text or END not in text:
        raise UserError(f"{path} has no place for the table of values", fix=f"add these two lines:\n{BEGIN}\n{END}")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    return f"{head}{BEGIN}\n\n{table(source, defaults)}\n{END}{tail}"
