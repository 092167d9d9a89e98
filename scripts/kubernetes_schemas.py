"""Strict checks of Kubernetes objects: unknown fields refused, types as the API server wants them.

The schemas are Kubernetes' own (``api/openapi-spec/swagger.json``) and those of the CustomResourceDefinitions, from the
pinned modules. They are rewritten once into strict JSON schemas, one file a kind, under the cache folder; a check then
loads only the kinds it meets. What no schema says (cross-field rules, CEL, admission) the API server of the local
cluster says in ``tests/cluster/test_admission.py``.
"""

import functools
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.json_schema import Draft7Validator, FormatChecker, ValidationError
from scripts.kubernetes_modules import MODULES, crd_files, crd_modules, module_dir
from scripts.kubernetes_yaml import load_all
from scripts.paths import CACHE

Schema = dict[str, Any]

_FORMAT = 3
"""Part of the folder's name: raise it when the way of rewriting changes."""

_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

_QUANTITY = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$"

_SPECIAL: dict[str, Schema] = {
    # The swagger says "string" for types whose JSON reader takes more.
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {
        "anyOf": [{"type": "string", "pattern": _QUANTITY}, {"type": "number"}]
    },
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
    # Free by nature.
    "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1": {"type": "object"},
    "io.k8s.apimachinery.pkg.runtime.RawExtension": {"type": "object"},
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON": {},
}

_KEPT = (
    *("type", "enum", "format", "required", "pattern", "minLength", "maxLength"),
    *("minimum", "maximum", "multipleOf", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
)
"""Keywords that mean the same in OpenAPI and in JSON schema."""

_FORMATS = FormatChecker(["date-time"])


def problems(body: dict[str, Any], kubernetes: str = "kubernetes") -> list[str]:
    """What is wrong with an object, as ``Kind/name: path: reason`` lines; empty when nothing is.

    Args:
        body: the object.
        kubernetes: which Kubernetes of the table in ``kubernetes_modules``.
    """
    name = f"{body.get('kind')}/{(body.get('metadata') or {}).get('name')}"
    return [f"{name}: {problem}" for problem in _problems(json.dumps(body, sort_keys=True), kubernetes)]


@functools.lru_cache(maxsize=8192)
def _problems(body: str, kubernetes: str) -> tuple[str, ...]:
    """Checks one object. Cached by content: values files share most of their small objects."""
    parsed = json.loads(body)
    validator = _validator(parsed.get("apiVersion", ""), parsed.get("kind", ""), kubernetes)
    if validator is None:
        return (f"no schema for {parsed.get('apiVersion')} {parsed.get('kind')}",)
    found = [_say(error) for error in validator.iter_errors(parsed)]
    return (*found, *_names(parsed.get("metadata") or {}))


def _say(error: ValidationError) -> str:
    path = ".".join(str(part) for part in error.absolute_path)
    message = error.message if len(error.message) < 300 else error.message[:300] + " ..."
    return f"{path or '(top)'}: {message}"


def _names(metadata: dict[str, Any]) -> Iterator[str]:
    """Rules on names and labels that every API server has and no schema states."""
    name = metadata.get("name", "")
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", name) or len(name) > 253:
        yield f"metadata.name: {name!r} is not a DNS name"
    value = r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
    for key, text in (metadata.get("labels") or {}).items():
        if not re.fullmatch(rf"([a-z0-9.-]+/)?{value}", key) or len(key.split("/")[-1]) > 63:
            yield f"metadata.labels: {key!r} is not a label's name"
        if not re.fullmatch(value, str(text)) or len(str(text)) > 63:
            yield f"metadata.labels.{key}: {text!r} is not a label's value"


@functools.cache
def _validator(api_version: str, kind: str, kubernetes: str) -> Draft7Validator | None:
    path = schema_folder(kubernetes) / f"{file_name(api_version, kind)}"
    if not path.exists():
        return None
    return Draft7Validator(json.loads(path.read_text(encoding="utf-8")), format_checker=_FORMATS)


def file_name(api_version: str, kind: str) -> str:
    """``apps_v1_Deployment.json``; the core group is ``v1_Service.json``."""
    return f"{api_version.replace('/', '_')}_{kind}.json"


@functools.cache
def schema_folder(kubernetes: str = "kubernetes") -> Path:
    """The folder with one strict schema a kind: written on first use, named by the versions it was made from."""
    pins = [(MODULES[name].path, MODULES[name].sum) for name in (kubernetes, *crd_modules())]
    digest = hashlib.sha256(json.dumps([_FORMAT, pins]).encode()).hexdigest()[:16]
    folder = CACHE / "kubernetes-schemas" / f"{kubernetes}-{digest}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent))
        for name, schema in _all_schemas(kubernetes):
            (scratch / name).write_text(json.dumps(schema), encoding="utf-8")
        scratch.chmod(0o755)
        try:
            scratch.rename(folder)
        except OSError:  # another worker was first, with the same content
            shutil.rmtree(scratch)
    return folder


def _all_schemas(kubernetes: str) -> Iterator[tuple[str, Schema]]:
    swagger = json.loads((module_dir(kubernetes) / "api/openapi-spec/swagger.json").read_bytes())["definitions"]
    definitions = {name: _SPECIAL.get(name) or strict(schema) for name, schema in swagger.items()}
    for name, schema in swagger.items():
        for kind in schema.get("x-kubernetes-group-version-kind", ()):
            api_version = "/".join(part for part in (kind["group"], kind["version"]) if part)
            yield file_name(api_version, kind["kind"]), _bundle(definitions, name, api_version, kind["kind"])
    for module in crd_modules():
        for path in crd_files(module):
            for crd in load_all(path.read_text(encoding="utf-8")):
                yield from _custom(crd, definitions)


def _bundle(definitions: dict[str, Schema], name: str, api_version: str, kind: str) -> Schema:
    """A definition with all that it refers to, in one document."""
    needed: dict[str, Schema] = {}
    open_names = [name]
    while open_names:
        current = open_names.pop()
        if current not in needed:
            needed[current] = definitions[current]
            open_names += re.findall(r'"#/definitions/([^"]+)"', json.dumps(definitions[current]))
    top = json.loads(json.dumps(needed[name]))
    top["properties"] |= {"apiVersion": {"const": api_version}, "kind": {"const": kind}}
    top["required"] = sorted({*top.get("required", ()), "apiVersion", "kind"})
    return {**top, "definitions": needed}


def _custom(crd: dict[str, Any] | None, definitions: dict[str, Schema]) -> Iterator[tuple[str, Schema]]:
    """The schemas of the served versions of a CustomResourceDefinition."""
    if not crd or crd.get("kind") != "CustomResourceDefinition":
        return
    spec = crd["spec"]
    for version in spec["versions"]:
        if version["served"]:
            api_version = f"{spec['group']}/{version['name']}"
            kind = spec["names"]["kind"]
            top = strict(version["schema"]["openAPIV3Schema"])
            top["properties"]["metadata"] = {"$ref": f"#/definitions/{_META}"}
            yield file_name(api_version, kind), _bundle({**definitions, "(top)": top}, "(top)", api_version, kind)


def strict(schema: Schema) -> Schema:
    """An OpenAPI schema of Kubernetes as a JSON schema that refuses what it does not name."""
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["string", "integer"], **({"pattern": schema["pattern"]} if "pattern" in schema else {})}
    made: Schema = {key: schema[key] for key in _KEPT if key in schema}
    if made.get("format") != "date-time":
        made.pop("format", None)
    for key in ("allOf", "anyOf", "oneOf"):  # these narrow, and name no new fields
        if key in schema:
            made[key] = [_narrow(part) for part in schema[key]]
    if "not" in schema:
        made["not"] = _narrow(schema["not"])
    if "items" in schema:
        made["items"] = strict(schema["items"])
    _close(made, schema)
    if schema.get("nullable"):
        return {"anyOf": [{"type": "null"}, made]}
    return made


def _narrow(schema: Schema) -> Schema:
    """A part of a combination: it restricts what the whole names, so unknown fields are not its business."""
    made = {key: schema[key] for key in _KEPT if key in schema and key != "format"}
    if "properties" in schema:
        made["properties"] = {name: _narrow(part) for name, part in schema["properties"].items()}
    if "items" in schema:
        made["items"] = _narrow(schema["items"])
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            made[key] = [_narrow(part) for part in schema[key]]
    if "not" in schema:
        made["not"] = _narrow(schema["not"])
    return made


def _close(made: Schema, schema: Schema) -> None:
    """Properties, and what else an object may hold: what a map allows, anything where asked for, else nothing."""
    if "properties" in schema:
        made["properties"] = {name: strict(part) for name, part in schema["properties"].items()}
    if schema.get("x-kubernetes-embedded-resource"):
        made["properties"] = {"apiVersion": {}, "kind": {}, "metadata": {}, **made.get("properties", {})}
    rest = schema.get("additionalProperties")
    if isinstance(rest, dict):
        made["additionalProperties"] = strict(rest)
    elif rest is True or schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    elif "properties" in schema:
        made["additionalProperties"] = False
