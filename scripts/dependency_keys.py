"""Which keys the values of a foreign chart have: read from its archive, and written down as names.

The umbrella pins exact versions of its operators, so a key of theirs that is typed wrong can be told from one that
exists. What is recorded (``schemas/dependencies/<chart>.yaml``) is a tree of names. A name without anything below it is
free there; one with the name of a shape (``scripts.schema.dependencies.SHAPES``) is held to that. Known are the keys of
values.yaml, those that it has as comments to be taken in, and those that a template reads. ``open`` lists the maps that
may have others besides: those that a template hands over whole, and those of inner charts. Helm holds the umbrella's
schema against the defaults of inner charts too, and their versions follow a range: a key that is new in one of them
must not keep the umbrella from being installed.
"""

import re
import tarfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from scripts.console import UserError
from scripts.kubernetes_yaml import load
from scripts.schema.dependencies import Tree

FREE = re.compile(
    r"(labels|annotations|selector|probe|strategy|securitycontext|config|parameters|args)$"
    r"|^(env|data|global|route|capabilities|seccompprofile|limits|requests|matchers|headers)$",
    re.IGNORECASE,
)
"""Names of maps whose keys are the user's or Kubernetes', also where the chart has a default for some of them."""

RESOURCES = {"limits", "requests", "claims"}
COMMENTED_KEY = re.compile(r"^( *)#+( *)([a-z_][A-Za-z0-9_-]*):(?= |$)")
PROSE = {"ref", "note", "see", "example", "default", "warning", "http", "https"}
ACTION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
READ = re.compile(r"\.Values((?:\.[A-Za-z_][A-Za-z0-9_]*)+)(?:\)\.([A-Za-z_][A-Za-z0-9_]*))?")
HANDS_OVER = re.compile(r"\b(?:toYaml|toJson|range|omit|merge\w*)\b|:=")
"""What makes of a map more than its known keys."""

HANDS_OVER_DOT = re.compile(r"\{\{-?\s*with \$?\.Values((?:\.\w+)+)\s*-?\}\}.{0,200}?toYaml \.[\s)}|]", re.DOTALL)


@dataclass
class Archive:
    """What an archive says of the values of its chart.

    Attributes:
        version: of the chart.
        values: the text of values.yaml.
        templates: the texts of its templates.
        inner: the charts inside it by name, those whose own values.yaml is there.
        named: all the charts that it is made of, by the key that their values stand under.
    """

    version: str
    values: str
    templates: list[str] = field(default_factory=list)
    inner: dict[str, "Archive"] = field(default_factory=dict)
    named: list[str] = field(default_factory=list)


def read(path: Path, chart: str) -> Archive:
    """Reads what counts from an archive.

    Raises:
        UserError: it is not the archive of that chart.
    """
    with tarfile.open(path) as tar:
        texts = {
            member.name: tar.extractfile(member).read().decode(errors="replace")  # type: ignore[union-attr]
            for member in tar.getmembers()
            if member.isfile() and ("/templates/" in member.name or member.name.endswith(("Chart.yaml", "values.yaml")))
        }
    if f"{chart}/Chart.yaml" not in texts:
        raise UserError(f"{path} is not the archive of {chart}", why=f"it has no {chart}/Chart.yaml")
    return _chart(texts, f"{chart}/")


def _chart(texts: Mapping[str, str], root: str) -> Archive:
    """The chart whose files lie under a folder of the archive."""
    chart = load(texts[f"{root}Chart.yaml"])
    named = {entry["name"]: entry.get("alias") or entry["name"] for entry in chart.get("dependencies", [])}
    folders = {name.split("/")[0] for name in _below(texts, f"{root}charts/") if name.endswith("/Chart.yaml")}
    return Archive(
        version=str(chart["version"]),
        values=texts.get(f"{root}values.yaml", ""),
        templates=[texts[f"{root}templates/{name}"] for name in _below(texts, f"{root}templates/")],
        inner={
            named.get(folder, folder): _chart(texts, f"{root}charts/{folder}/")
            for folder in sorted(folders)
            if f"{root}charts/{folder}/values.yaml" in texts
        },
        named=sorted({*named.values(), *folders}),
    )


def _below(texts: Iterable[str], folder: str) -> list[str]:
    return [name.removeprefix(folder) for name in texts if name.startswith(folder)]


def record(archive: Archive) -> dict[str, Any]:
    """What is written down of a chart: its version, its open maps, and its keys."""
    keys, free = tree(archive)
    return {"version": archive.version, "open": sorted(free), "keys": _sorted(keys)}


def tree(archive: Archive) -> tuple[dict[str, Tree], set[str]]:
    """The keys of a chart's values, and the paths of its open maps.

    Those of a chart within it come from both: its own values.yaml and the outer one's.
    """
    found = known_keys(archive.values)
    for name in archive.named:
        found.setdefault(name, {})
    free = set(archive.named)
    for text in archive.templates:
        for path in sorted(read_keys(text)):
            _add(found, path)
        free |= {".".join(path) for path in handed_over(text) if isinstance(_at(found, path), dict)}
    for name, inner in archive.inner.items():
        found[name] = together(found[name], tree(inner)[0])
    found["global"] = None
    return found, {path for path in free if not any(path.startswith(f"{other}.") for other in free)}


def read_keys(text: str) -> set[tuple[str, ...]]:
    """Paths of the values that a template reads."""
    return {tuple(f"{path}.{last}".strip(".").split(".")) for path, last in READ.findall(text)}


def handed_over(text: str) -> set[tuple[str, ...]]:
    """Paths of the values that a template hands over as they are, or walks over."""
    paths = set(HANDS_OVER_DOT.findall(text))
    for action in ACTION.findall(text):
        if HANDS_OVER.search(action):
            paths |= {path for path, last in READ.findall(action) if not last}
    return {tuple(path.strip(".").split(".")) for path in paths}


def _at(keys: Tree, path: Iterable[str]) -> Tree:
    for key in path:
        keys = keys.get(key) if isinstance(keys, dict) else None
    return keys


def together(left: Tree, right: Tree) -> Tree:
    """Two trees in one; what is free in either is free."""
    if not (isinstance(left, dict) and isinstance(right, dict)):
        return left if left == right else None
    return left | {key: together(left[key], value) if key in left else value for key, value in right.items()}


def more(keys: Tree, known: Tree, free: Collection[str] = (), path: str = "") -> bool:
    """Whether a tree has keys where another is closed and has not got them.

    Args:
        free: the other's open maps, by path.
        path: where the trees stand.
    """
    if not isinstance(known, dict) or path in free:
        return False
    return isinstance(keys, dict) and any(
        key not in known or more(below, known[key], free, f"{path}.{key}".lstrip(".")) for key, below in keys.items()
    )


def _add(found: dict[str, Tree], path: Iterable[str]) -> None:
    """Takes in a key that a template reads, with nothing said of what is below it."""
    below: Tree = found
    for key in path:
        if isinstance(below, dict):
            below = below.setdefault(key, None)


def known_keys(text: str) -> dict[str, Tree]:
    """The tree of keys of a values.yaml, with those that it carries as comments."""
    node = yaml.compose(text, Loader=yaml.CSafeLoader)
    if not isinstance(node, yaml.MappingNode):
        return {}
    found = _keys(node, "")
    for parent, key in commented(text, node):
        below = _at(found, parent)
        if isinstance(below, dict):
            below.setdefault(key, None)
    return found


def _tree(node: yaml.Node, parent: str) -> Tree:
    """What is known below a key, from its default."""
    if not isinstance(node, yaml.MappingNode) or not node.value:
        return None
    keys = _keys(node, parent)
    return "resources" if keys.keys() <= RESOURCES else keys


def _keys(node: yaml.MappingNode, parent: str) -> dict[str, Tree]:
    """The keys of a map, each with what is known below it."""
    found: dict[str, Tree] = {}
    for key, value in node.value:
        name = str(key.value)
        found[name] = _shape(name, value, parent) or (None if FREE.search(name) else _tree(value, name))
    return found


def _shape(name: str, value: yaml.Node, parent: str) -> str:
    """The shape of Kubernetes that a key has by its name and the kind of its default."""
    if isinstance(value, yaml.SequenceNode):
        rules = parent == "rules" and name in ("custom", "external")
        return "adapter-rules" if rules else "tolerations" if name == "tolerations" else ""
    if not isinstance(value, yaml.MappingNode):
        return ""
    if name == "affinity" or (name == "resources" and not value.value):
        return name
    return "storage" if name == "storageSpec" or (name == "storage" and parent.endswith("Spec")) else ""


def commented(text: str, root: yaml.MappingNode) -> Iterator[tuple[tuple[str, ...], str]]:
    """Keys that stand in comments where a key could stand: the path of the map, and the key.

    A comment belongs to the nearest key above it that is further left. Below a key that has no map as its default, or
    that is a comment itself, everything is free anyway.
    """
    written = dict(_lines(root, ()))
    texts = set(_texts(root))
    above: list[tuple[int, tuple[str, ...] | None]] = []
    for number, line in enumerate(text.splitlines()):
        match = None if number in texts else COMMENTED_KEY.match(line)
        if number in written:
            column, path = written[number]
        elif match and match[3] not in PROSE:
            column, path = len(match[1]) + max(0, len(match[2]) - 1), None
        else:
            continue
        while above and above[-1][0] >= column:
            above.pop()
        if path is None and match and (not above or above[-1][1] is not None):
            yield (above[-1][1] or () if above else ()), match[3]
        above.append((column, path))


def _lines(node: yaml.MappingNode, path: tuple[str, ...]) -> Iterator[tuple[int, tuple[int, tuple[str, ...]]]]:
    """Line, column and path of every key of maps in maps."""
    for key, value in node.value:
        here = (*path, str(key.value))
        yield key.start_mark.line, (key.start_mark.column, here)
        if isinstance(value, yaml.MappingNode):
            yield from _lines(value, here)


def _texts(node: yaml.Node) -> Iterator[int]:
    """Lines within block scalars: a # there is no comment."""
    if isinstance(node, yaml.ScalarNode):
        if node.style in ("|", ">"):
            yield from range(node.start_mark.line + 1, node.end_mark.line)
    elif isinstance(node, yaml.CollectionNode):
        for entry in node.value:
            for part in entry if isinstance(entry, tuple) else (entry,):
                yield from _texts(part)


def _sorted(keys: Tree) -> Tree:
    return {name: _sorted(keys[name]) for name in sorted(keys)} if isinstance(keys, dict) else keys


def text_of(chart: str, recorded: Mapping[str, Any]) -> str:
    """The file of a chart."""
    head = (
        f"# The keys that the values of the chart {chart} have, by name; nothing of what they are set to. Nothing\n"
        "# behind a key: what is below it is free. Written by 'vllm-charts deps fetch --record' from the archive.\n"
    )
    body: str = yaml.safe_dump(dict(recorded), sort_keys=False, width=1000)
    return head + re.sub(r"(?m): null$", ":", body)
