"""Holds sources, values.yaml and templates together, both ways.

* every key of values.yaml is in the source, with a value that the source takes;
* every knob of the source has a default in values.yaml, unless it lies in a map, a list or an ``x-optional`` object;
* every knob is read by a template: one that nobody reads promises what does not happen;
* every open object is one that a source marks ``x-free-map``, with its reason.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.schema.bundle import MISSING, inline_kubernetes, is_group
from scripts.schema.sources import Schema

PATH_PATTERN = re.compile(r"\.Values((?:\.[A-Za-z_][A-Za-z0-9_]*)+)")
FIELD_PATTERN = re.compile(r"\.((?:[A-Za-z_][A-Za-z0-9_]*)(?:\.[A-Za-z_][A-Za-z0-9_]*)*)")
BLOCK_KEY = re.compile(r"( *)([A-Za-z_][^:\s]*):(?: |$)")
KNOWN_KEYS = {
    *("enabled", "create", "name", "type", "port", "annotations", "labels", "podLabels", "podAnnotations", "affinity"),
    *(
        "nodeSelector",
        "tolerations",
        "requests",
        "limits",
        "image",
        "repository",
        "tag",
        "digest",
        "pullPolicy",
        "service",
    ),
    *("ingress", "hosts", "className", "priorityClassName", "serviceAccount", "resources", "namespace"),
}
"""Keys that mean in a chart what they mean in Kubernetes."""

QUOTED_PATTERN = re.compile(r'"([A-Za-z_][A-Za-z0-9_]*)"')


@dataclass(frozen=True)
class Knob:
    """A value that a user may set.

    Attributes:
        path: its keys from the root.
        schema: its resolved source.
        default: its default in values.yaml, or MISSING.
        optional: whether it may be absent from values.yaml.
    """

    path: tuple[str, ...]
    schema: Schema
    default: Any
    optional: bool

    @property
    def dotted(self) -> str:
        return ".".join(self.path)


def knobs(source: Schema, defaults: Any, path: tuple[str, ...] = (), *, optional: bool = False) -> Iterator[Knob]:
    """Every knob of a source in its order. Groups are walked through, maps and lists are one knob."""
    optional = optional or "x-optional" in source
    for name, raw in source["properties"].items():
        child = inline_kubernetes(raw)
        default = defaults.get(name, MISSING) if isinstance(defaults, dict) else MISSING
        if is_group(child) and "x-optional" not in source:
            yield from knobs(child, default, (*path, name), optional=optional)
        else:
            yield Knob((*path, name), child, default, optional)


def groups(source: Schema, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Every group of a source with its path, parents first."""
    for name, child in source["properties"].items():
        if is_group(child):
            yield (*path, name), child
            yield from groups(child, (*path, name))


def missing_defaults(source: Schema, defaults: dict[str, Any]) -> list[str]:
    """Knobs that the source describes and values.yaml does not have."""
    return [knob.dotted for knob in knobs(source, defaults) if knob.default is MISSING and not knob.optional]


def unknown_keys(source: Schema, defaults: dict[str, Any], path: tuple[str, ...] = ()) -> list[str]:
    """Keys of values.yaml that the source does not describe."""
    found: list[str] = []
    for name, value in defaults.items():
        child = source["properties"].get(name)
        if child is None:
            found.append(".".join((*path, name)))
        elif is_group(child) and isinstance(value, dict):
            found += unknown_keys(child, value, (*path, name))
    return found


@dataclass(frozen=True)
class FreeMap:
    """An object whose keys the schema cannot know.

    Attributes:
        path: where it stands; ``*`` for any key of a map, ``[]`` for an item of a list.
        reason: why it is open.
        values: whether its values are held to a shape all the same.
    """

    path: str
    reason: str
    values: bool


def free_maps(node: Any, path: str = "") -> Iterator[FreeMap]:
    """Every open object of a resolved source, Kubernetes' own excepted."""
    if not isinstance(node, dict):
        return
    if "x-free-map" in node:
        yield FreeMap(path, node["x-free-map"], isinstance(node.get("additionalProperties"), dict))
    for name, child in node.get("properties", {}).items():
        yield from free_maps(child, f"{path}.{name}" if path else name)
    if isinstance(node.get("additionalProperties"), dict):
        yield from free_maps(node["additionalProperties"], f"{path}.*")
    if "items" in node:
        yield from free_maps(node["items"], f"{path}[]")


def own_templates(chart: Path) -> str:
    """The templates of a chart as one text, without comments."""
    files = sorted(path for path in (chart / "templates").rglob("*") if path.suffix in {".tpl", ".yaml", ".txt"})
    text = "\n".join(path.read_text() for path in files)
    return re.sub(r"\{\{-?\s*/\*.*?\*/\s*-?\}\}", "", text, flags=re.DOTALL)


def template_texts(chart: Path) -> str:
    """All templates of a chart as one text, with those helpers of the charts beside it that they include by name."""
    text = own_templates(chart)
    for other, helper in sorted(set(re.findall(r'include "([a-z-]+)\.([\w.-]+)"', text))):
        beside = chart.parent / other
        if beside != chart and beside.is_dir():
            text += "\n" + helper_text(own_templates(beside), f"{other}.{helper}")
    return text


def helper_text(templates: str, name: str) -> str:
    """One named template: from its define to the next."""
    found = re.search(rf'define "{re.escape(name)}".*?(?=\bdefine "|\Z)', templates, re.DOTALL)
    return found[0] if found else ""


class Reads:
    """Which keys the templates read, found without running them.

    A knob counts as read if its whole path stands in a template (``.Values.probes.startup.periodSeconds``), or if a
    group above it is taken as a whole (``$probes := .Values.probes``) and the rest of the path, or each of its keys, is
    read as a field (``$probes.startup.periodSeconds``, ``get $startup "periodSeconds"``). This errs on the side of
    "read": a name that some other part of the group also has is not told apart.
    """

    def __init__(self, text: str) -> None:
        self.paths = {match.group(1)[1:] for match in PATH_PATTERN.finditer(text)}
        fields = {match.group(1) for match in FIELD_PATTERN.finditer(text)}
        self.tails = {tail for field in fields for tail in _tails(field)} | set(QUOTED_PATTERN.findall(text))

    def reads(self, knob: Knob) -> bool:
        """Whether some template reads the knob."""
        if any(path == knob.dotted or path.startswith(f"{knob.dotted}.") for path in self.paths):
            return True
        for length in range(len(knob.path) - 1, 0, -1):
            if ".".join(knob.path[:length]) in self.paths:
                rest = knob.path[length:]
                return ".".join(rest) in self.tails or all(key in self.tails for key in rest)
        return False


def _tails(field: str) -> Iterator[str]:
    """``a.b.c`` gives ``a.b.c``, ``b.c``, ``c``, and each key alone."""
    keys = field.split(".")
    for start in range(len(keys)):
        for end in range(start + 1, len(keys) + 1):
            yield ".".join(keys[start:end])


def unread_knobs(source: Schema, defaults: dict[str, Any], chart: Path) -> list[str]:
    """Knobs that no template of the chart reads. Flags of the engine are read all alike, by a loop.

    Values of another chart (``x-embed``, ``x-dependency``) are read there.
    """
    reads = Reads(template_texts(chart))
    ours = (knob for knob in knobs(source, defaults) if not {"x-embed", "x-dependency"} & knob.schema.keys())
    return [knob.dotted for knob in ours if not knob.optional and not reads.reads(knob)]


def unexplained_keys(text: str) -> list[str]:
    """Keys of a values.yaml that no comment above them or above their group explains, but for those that any reader of
    Kubernetes knows. Keys in flow maps and lists are one with their knob."""
    found: list[str] = []
    above: list[tuple[int, str, bool]] = []
    commented = False
    for line in text.splitlines():
        if match := BLOCK_KEY.match(line):
            indent, key = len(match.group(1)), match.group(2)
            above = [entry for entry in above if entry[0] < indent]
            if not commented and key not in KNOWN_KEYS and not (above and above[-1][2]):
                found.append(".".join((*(name for _, name, _ in above), key)))
            above.append((indent, key, commented))
        commented = line.strip().startswith("#")
    return found
