"""Values on the pages: whole examples render, objects are valid, and every key in a sentence exists."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from scripts.kubernetes_schemas import problems
from scripts.kubernetes_yaml import load, load_all
from scripts.paths import CHARTS, SCHEMAS
from scripts.platform_chart import stubbed
from scripts.render import render
from tests.docs.pages import ALL, Block, all_blocks, inline_code, name

YAML = all_blocks("yaml")
WRITTEN_ELSEWHERE = ("ExternalSecret",)
"""Kinds of projects whose schemas are not among the pinned ones."""


@pytest.mark.parametrize("block", [block for block in YAML if block.title == "model values"], ids=str)
def test_values_of_a_model_on_a_page_render(block: Block) -> None:
    values = load(block.text)
    if "model" not in values:  # a layer over a file of values/models
        values = {"model": {"id": "org/model"}, "weights": {"sizeGiB": 1}, **values}
    scaling = values.get("autoscaling", {})
    if scaling.get("type") == "keda" and "prometheus" not in scaling:
        values["autoscaling"] = {**scaling, "prometheus": {"serverAddress": "http://prometheus:9090"}}
    made = render("vllm-model", [values], release="llama", namespace="llm")
    assert [problem for body in made.objects for problem in problems(body)] == []


@pytest.mark.parametrize("block", [block for block in YAML if block.title == "platform values"], ids=str)
def test_values_of_the_platform_on_a_page_render(block: Block) -> None:
    assert render(stubbed(), [load(block.text)], release="llm", namespace="llm-platform").objects


@pytest.mark.parametrize("block", [block for block in YAML if "apiVersion:" in block.text], ids=str)
def test_objects_on_a_page_are_valid(block: Block) -> None:
    for body in load_all(block.text):
        if body["kind"] not in WRITTEN_ELSEWHERE:
            assert problems(body) == []


@cache
def defaults(chart: str) -> dict[str, Any]:
    content: dict[str, Any] = load((CHARTS / chart / "values.yaml").read_text(encoding="utf-8"))
    return content


@cache
def flags() -> set[str]:
    return set(
        re.findall(r"^\s{0,6}(\w+):", (SCHEMAS / "vllm-model" / "engine-flags.yaml").read_text(encoding="utf-8"), re.M)
    )


@cache
def templates() -> str:
    return "".join(path.read_text(encoding="utf-8") for path in (CHARTS / "vllm-model" / "templates").glob("*.tpl"))


def exists(path: str) -> bool:
    """Whether a dotted path is a key of one of the charts."""
    parts = path.split(".")
    if parts[:2] == ["engine", "flags"]:
        return len(parts) < 3 or parts[2] in flags()
    if parts[0] == "vllm-model":  # the umbrella's defaults of a model, or the name of a template
        return f'define "{path}"' in templates() or exists(".".join(parts[1:]))
    if parts[0] == "models" and len(parts) > 2:
        return parts[2] in ("gateway", "namespace", "enabled") or exists(".".join(parts[2:]))
    if parts[0] == "tenants" and len(parts) > 2:
        return walk(defaults("llm-platform")["tenantDefaults"], parts[2:])
    return walk(defaults("vllm-model"), parts) or walk(defaults("llm-platform"), parts)


def walk(values: Any, parts: list[str]) -> bool:
    """Whether a path leads somewhere; below a list, an empty map or a null anything may come."""
    for part in parts:
        if not isinstance(values, dict) or not values:
            return not isinstance(values, str | bool | int | float) or values == ""
        if part in ("*", "<name>"):
            return True
        if part not in values:
            return False
        values = values[part]
    return True


KEY = re.compile(r"^([a-zA-Z][\w-]*(?:\.(?:[a-zA-Z][\w-]*|<name>|\*))+)(?:: .*)?$")
OPERATORS = ("gpu-operator", "keda", "kube-prometheus-stack", "prometheus-adapter")
"""What is below them is the operators' own."""


@cache
def tops() -> set[str]:
    return (defaults("vllm-model").keys() | defaults("llm-platform").keys()) - set(OPERATORS)


@pytest.mark.parametrize("page", ALL, ids=name)
def test_keys_that_a_sentence_names_exist(page: Path) -> None:
    named = [found[1] for text in inline_code(page) if (found := KEY.match(text))]
    wrong = [path for path in named if path.split(".")[0] in tops() and not exists(path)]
    assert wrong == []


def test_a_key_that_does_not_exist_would_be_found() -> None:
    assert not exists("weights.storageClassName")
    assert not exists("engine.flags.maxmodellen")
    assert not exists("tenants.<name>.limits.rps")
    assert exists("models.<name>.weights.sizeGiB")
    assert exists("tenants.<name>.limits.requestsPerSecond")
    assert exists("autoscaling.keda.cooldownPeriod")
