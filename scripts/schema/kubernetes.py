"""Kubernetes' own definitions, strict: what pass-through values (tolerations, volumes, affinity ...) are held to.

``schemas/kubernetes.definitions.json`` is made from the API description of the pinned ``k8s.io/kubernetes`` module:
only the definitions that the sources refer to, each object closed, and the first sentence of each description.
It is committed so that generating and validating need no Go; ``vllm-charts schema kubernetes`` makes it anew.
"""

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.kubernetes_modules import MODULES, module_dir
from scripts.paths import SCHEMAS
from scripts.schema.sources import KUBERNETES_PREFIX, Schema, definitions, load

DEFINITIONS_FILE = SCHEMAS / "kubernetes.definitions.json"
MODULE = "kubernetes"

INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
WRITTEN_BY_USERS = {"name", "generateName", "namespace", "labels", "annotations", "finalizers"}
"""Fields of an object's metadata that a user writes; the rest is the API server's."""

DESCRIPTION_LIMIT = 160
"""Characters kept of a description."""


def references(node: Any) -> Iterator[str]:
    """The names of the Kubernetes definitions that a part of a schema refers to."""
    if isinstance(node, dict):
        target = node.get("$ref")
        if isinstance(target, str) and target.startswith(KUBERNETES_PREFIX):
            yield target.removeprefix("#/definitions/")
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def closure(roots: set[str], available: dict[str, Schema]) -> dict[str, Schema]:
    """The definitions of the roots and all that they refer to, sorted by name.

    Raises:
        KeyError: a name that is not available.
    """
    found: dict[str, Schema] = {}
    waiting = sorted(roots)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = available[name]
            waiting.extend(references(available[name]))
    return dict(sorted(found.items()))


def first_sentence(text: str) -> str:
    """The first sentence of a description, shortened where it runs on."""
    sentence = re.split(r"(?<=[.:])\s", text.strip(), maxsplit=1)[0].split("\n")[0].rstrip(":")
    if len(sentence) <= DESCRIPTION_LIMIT:
        return sentence
    return sentence[: DESCRIPTION_LIMIT - 3].rsplit(" ", 1)[0] + "..."


def strict(name: str, node: Schema) -> Schema:
    """One definition of the API description as a closed draft-07 schema."""
    if name == INT_OR_STRING:
        return {"type": ["integer", "string"]}
    if name == QUANTITY:
        return definitions()["quantity"]
    if name == OBJECT_META:
        node = node | {"properties": {key: node["properties"][key] for key in sorted(WRITTEN_BY_USERS)}}
    schema = _strict_node(node)
    if "properties" not in schema and schema.get("type") == "object":
        schema.setdefault("additionalProperties", True)
    return schema


def _strict_node(node: Schema) -> Schema:
    """Keeps what validates; closes objects; drops what only the API server or code generators read."""
    result: Schema = {}
    if "type" in node:
        result["type"] = node["type"]
    if "description" in node:
        result["description"] = first_sentence(node["description"])
    for key in ("$ref", "enum", "required"):
        if key in node:
            result[key] = node[key]
    if "items" in node:
        result["items"] = _strict_node(node["items"])
    if "properties" in node:
        result["properties"] = {key: _strict_node(value) for key, value in node["properties"].items()}
        result["additionalProperties"] = False
    if isinstance(node.get("additionalProperties"), dict):
        result["additionalProperties"] = _strict_node(node["additionalProperties"])
    return result


def from_module() -> dict[str, Schema]:
    """The strict definitions that the sources in ``schemas/`` need, made from the pinned module.

    Raises:
        UserError: the module is not there and cannot be downloaded.
    """
    description = json.loads((module_dir(MODULE) / "api/openapi-spec/swagger.json").read_text())
    used: set[str] = set()
    for path in sorted(SCHEMAS.glob("*-*.schema.yaml")):
        used.update(references(load(path)))
    available = {name: strict(name, node) for name, node in description["definitions"].items()}
    return closure(used, available)


def render(found: dict[str, Schema]) -> str:
    """The text of the definitions file."""
    module = MODULES[MODULE]
    origin = f"Made by 'vllm-charts schema kubernetes' from {module.path} {module.version} (Apache-2.0). Do not edit."
    return json.dumps({"$comment": origin, "definitions": found}, indent=1) + "\n"


@functools.cache
def committed(path: Path = DEFINITIONS_FILE) -> dict[str, Schema]:
    """The definitions as they are committed."""
    found: dict[str, Schema] = json.loads(path.read_text())["definitions"]
    return found
