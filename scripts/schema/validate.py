"""Holds values against a schema as Helm would."""

import functools
import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from scripts.json_schema import Draft7Validator, FormatChecker, ValidationError, validators
from scripts.schema import dependencies
from scripts.schema.explain import Path, Problem, Refusal, explain
from scripts.schema.generate import ChartSchema
from scripts.schema.sources import Schema

SECRET_NAME = re.compile(r"(^|_)(TOKEN|SECRET|PASSWORD|API_KEY|ACCESS_KEY)$")
"""Names of environment variables whose value nobody may read."""


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern as Go's RE2 reads it: ``$`` is the end and not the last line's, ``\\s`` is ASCII."""
    return re.compile(re.sub(r"(?<!\\)\$", r"\\Z", pattern), re.ASCII)


def _pattern(_: Any, pattern: str, instance: Any, __: Schema) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not compiled(pattern).search(instance):
        yield ValidationError(f"does not match {pattern!r}")


HelmValidator: Any = validators.extend(Draft7Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]


def validator(schema: Schema) -> Any:
    """The validator of a schema with Helm's ideas of patterns and formats."""
    return HelmValidator(schema, format_checker=FormatChecker())


def problems(schema: Schema, values: dict[str, Any], chart: str = "vllm-model") -> list[Problem]:
    """All that is refused in the values, by path."""
    refusals = [Refusal.of(error) for error in validator(schema).iter_errors(values)]
    found = [problem for refusal in refusals for problem in explain(refusal, schema, chart)]
    found += literal_secrets(values) + almost_keys(values, chart)
    unique = {(problem.path, problem.what): problem for problem in found}
    return sorted(unique.values(), key=lambda problem: [str(key) for key in problem.path])


def almost_keys(values: dict[str, Any], chart: str) -> list[Problem]:
    """Keys below a foreign chart where the schema takes any and this one is a slip away from one that exists."""
    if chart != "llm-platform":
        return []
    misses = dependencies.near_misses(values)
    return [Problem(miss.path, "there is no such key", f"Did you mean {miss.meant}?") for miss in misses]


def literal_secrets(values: dict[str, Any]) -> list[Problem]:
    """Tokens and keys written into ``engine.env``. In Helm the template ``vllm-model.validate`` refuses them."""
    engine = values.get("engine")
    environment = engine.get("env") if isinstance(engine, dict) else None
    if not isinstance(environment, dict):
        return []
    found = []
    for name, value in environment.items():
        if isinstance(value, str) and SECRET_NAME.search(name):
            secret = name.lower().replace("_", "-")
            fix = (
                f"kubectl create secret generic {secret} --from-literal=value=...\n"
                f"engine: {{env: {{{name}: {{valueFrom: {{secretKeyRef: {{name: {secret}, key: value}}}}}}}}}}"
            )
            what = "a secret in values ends up in Git, in the release and in `helm get values`"
            found.append(Problem(("engine", "env", name), what, fix))
    return found


def line_of(text: str, path: Path) -> int | None:
    """The line (from 1) of a values file where a path, or what of it exists, stands."""
    node = yaml.compose(text, Loader=yaml.CSafeLoader)
    line = None
    for key in path:
        child = _child(node, key)
        if child is None:
            return line
        line, node = child
    return line


def _child(node: Any, key: str | int) -> tuple[int, Any] | None:
    """What stands under a key or index of a YAML node, and its line."""
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            if key_node.value == str(key):
                return key_node.start_mark.line + 1, value_node
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key].start_mark.line + 1, node.value[key]
    return None


@functools.cache
def schema_of(chart: str, *, partial: bool = False) -> Schema:
    """The generated schema of a chart: strict, or the overlay for values that say only some of it."""
    files = ChartSchema(chart)
    schema: Schema = json.loads((files.overlay_path if partial else files.strict_path).read_text())
    return schema
