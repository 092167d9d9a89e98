"""Says in the user's words what a schema refuses, and what to type instead."""

import functools
import json
import pathlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeAlias

import yaml

from scripts.json_schema import ValidationError
from scripts.paths import CHARTS
from scripts.schema import dependencies
from scripts.schema.sources import Schema
from scripts.schema.values import scalar

Path: TypeAlias = tuple[str | int, ...]

FAMILIAR = pathlib.Path(__file__).with_name("familiar.yaml")
OWNED_FLAGS = re.compile(r'define "vllm-model.ownedFlags" -}}\n(.*?){{- end', re.DOTALL)

KINDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a map",
}


@dataclass(frozen=True)
class Problem:
    """Something that is refused.

    Attributes:
        path: where, as keys and indexes from the root.
        what: what is wrong with it.
        fix: what to type.
    """

    path: Path
    what: str
    fix: str = ""

    @property
    def where(self) -> str:
        """The path as it is written: ``extraVolumes[0].name``."""
        return dotted(self.path) or "the values"


@dataclass(frozen=True)
class Refusal:
    """A schema's refusal with the types that it has in our schemas.

    Attributes:
        path: of the value.
        keyword: of the schema that refuses.
        limit: what stands there.
        value: what was given.
        schema: the part of the schema that the keyword stands in.
        of_key: whether the name of a key is refused, and not a value.
    """

    path: Path
    keyword: str
    limit: Any
    value: Any
    schema: Schema
    of_key: bool
    message: str

    @classmethod
    def of(cls, error: ValidationError) -> "Refusal":
        return cls(
            path=tuple(error.absolute_path),
            keyword=str(error.validator),
            limit=error.validator_value,
            value=error.instance,
            schema=dict(error.schema) if isinstance(error.schema, dict) else {},
            of_key="propertyNames" in error.absolute_schema_path,
            message=error.message,
        )


def dotted(path: Path) -> str:
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return text.removeprefix(".")


def explain(refusal: Refusal, root: Schema, chart: str) -> Iterator[Problem]:
    """The problems of a refusal: one, or one for each unknown or missing key."""
    if refusal.of_key:
        yield Problem((*refusal.path, str(refusal.value)), "a key of this form is not allowed here", _allowed(refusal))
    elif refusal.keyword == "additionalProperties":
        for key in sorted(set(refusal.value) - set(refusal.schema.get("properties", {}))):
            fix = suggestion(refusal.path, key, refusal.schema, root, chart)
            yield Problem((*refusal.path, key), "there is no such key", fix)
    elif refusal.keyword == "required":
        for key in refusal.limit:
            if key not in refusal.value:
                yield _missing((*refusal.path, key), refusal.schema)
    else:
        yield Problem(refusal.path, _what(refusal), _example(refusal))


def _missing(path: Path, schema: Schema) -> Problem:
    """A key that must be there. What has a default can only be missing because null took it away."""
    child = schema.get("properties", {}).get(path[-1], {})
    if child.get("type") == "object":
        return Problem(path, "the whole group was taken away with null", f"leave {path[-1]} out to keep its defaults")
    if child.get("default"):
        return Problem(path, f"is null; leave {path[-1]} out to keep its default", as_yaml(path, child["default"]))
    return Problem(path, "must be set", as_yaml(path, "..."))


def _what(refusal: Refusal) -> str:
    """What is wrong with a value."""
    value, limit = refusal.value, refusal.limit
    match refusal.keyword:
        case "type":
            kinds = [KINDS[kind] for kind in ([limit] if isinstance(limit, str) else limit) if kind != "null"]
            return f"is {_kind_of(value)}, and must be {' or '.join(kinds)}"
        case "enum":
            choices = ", ".join(str(choice) for choice in limit if choice not in (None, ""))
            return f"is {value!r}, and must be one of {choices}"
        case "minimum":
            return f"is {value}, and must be at least {limit}"
        case "exclusiveMinimum":
            return f"is {value}, and must be more than {limit}"
        case "maximum":
            return f"is {value}, and must be at most {limit}"
        case "exclusiveMaximum":
            return f"is {value}, and must be less than {limit}"
        case "minLength" | "minItems" | "minProperties":
            return "must not be empty"
        case "maxLength":
            return f"has {len(value)} characters, and may have {limit}"
        case "pattern":
            return f"has not the right form (it must match {limit})"
        case "uniqueItems":
            return "lists something twice"
        case _:
            return refusal.message


def _kind_of(value: Any) -> str:
    """What a value is, in words, and the value itself where it is short."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {json.dumps(value)}" if len(value) <= 20 else "a text"
    return "a list" if isinstance(value, list) else "a map"


def _allowed(refusal: Refusal) -> str:
    """What a key may be."""
    if refusal.keyword == "enum":
        return f"use one of {', '.join(refusal.limit)}"
    return f"it must match {refusal.limit}" if refusal.keyword == "pattern" else refusal.message


def _example(refusal: Refusal) -> str:
    """What to type in place of a value: the nearest choice, the value in its right type, the default, or an example."""
    schema, value = refusal.schema, refusal.value
    kinds = schema.get("type", [])
    if refusal.keyword == "enum":
        near = get_close_matches(str(value).lower(), [str(choice) for choice in refusal.limit if choice], n=1)
        return as_yaml(refusal.path, near[0]) if near else ""
    if refusal.keyword == "type" and isinstance(value, bool | int | float) and "string" in kinds:
        return as_yaml(refusal.path, str(value).lower() if isinstance(value, bool) else str(value))
    if refusal.keyword == "type" and isinstance(value, str) and value:
        meant = scalar(value)
        if (isinstance(meant, bool) and "boolean" in kinds) or (type(meant) in (int, float) and "boolean" not in kinds):
            return as_yaml(refusal.path, meant)
    if refusal.keyword == "type" and isinstance(value, str) and value and (inner := _named_by(schema)):
        return as_yaml(refusal.path, {inner: value})
    bounds = refusal.keyword in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
    for choice in (schema.get("default"), *(() if bounds else schema.get("examples", ()))):
        if choice not in (None, "", [], {}):
            return as_yaml(refusal.path, choice)
    return ""


def _named_by(schema: Schema) -> str:
    """The key that holds what people write in a map's place: ``model: org/name`` means ``model: {id: org/name}``."""
    return next((key for key in ("id", "repository", "name") if key in schema.get("properties", {})), "")


def as_yaml(path: Path, value: Any) -> str:
    """A value at its place, as one line of YAML. Inside a list only what stands under the item is shown."""
    indexes = [position for position, key in enumerate(path) if isinstance(key, int)]
    keys = path[indexes[-1] + 1 :] if indexes else path
    for key in reversed(keys[1:]):
        value = {key: value}
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1000).strip().removesuffix("...").strip()
    return f"{keys[0]}: {text}" if keys else text


def _plain(name: str) -> str:
    """A key without case, dashes and underscores: max-model-len, max_model_len and maxModelLen are one."""
    return re.sub(r"[-_]", "", name).lower()


def suggestion(path: Path, key: str, schema: Schema, root: Schema, chart: str) -> str:
    """Which key was meant: this one written right, the knob that stands for a flag, one elsewhere, a near one here."""
    known = {_plain(name): name for name in schema.get("properties", {})}
    plain = _plain(key)
    if plain in known:
        return f"Did you mean {known[plain]}?"
    if "flags" in path and (knob := owned_flags(chart).get(plain)):
        return f"The chart passes this flag itself; set {knob} instead."
    foreign = bool(path) and path[0] in dependencies.charts()
    if not foreign and (known_elsewhere := familiar(path, key)):
        return known_elsewhere
    if foreign and (meant := dependencies.nearest(key, schema.get("properties", {}))):
        return f"Did you mean {meant}?"
    if elsewhere := places(within(root, str(path[0])) if foreign else root, plain):
        *others, last = elsewhere
        return f"Did you mean {', '.join(others)}{' or ' if others else ''}{last}?"
    if near := get_close_matches(plain, known, n=1, cutoff=0.6):
        return f"Did you mean {known[near[0]]}?"
    here = ", ".join(schema.get("properties", {}))
    if foreign:
        version = dependencies.recorded(str(path[0])).version
        here += f" in {path[0]} {version}; a key that this misses is let through by helm's --skip-schema-validation"
    return f"The keys here are {here}." if here else ""


@functools.cache
def familiar_keys() -> dict[str, str]:
    """What stands here for keys of other charts (familiar.yaml)."""
    hints: dict[str, str] = yaml.safe_load(FAMILIAR.read_text(encoding="utf-8"))
    return hints


def familiar(path: Path, key: str) -> str:
    """What stands here for a key that another chart has, or nothing."""
    hints = familiar_keys()
    return hints.get(f"{path[-1]}.{key}" if path else key) or hints.get(key, "")


def within(root: Schema, chart: str) -> Schema:
    """The part of the umbrella's schema that is about one foreign chart."""
    return {"properties": {chart: root["properties"][chart]}}


@functools.cache
def owned_flags(chart: str) -> dict[str, str]:
    """The knob that stands for each flag that is no key of ``engine.flags``, by the flag without dashes."""
    for path in sorted((CHARTS / chart / "templates").glob("_*.tpl")):
        if match := OWNED_FLAGS.search(path.read_text()):
            return {_plain(flag): knob for flag, knob in yaml.safe_load(match.group(1)).items()}
    return {}


def places(schema: Schema, plain: str) -> list[str]:
    """Where in a schema a key of that name stands: all places as shallow as the first, three at most.

    Hundreds of keys of foreign charts are no place for a key of ours that is typed wrong.
    """
    found: list[str] = []
    waiting: list[tuple[Path, Schema]] = [((), schema)]
    while waiting:
        here, node = waiting.pop(0)
        for name, child in node.get("properties", {}).items():
            if _plain(name) == plain:
                found.append(dotted((*here, name)))
            if here or len(node["properties"]) == 1 or name not in dependencies.charts():
                waiting.append(((*here, name), child))
    return [place for place in found if place.count(".") == found[0].count(".")][:3]
