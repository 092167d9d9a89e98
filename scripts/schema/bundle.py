"""Turns a resolved source into plain draft-07 JSON: strict for the chart, overlay for editors and for ``models.*``.

Both forms: objects are closed, defaults of values.yaml stand as ``default``. Null is Helm's "take the default away":
alone it drops the key before it validates, under ``models.x`` of the umbrella the null is seen. A list, a map, and a
knob whose default is unset may be null. A number, a choice, a switch with a default may not: nothing could be computed
without it, and ``replicas:`` with nothing behind it is a slip.

strict
    What Helm validates the coalesced values with. Groups and knobs that may not be null are required, as null takes
    them away before this schema sees it; what must be set stands behind ``if enabled``.
overlay
    The same tree for a file that says only some of it: no ``required`` but in list items, which are never merged; no
    if/then.
"""

from enum import StrEnum
from typing import Any

from scripts.paths import CHARTS
from scripts.schema import dependencies, kubernetes
from scripts.schema.sources import DATA, KUBERNETES_PREFIX, LOCAL_PREFIX, Schema, load, read_yaml, source_path

DRAFT = "http://json-schema.org/draft-07/schema#"

SHAPE = "shape-"
"""What the definitions of shapes (``dependencies.SHAPES``) are called."""

MISSING = object()
"""No default: the key does not stand in values.yaml."""


class Form(StrEnum):
    """Which of the two schemas."""

    STRICT = "strict"
    OVERLAY = "overlay"


def bundle(source: Schema, defaults: dict[str, Any], form: Form) -> Schema:
    """One self-contained schema with the Kubernetes definitions that it uses.

    Args:
        source: a source with its references resolved (``sources.load``).
        defaults: the chart's values.yaml.
        form: strict or overlay.
    """
    tree, found = tree_and_definitions(source, defaults, form)
    head: Schema = {"$schema": DRAFT, "title": source["title"]}
    tree.pop("title", None)
    return head | tree | {"definitions": found}


def tree_and_definitions(source: Schema, defaults: dict[str, Any], form: Form) -> tuple[Schema, dict[str, Schema]]:
    """The two parts of a bundle, for a schema that embeds another: the tree, and the definitions to put beside it."""
    tree = _object(source, defaults, form)
    embedded = {name: _embedded(name, form) for name in sorted(_embeds(source))} | _shapes(source, form)
    if form is Form.STRICT:
        tree |= {key: source[key] for key in ("if", "then", "else") if key in source}
    found = kubernetes.closure(set(kubernetes.references([tree, embedded])), kubernetes.committed())
    if form is Form.STRICT:
        found = {name: _without_descriptions(schema) for name, schema in found.items()}
    return tree, embedded | found


def _embeds(node: Any) -> set[str]:
    """Names of the charts whose values a source takes in (``x-embed``)."""
    if isinstance(node, list):
        return set().union(*(_embeds(item) for item in node))
    if not isinstance(node, dict):
        return set()
    own = {node["x-embed"]} if "x-embed" in node else set()
    return own.union(*(_embeds(value) for key, value in node.items() if key not in DATA))


def _embedded(chart: str, form: Form) -> Schema:
    """The values of another chart in the form that says only some of them. Prose is for editors."""
    values: dict[str, Any] = read_yaml(CHARTS / chart / "values.yaml")
    tree = _object(load(source_path(chart)), values, Form.OVERLAY)
    tree.pop("title", None)
    return _without_descriptions(tree) if form is Form.STRICT else tree


def _shapes(source: Schema, form: Form) -> dict[str, Schema]:
    """What some keys of foreign charts are held to, as definitions: an affinity stands in dozens of places."""
    if not any("x-dependency" in child for child in source["properties"].values()):
        return {}
    shapes = {f"{SHAPE}{name}": shape | {"x-foreign": True} for name, shape in dependencies.SHAPES.items()}
    return {name: nullable(_value(inline_kubernetes(shape), form)) for name, shape in shapes.items()}


def _embedding(schema: Schema, form: Form) -> Schema:
    """A value that takes the values of another chart, and keys of its own beside them. Each key is a reference."""
    chart = schema["x-embed"]
    keys = load(source_path(chart))["properties"]
    properties = {name: {"$ref": f"#/definitions/{chart}/properties/{name}"} for name in keys}
    for name, child in schema.get("properties", {}).items():
        properties[name] = nullable(_value(inline_kubernetes(child), form))
    result = _keywords(schema, skip={"properties"})
    return result | {"properties": properties, "additionalProperties": False}


def is_group(schema: Schema) -> bool:
    """Whether a property is a group of knobs and not a knob: an object of ours with keys of its own."""
    ours = schema.get("type") == "object" and "properties" in schema
    return ours and not {"x-kubernetes", "x-free-map", "x-dependency"} & schema.keys()


def inline_kubernetes(schema: Schema) -> Schema:
    """A property that is a Kubernetes object, with the first level of its definition written out.

    So a description can stand beside it, and each of its fields, which values.yaml may set, can be taken back by null.
    """
    reference = schema.get("$ref", "")
    if not reference.startswith(KUBERNETES_PREFIX):
        return schema
    target = kubernetes.committed()[reference.removeprefix("#/definitions/")]
    siblings = {key: value for key, value in schema.items() if key != "$ref"}
    return target | siblings | {"x-kubernetes": reference}


def _object(schema: Schema, default: Any, form: Form) -> Schema:
    """A group: its knobs and groups, closed."""
    result = _keywords(schema, skip={"properties", "required", "if", "then", "else", "additionalProperties"})
    optional = "x-optional" in schema
    properties, required = {}, []
    for name, raw in schema["properties"].items():
        child = inline_kubernetes(raw)
        child_default = default.get(name, MISSING) if isinstance(default, dict) else MISSING
        if is_group(child) and not optional:
            properties[name] = _object(child, child_default, form)
            required.append(name)
        else:
            unset = optional or may_be_null(child, child_default)
            properties[name] = _knob(child, child_default, form, unset=unset)
            required += [] if unset else [name]
    result["properties"] = properties
    if form is Form.STRICT and required:
        result["required"] = required
    result["additionalProperties"] = False
    return result


def _knob(schema: Schema, default: Any, form: Form, *, unset: bool) -> Schema:
    """A knob: its value, null if it may be unset, and its default."""
    result = _value(schema, form)
    if unset:
        result = nullable(result)
    if default is not MISSING:
        result["default"] = default
    return result


def may_be_null(schema: Schema, default: Any) -> bool:
    """Whether a knob may be unset: it is by default, or it is a list or map that may be empty."""
    if isinstance(default, list | dict):
        return "minItems" not in schema
    return default is MISSING or default is None or default == ""


def nullable(schema: Schema) -> Schema:
    """The schema that takes null besides."""
    result = dict(schema)
    if "type" in result:
        kinds = result["type"] if isinstance(result["type"], list) else [result["type"]]
        result["type"] = [*kinds, "null"]
    if "enum" in result:
        result["enum"] = [*result["enum"], None]
    return result


def _value(schema: Schema, form: Form, *, in_list: bool = False) -> Schema:
    """A value that is no group: a scalar, a list, a map, or a Kubernetes object."""
    if "x-embed" in schema:
        return _embedding(schema, form)
    if "x-shape" in schema:
        return {"$ref": f"{LOCAL_PREFIX}{SHAPE}{schema['x-shape']}"}
    schema = dependencies.with_keys(schema)
    result = _keywords(schema, skip={"properties", "required", "items", "additionalProperties"})
    if "items" in schema:
        result["items"] = _value(schema["items"], form, in_list=True)
    if "properties" in schema:
        result["properties"] = {
            name: _field(child, schema, form, in_list=in_list) for name, child in schema["properties"].items()
        }
    if "required" in schema and (form is Form.STRICT or in_list):
        result["required"] = schema["required"]
    anything = not result and schema.get("additionalProperties") is True
    if "properties" in schema or ("additionalProperties" in schema and not anything):
        result["additionalProperties"] = _others(schema, form, in_list=in_list)
    return result


def _field(child: Schema, parent: Schema, form: Form, *, in_list: bool) -> Schema:
    """A field of a value. What values.yaml may set may be null: a Kubernetes object's first level, all of operators."""
    if {"x-kubernetes", "x-foreign", "x-dependency"} & parent.keys():
        whole = child if "x-shape" in child else inline_kubernetes(child)
        return nullable(_value(_without_description(whole, form), form, in_list=in_list))
    return _value(child, form, in_list=in_list)


def _others(schema: Schema, form: Form, *, in_list: bool) -> Any:
    """What keys that are not listed may hold; a map's entry may be null, which takes an entry of a lower layer away."""
    others = schema.get("additionalProperties", False)
    return nullable(_value(others, form, in_list=in_list)) if isinstance(others, dict) else others


def _keywords(schema: Schema, *, skip: set[str]) -> Schema:
    """The keywords that stay as they are; our own (``x-``) are left out."""
    return {key: value for key, value in schema.items() if key not in skip and not key.startswith("x-")}


def _without_description(schema: Schema, form: Form) -> Schema:
    """Descriptions of Kubernetes' fields are for editors: in the chart they would fill the release's Secret."""
    return {key: value for key, value in schema.items() if key != "description" or form is Form.OVERLAY}


def _without_descriptions(node: Any) -> Any:
    """A definition of Kubernetes without prose. A property that is itself called ``description`` stays."""
    if isinstance(node, list):
        return [_without_descriptions(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: _without_descriptions(value)
        for key, value in node.items()
        if key != "description" or isinstance(value, dict)
    }
