"""The values of foreign charts in our schemas: closed where their keys are recorded, else open but for near misses.

``schemas/dependencies/<chart>.yaml`` has the keys of the pinned version (``scripts/dependency_keys.py`` writes it). Of
some maps not all keys can be known (``open``). The schema leaves those to the user; the Python validator refuses in
them what is almost a known key, as that is a slip and no knob.
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from scripts.paths import CHARTS, SCHEMAS
from scripts.schema.sources import Schema, read_yaml

Tree: TypeAlias = "dict[str, Tree] | str | None"
"""Known keys: a map of them, the name of a shape, or nothing where all is free."""

FOLDER = SCHEMAS / "dependencies"

KUBERNETES = "#/definitions/io.k8s.api.core.v1."
TEXT: Schema = {"type": "string"}
SHAPES: dict[str, Schema] = {
    "affinity": {"$ref": f"{KUBERNETES}Affinity"},
    "adapter-rules": {
        "type": "array",
        "items": {
            "properties": {
                "seriesQuery": TEXT,
                "seriesFilters": {"type": "array", "items": {"properties": {"is": TEXT, "isNot": TEXT}}},
                "resources": {
                    "properties": {
                        "template": TEXT,
                        "overrides": {"additionalProperties": {"properties": {"group": TEXT, "resource": TEXT}}},
                        "namespaced": {"type": "boolean"},
                    }
                },
                "name": {"properties": {"matches": TEXT, "as": TEXT}},
                "metricsQuery": TEXT,
            }
        },
    },
    "tolerations": {"type": "array", "items": {"$ref": f"{KUBERNETES}Toleration"}},
    "resources": {
        "properties": {
            name: {"x-free-map": "names of resources are the cluster's", "additionalProperties": True}
            for name in ("limits", "requests", "claims")
        }
    },
    "storage": {
        "properties": {
            "disableMountSubPath": {"type": "boolean"},
            "emptyDir": {"$ref": f"{KUBERNETES}EmptyDirVolumeSource"},
            "ephemeral": {"$ref": f"{KUBERNETES}EphemeralVolumeSource"},
            "volumeClaimTemplate": {
                "properties": {
                    "apiVersion": {"type": "string"},
                    "kind": {"type": "string"},
                    "metadata": {"x-free-map": "metadata of a claim", "additionalProperties": True},
                    "spec": {"$ref": f"{KUBERNETES}PersistentVolumeClaimSpec"},
                }
            },
        }
    },
}
"""What a key is held to that a chart hands on: to Kubernetes, the Prometheus operator (``storage``) or the adapter."""


@dataclass(frozen=True)
class Recorded:
    """What is recorded of a chart.

    Attributes:
        version: of the chart.
        open: paths of the maps that may have keys which are not recorded.
        keys: the tree.
    """

    version: str
    open: frozenset[str]
    keys: dict[str, Tree]


def charts() -> list[str]:
    """The charts that something is recorded of."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


@functools.cache
def recorded(chart: str) -> Recorded:
    """What is recorded of a chart. Cached: callers must not change it."""
    content = read_yaml(FOLDER / f"{chart}.yaml")
    return Recorded(str(content["version"]), frozenset(content["open"]), content["keys"])


def with_keys(node: Schema) -> Schema:
    """A property that holds the values of a foreign chart (``x-dependency``), with the recorded keys beside its own."""
    if "x-dependency" not in node:
        return node
    known = _schema(node["x-dependency"], recorded(node["x-dependency"]).keys)
    return node | {"properties": known["properties"] | node.get("properties", {})}


def _schema(chart: str, tree: Tree, path: str = "", *, is_open: bool = False) -> Schema:
    """What a part of a foreign chart's values is held to. ``x-foreign`` marks maps that take null for every key.

    Within an open map every map is open.
    """
    free: Schema = {"x-free-map": f"values of the chart {chart}", "additionalProperties": True}
    if tree is None:
        return free
    if isinstance(tree, str):
        return SHAPES[tree] | {"x-foreign": True, "x-shape": tree}
    is_open = is_open or path in recorded(chart).open
    below = {name: _schema(chart, child, f"{path}.{name}".lstrip("."), is_open=is_open) for name, child in tree.items()}
    known: Schema = {"x-foreign": True, "properties": below}
    return known | free if is_open else known


@dataclass(frozen=True)
class NearMiss:
    """A key that is almost one that exists: where it stands, and which was meant."""

    path: tuple[str, ...]
    meant: str


def near_misses(values: Mapping[str, Any]) -> Iterator[NearMiss]:
    """Keys in the open maps of foreign charts that are a slip away from a known one."""
    for chart in charts():
        known = _both(recorded(chart).keys, _ours().get(chart))
        for path in sorted(recorded(chart).open):
            keys = tuple(path.split("."))
            given = _at(values.get(chart), keys)
            if isinstance(given, Mapping):
                yield from _misses(given, _at(known, keys), (chart, *keys))


def _at(values: Any, path: tuple[str, ...]) -> Any:
    """What stands at a path, or None."""
    for key in path:
        values = values.get(key) if isinstance(values, Mapping) else None
    return values


@functools.cache
def _ours() -> dict[str, Any]:
    """The umbrella's defaults: what it sets, exists."""
    values: dict[str, Any] = read_yaml(CHARTS / "llm-platform" / "values.yaml")
    return values


def _both(tree: Tree, ours: Any) -> Tree:
    """Known keys and those of the umbrella's own values. Below a list or a text nothing is known."""
    if not isinstance(ours, Mapping):
        return tree
    known = tree if isinstance(tree, dict) else {}
    return known | {key: _both(known.get(key), value) for key, value in ours.items()}


def _misses(given: Mapping[str, Any], known: Tree, path: tuple[str, ...]) -> Iterator[NearMiss]:
    if not isinstance(known, dict):
        return
    for key, value in given.items():
        if key in known:
            if isinstance(value, Mapping):
                yield from _misses(value, known[key], (*path, key))
        elif meant := nearest(key, known):
            yield NearMiss((*path, key), meant)


def nearest(key: str, known: Mapping[str, Any]) -> str:
    """The known key that a key almost is: two slips at most, one in a short name; "" where there is none."""
    plain = _plain(key)
    slips = {name: distance(plain, _plain(name)) for name in known}
    best = min(slips, key=slips.__getitem__, default="")
    allowed = 0 if len(plain) < 4 else 1 if len(plain) < 7 else 2
    return best if best and slips[best] <= allowed else ""


def _plain(key: str) -> str:
    return key.replace("_", "").replace("-", "").lower()


def distance(left: str, right: str) -> int:
    """Slips between two texts: letters lost, added, changed, or two neighbours swapped (optimal string alignment)."""
    rows = [list(range(len(right) + 1))]
    for i, a in enumerate(left, 1):
        row = [i]
        for j, b in enumerate(right, 1):
            best = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and b == left[i - 2]:
                best = min(best, rows[-2][j - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]
