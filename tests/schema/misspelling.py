"""Makes misspellings: every key of a document, one at a time, wrong in the ways in which keys are typed wrong."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scripts.schema.bundle import inline_kubernetes
from scripts.schema.dependencies import with_keys
from scripts.schema.sources import Schema, load, source_path

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Misspelling:
    """A document with one key wrong.

    Attributes:
        path: of the key as it should be.
        typed: the key as it is.
        document: the whole document; all but the path to the key is shared with the original.
    """

    path: Path
    typed: str
    document: Any

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.path))} typed as {self.typed}"


def wrong_spellings(key: str) -> set[str]:
    """The key with a letter lost, two letters swapped, the case changed, in snake_case, and with a letter too many."""
    middle = len(key) // 2
    lost = key[:middle] + key[middle + 1 :]
    swapped = key[: middle - 1] + key[middle] + key[middle - 1] + key[middle + 1 :] if middle else key
    cased = key[0].swapcase() + key[1:]
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f"_{match.group(1).lower()}", key)
    return {lost, swapped, cased, key.lower(), snake, f"{key}s"} - {key, ""}


def paths(node: Any, path: Path = ()) -> Iterator[Path]:
    """The path of every key of a document, those of maps in lists too."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*path, key)
            yield from paths(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from paths(value, (*path, index))


def renamed(node: Any, path: Path, typed: str) -> Any:
    """The document with the key at a path renamed. Nothing is changed in place."""
    key, rest = path[0], path[1:]
    if isinstance(node, list):
        return [renamed(value, rest, typed) if index == key else value for index, value in enumerate(node)]
    if rest:
        return {name: renamed(value, rest, typed) if name == key else value for name, value in node.items()}
    return {typed if name == key else name: value for name, value in node.items()}


def misspellings(document: dict[str, Any]) -> Iterator[Misspelling]:
    """Every misspelling of every key, but those that happen to be another key beside it."""
    for path in paths(document):
        siblings = at(document, path[:-1])
        for typed in sorted(wrong_spellings(str(path[-1]))):
            if typed not in siblings:
                yield Misspelling(path, typed, renamed(document, path, typed))


def at(node: Any, path: Path) -> Any:
    """What stands at a path of a document."""
    for key in path:
        node = node[key]
    return node


def with_embedded(node: Schema) -> Schema:
    """A value that takes the values of another chart, with those written out."""
    if "x-embed" not in node:
        return node
    other = load(source_path(node["x-embed"]))
    return node | {"properties": other["properties"] | node.get("properties", {})}


def is_closed(node: Schema) -> bool:
    """Whether what is almost a key of the map is refused: by the schema, or as a near miss below a foreign chart."""
    return node.get("additionalProperties") is not True or "x-foreign" in node


def free_map(source: Schema, path: Path) -> str | None:
    """Why the key at a path is free, or None where the schema knows the keys of its map."""
    node: Schema = source
    for depth, key in enumerate(path):
        node = with_keys(with_embedded(inline_kubernetes(node)))
        if isinstance(key, int):
            node = node.get("items", node if node.get("additionalProperties") is True else {})
        elif key in node.get("properties", {}) and (depth < len(path) - 1 or is_closed(node)):
            node = node["properties"][key]
        elif node.get("additionalProperties") is True:
            return str(node["x-free-map"])
        elif "x-free-map" in node:
            if depth == len(path) - 1:
                return str(node["x-free-map"])
            node = node["additionalProperties"]
        elif isinstance(node.get("additionalProperties"), dict):
            if depth == len(path) - 1:
                return "a map of Kubernetes whose keys are the user's"
            node = node["additionalProperties"]
        else:
            return None
    return None
