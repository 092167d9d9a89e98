"""Rules for the sources themselves: the meta-schema, and what a schema cannot say about another."""

import re
from collections.abc import Iterator
from typing import Any

from scripts.json_schema import Draft7Validator
from scripts.paths import SCHEMAS
from scripts.schema.sources import Schema, load, read_yaml, source_path

META = SCHEMAS / "meta.schema.yaml"

NOT_RE2 = re.compile(r"\(\?[=!<]|\\[1-9dwDWbB]")
"""What Go's patterns have not got (looking around, references back), and classes that Python reads as Unicode."""


def meta_problems(chart: str) -> list[str]:
    """What the meta-schema refuses in a chart's source, each with its place."""
    checker = Draft7Validator(read_yaml(META))
    source = load(source_path(chart))
    found = [f"{place(error.absolute_path)}: {error.message}" for error in checker.iter_errors(source)]
    return sorted(found) + pattern_problems(source)


def place(path: Any) -> str:
    """A path in a source as the path of the value that it describes."""
    keys = [str(key) for key in path if key not in ("properties", "then", "if")]
    return ".".join(keys) or "the root"


def pattern_problems(source: Schema) -> list[str]:
    """Patterns that Helm (RE2) and Python would read differently, or that match only somewhere in a text."""
    found = []
    for where, pattern in _patterns(source, ()):
        if NOT_RE2.search(pattern):
            found.append(f"{where}: the pattern {pattern} is read differently by Go or has parts that it cannot read")
        elif not (pattern.startswith("^") and pattern.endswith("$")) or "$" in pattern[:-1]:
            found.append(f"{where}: the pattern {pattern} must be anchored at both ends, and only there")
    return found


def _patterns(node: Any, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield place(path), node["pattern"]
        for key, value in node.items():
            yield from _patterns(value, (*path, key))
    elif isinstance(node, list):
        for value in node:
            yield from _patterns(value, path)
