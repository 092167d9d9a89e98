"""engine.flags holds flags that the engine has, of the kinds that it has, and none that the chart passes itself."""

import csv
import re

import pytest
import yaml

from scripts.paths import CHARTS, TESTS
from scripts.render import render
from scripts.schema.explain import owned_flags
from scripts.schema.generate import ChartSchema
from scripts.schema.sources import Schema

KINDS = {"boolean": "switch", "array": "list"}
"""Which kind of flag a type makes; every other type takes one value."""


def flags() -> dict[str, Schema]:
    """The knobs of ``engine.flags`` by name."""
    engine = ChartSchema("vllm-model").source["properties"]["engine"]
    found: dict[str, Schema] = engine["properties"]["flags"]["properties"]
    return found


def engine_flags() -> dict[str, str]:
    """The long flags of the engine that the chart is written for, and the kind of each."""
    lines = (TESTS / "data" / "engine_flags.csv").read_text().splitlines()
    rows = csv.DictReader(line for line in lines if not line.startswith("#"))
    return {row["flag"]: row["kind"] for row in rows}


def kebab(name: str) -> str:
    return re.sub(r"([A-Z])", lambda match: f"-{match.group(1).lower()}", name)


@pytest.mark.parametrize("name", flags())
def test_the_engine_has_the_flag_in_this_kind(name: str) -> None:
    kind = flags()[name]["type"]
    assert engine_flags()[kebab(name)] == (KINDS.get(kind, "value") if isinstance(kind, str) else "value")


def test_the_list_is_that_of_the_engine_of_the_defaults() -> None:
    chart = yaml.safe_load((CHARTS / "vllm-model" / "Chart.yaml").read_text())
    assert f"vLLM {chart['appVersion']}" in (TESTS / "data" / "engine_flags.csv").read_text().splitlines()[0]


def test_no_flag_is_one_that_the_chart_passes_itself() -> None:
    owned = owned_flags("vllm-model")
    assert len(owned) > 20
    assert {name for name in flags() if name.lower() in owned} == set()


def test_flags_that_the_chart_passes_itself_exist_in_the_engine() -> None:
    known = {flag.replace("-", "") for flag in engine_flags()}
    short = {"tp", "pp", "dp", "ep", "n", "r"}
    assert set(owned_flags("vllm-model")) - known - short == {"model"}


def example(schema: Schema) -> object:
    """A value that the flag takes: the last choice, the first example, or one of its type."""
    if "enum" in schema:
        return schema["enum"][-1]
    if "examples" in schema:
        return schema["examples"][0]
    match schema["type"]:
        case "boolean":
            return False
        case "integer":
            return 1 if "maximum" in schema else 131072
        case "number":
            return 0.5
        case "array":
            return [example(schema["items"])]
        case "object":
            return {"a": 1}
        case _:
            return "/file" if schema.get("pattern", "").startswith("^/") else "1.0"


def test_every_flag_reaches_the_command_line_under_the_engines_name() -> None:
    """Names are turned back into the engine's, digits in them too, and large numbers keep their digits."""
    given = {name: example(schema) for name, schema in flags().items()}
    values = {"model": {"id": "org/model"}, "engine": {"flags": given}}
    rendered = render("vllm-model", [values]).one("Deployment")
    arguments = rendered["spec"]["template"]["spec"]["containers"][0]["args"]
    passed = {argument.split("=")[0].removeprefix("--") for argument in arguments if argument.startswith("--")}
    expected = {f"no-{kebab(name)}" if value is False else kebab(name) for name, value in given.items()}
    assert expected - passed == set()
    assert "--max-num-batched-tokens=131072" in arguments
