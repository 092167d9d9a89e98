"""Reads values files as Helm does, and lays them over a chart's defaults as Helm does.

Helm reads YAML with go-yaml, whose rules are a mixture of YAML 1.1 and 1.2 and not those of PyYAML: ``n`` and ``y`` are
booleans, ``1e3`` is a number, ``1:30`` is a text. Keys become texts: a key ``on`` is the key ``true``.
``tests/schema/test_helm_agrees.py`` compares the two.
"""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from scripts.console import UserError

BOOLEANS = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
NULLS = {"", "~", "null", "Null", "NULL"}
NOT_IN_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|([1-9][0-9]*|0))")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
LARGEST_INTEGER = 2**64 - 1


def scalar(text: str) -> Any:
    """A plain scalar (not quoted) as go-yaml reads it."""
    if text in BOOLEANS:
        return BOOLEANS[text]
    if text in NULLS:
        return None
    if NOT_IN_JSON.fullmatch(text):
        raise ValueError(f"{text} is not a number that JSON, and so Helm, can hold")
    if not text[0].isascii() or text[0] not in "+-.0123456789":
        return text
    plain = text.replace("_", "")
    if match := INTEGER.fullmatch(plain):
        sign, hexadecimal, binary, octal, decimal = match.groups()
        bases = {16: hexadecimal, 2: binary, 8: octal, 10: decimal}
        number = next(int(digits, base) for base, digits in bases.items() if digits)
        if number <= LARGEST_INTEGER:
            return -number if sign == "-" else number
    if FLOAT.fullmatch(plain):
        value = float(plain)
        return text if value in (float("inf"), float("-inf")) else value
    return text


class HelmLoader(yaml.CSafeLoader):
    """PyYAML with go-yaml's idea of scalars and keys. A key that stands twice is an error: Helm drops one."""


PLAIN = "tag:plain"
HelmLoader.yaml_implicit_resolvers = {
    "<": [("tag:yaml.org,2002:merge", re.compile("<<$"))],
    None: [(PLAIN, re.compile(""))],
}


def _construct_plain(_: HelmLoader, node: yaml.ScalarNode) -> Any:
    """A scalar without quotes and without a tag."""
    try:
        return scalar(node.value)
    except ValueError as error:
        raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error


def _construct_map(loader: HelmLoader, node: yaml.MappingNode) -> Any:
    """A map whose keys are texts, with merge keys taken in."""
    written = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
    twice = sorted({key for key in written if written.count(key) > 1})
    if twice:
        problem = f"the key {twice[0]} stands twice in one map; Helm takes the last and says nothing"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    loader.flatten_mapping(node)
    result: dict[str, Any] = {}
    yield result
    for key_node, value_node in node.value:
        result[_key(loader, key_node)] = loader.construct_object(value_node, deep=True)


def _key(loader: HelmLoader, node: yaml.Node) -> str:
    """A key as Helm has it: JSON knows only texts."""
    key: Hashable = loader.construct_object(node, deep=True)
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, float):
        return f"{key:.0f}" if key.is_integer() and abs(key) < 1e20 else repr(key)
    if not isinstance(key, str | int):
        raise yaml.constructor.ConstructorError(None, None, "a key must be a text or a number", node.start_mark)
    return str(key)


for tag in (PLAIN, *(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null"))):
    HelmLoader.add_constructor(tag, _construct_plain)
HelmLoader.add_constructor("tag:yaml.org,2002:map", _construct_map)


def parse(text: str, name: str) -> dict[str, Any]:
    """The values that a text states.

    Args:
        text: YAML, one document.
        name: what to call it in an error.

    Raises:
        UserError: it is not YAML, not a map, or more than one document.
    """
    try:
        documents = [document for document in yaml.load_all(text, Loader=HelmLoader) if document is not None]
    except yaml.YAMLError as error:
        raise UserError(f"{name} cannot be read", why=str(error).replace("<unicode string>", name)) from error
    if len(documents) > 1:
        raise UserError(
            f"{name} has {len(documents)} YAML documents",
            why="Helm 3 reads the first and ignores the rest",
            fix="make it one document, or a file for each and -f for each",
        )
    values = documents[0] if documents else {}
    if not isinstance(values, dict):
        raise UserError(
            f"{name} is no map of values", why=f"it is a {type(values).__name__}", fix="model: {id: org/name}"
        )
    return values


def read(path: Path) -> dict[str, Any]:
    """The values of a file.

    Raises:
        UserError: there is no such file, or it cannot be read as values.
    """
    if not path.is_file():
        raise UserError(f"there is no file {path}", fix="ls values/models")
    return parse(path.read_text(), str(path))


def coalesce(defaults: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    """The values laid over the defaults: maps are merged, all else replaces, null takes a default away.

    A null for a key that has no default stays, as it does in Helm.
    """
    result = dict(values)
    for key, default in defaults.items():
        if key not in values:
            result[key] = default
        elif values[key] is None:
            del result[key]
        elif isinstance(default, dict) and isinstance(values[key], dict):
            result[key] = coalesce(default, values[key])
    return result
