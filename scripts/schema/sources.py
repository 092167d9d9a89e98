"""Reads the schema sources and resolves their references.

A source is JSON Schema draft-07 in YAML with a few conveniences, which ``bundle`` turns into plain draft-07:

* ``$ref: file.yaml`` or ``file.yaml#/name`` takes in another file, ``#/name`` a part of the same, and
  ``#/definitions/name`` a shape of ``definitions/*.yaml``. Keys beside ``$ref`` win over those of the target (draft-07
  itself ignores them).
* ``#/definitions/io.k8s...`` is Kubernetes' own definition (see ``kubernetes``).
* An object is closed unless ``x-free-map: reason`` stands beside its ``additionalProperties``.
* ``x-optional: reason`` marks an object whose keys need no default in values.yaml.
* ``x-embed: chart`` takes the values of another chart of ours, ``x-dependency`` marks those of a foreign one.
"""

import functools
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from scripts.console import UserError
from scripts.paths import SCHEMAS

Schema: TypeAlias = dict[str, Any]

KUBERNETES_PREFIX = "#/definitions/io.k8s."
LOCAL_PREFIX = "#/definitions/"
DATA = {"default", "examples", "enum", "const"}
"""Keywords that hold values and not schemas."""


@functools.cache
def read_yaml(path: Path) -> Any:
    """The content of a YAML file of this repository. Cached: callers must not change it.

    Raises:
        UserError: the file is not YAML.
    """
    try:
        return yaml.load(path.read_text(), Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML", why=str(error)) from error


@functools.cache
def definitions() -> dict[str, Schema]:
    """The shapes of ``schemas/definitions/*.yaml`` by name.

    Raises:
        UserError: two files define the same name.
    """
    found: dict[str, Schema] = {}
    for path in sorted((SCHEMAS / "definitions").glob("*.yaml")):
        for name, schema in read_yaml(path).items():
            if name in found:
                raise UserError(f"{path}: the definition {name} exists twice", fix="give one of them another name")
            found[name] = schema
    return found


def source_path(chart: str) -> Path:
    """The source of a chart's schema."""
    return SCHEMAS / f"{chart}.schema.yaml"


@functools.cache
def load(path: Path) -> Schema:
    """A source with every reference taken in but those to Kubernetes' definitions. Cached: callers must not change it.

    Raises:
        UserError: a reference leads nowhere.
    """
    resolved = _resolve(read_yaml(path), path)
    assert isinstance(resolved, dict)
    return resolved


def _resolve(node: Any, path: Path) -> Any:
    """A copy of a part of a source in which local references are replaced by their targets."""
    if isinstance(node, list):
        return [_resolve(item, path) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if reference is None or reference.startswith(KUBERNETES_PREFIX):
        return {key: value if key in DATA else _resolve(value, path) for key, value in node.items()}
    target, target_path = _target(reference, path)
    siblings = {key: value for key, value in node.items() if key != "$ref"}
    return _resolve(target, target_path) | _resolve(siblings, path)


def _target(reference: str, path: Path) -> tuple[Schema, Path]:
    """What a local reference points to, and the file it stands in."""
    if reference.startswith(LOCAL_PREFIX):
        name = reference.removeprefix(LOCAL_PREFIX)
        if name not in definitions():
            raise UserError(f"{path}: there is no definition {name}", fix=f"add it to {SCHEMAS / 'definitions'}")
        return definitions()[name], path
    file, _, pointer = reference.partition("#/")
    target_path = path.parent / file if file else path
    if not target_path.is_file():
        raise UserError(f"{path}: $ref {reference} leads to no file", fix=f"write {target_path}")
    target = read_yaml(target_path)
    if pointer:
        if pointer not in target:
            raise UserError(f"{path}: {target_path} has no {pointer}", fix=f"$ref: {file}#/<one of its keys>")
        target = target[pointer]
    return target, target_path
