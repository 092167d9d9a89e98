"""A key that is typed wrong is refused: of the defaults, of every values file, of what goes to Kubernetes as it is."""

import functools
import random
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.paths import CHARTS, REPO
from scripts.schema import values
from scripts.schema.dependencies import charts, near_misses
from scripts.schema.generate import ChartSchema
from scripts.schema.validate import schema_of, validator
from tests.schema import probe
from tests.schema.misspelling import Misspelling, free_map, misspellings, renamed, wrong_spellings

LEAST_REFUSED = 0.99
"""Share of the misspellings that must be refused, keys of free maps left out."""

SAMPLE = 40
"""Misspellings that Helm itself is asked about."""

PLATFORM_SAMPLE = 16
"""Misspellings of the platform that Helm itself is asked about, in a call each."""

SEED = 2026

LEFT_OUT = {
    "a map of Kubernetes whose keys are the user's",
    "a quota counts resources, objects and storage classes by names of the cluster",
    "adapter names are the user's",
    "annotation names are the user's, and each reader of annotations has its own",
    "each of KEDA's scalers has metadata of its own",
    "label names are the user's; values are held to the form of a label value",
    "metadata of a claim",
    "names of environment variables are the user's",
    "names of extended resources are the cluster's (nvidia.com/gpu, rdma/ib ...); those without a slash are known",
    "names of extended resources are those of the device plugin",
    "names of models are the user's; each is held to the schema of a model",
    "names of models are the user's; each is held to the shape of an external model",
    "names of resources are the cluster's",
    "names of tenants are the user's; each is held to the shape of tenantDefaults",
    "node labels are the cluster's",
    "vLLM's SpeculativeConfig, which differs by method, passed as JSON",
    "values of the chart gpu-operator",
    "values of the chart keda",
    "values of the chart kube-prometheus-stack",
    "values of the chart prometheus-adapter",
    "values that a parent chart shares with all its charts",
    "whole objects of any kind",
}
"""Why a schema cannot know the keys of a map."""

MODEL = {"model": {"id": "org/model"}}


@dataclass(frozen=True)
class Document:
    """Values that are misspelt.

    Attributes:
        chart: whose values they are.
        path: the file; None for the values that go to Kubernetes as they are.
    """

    chart: str
    path: Path | None

    def __str__(self) -> str:
        return f"{self.chart}-{self.path.relative_to(REPO).with_suffix('') if self.path else 'pass-through'}"

    @property
    def is_defaults(self) -> bool:
        return self.path == CHARTS / self.chart / "values.yaml"

    def read(self) -> dict[str, Any]:
        """The values; the defaults of a model with a model, which they leave to be said."""
        if self.path is None:
            return pass_through()
        stated = values.read(self.path)
        return values.coalesce(stated, MODEL) if self.is_defaults and self.chart == "vllm-model" else stated

    def below(self) -> dict[str, Any]:
        """What Helm lays the values over."""
        defaults = ChartSchema(self.chart).defaults
        return values.coalesce(defaults, MODEL) if self.chart == "vllm-model" else defaults


SCHEMA_LINE = re.compile(r"# yaml-language-server: \$schema=\S*/(llm-platform|vllm-model)\.overlay\.schema\.json")


def with_schema_line() -> list[Document]:
    """Every file of values of this repository: those that name a chart's schema on their first line."""
    files = sorted(path for folder in ("values", "gitops", "examples") for path in (REPO / folder).rglob("*.yaml"))
    named = [(path, SCHEMA_LINE.match(path.read_text(encoding="utf-8"))) for path in files]
    return [Document(match[1], path) for path, match in named if match]


PASS_THROUGH = Document("vllm-model", None)
DOCUMENTS = [
    *(Document(chart, CHARTS / chart / "values.yaml") for chart in ("vllm-model", "llm-platform")),
    *(Document(path.parts[-3], path) for path in sorted(CHARTS.glob("*/ci/*-values.yaml"))),
    *with_schema_line(),
]


def pass_through() -> dict[str, Any]:
    """The good cases of ``corpus/pass-through.yaml`` put together: every level of Kubernetes' objects."""
    cases = yaml.safe_load((Path(__file__).parent / "corpus" / "pass-through.yaml").read_text())
    whole: dict[str, Any] = {}
    for case in cases:
        if case["good"]:
            whole = together(whole, values.parse(case["values"], case["name"]))
    return whole


def together(left: Any, right: Any) -> Any:
    """Two values in one: maps are merged, lists joined."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left | {key: together(left[key], value) if key in left else value for key, value in right.items()}
    return left + right if isinstance(left, list) else right


@functools.cache
def sorts(document: Document) -> tuple[list[Misspelling], Counter[str]]:
    """Misspellings of keys that a schema can know, and how many of keys that it cannot, by reason."""
    source = ChartSchema(document.chart).source
    known, free = [], Counter[str]()
    for wrong in misspellings(document.read()):
        reason = free_map(source, wrong.path)
        if reason is None:
            known.append(wrong)
        else:
            free[reason] += 1
    return known, free


@functools.cache
def check_of(chart: str, group: str) -> Any:
    """The validator of a top-level group, with the part of the strict schema that is about it."""
    schema = schema_of(chart)
    return validator(schema["properties"][group] | {"definitions": schema["definitions"]})


def survivors(document: Document) -> list[str]:
    """The misspellings that would be taken: by the strict schema over the defaults, as Helm does, and as no near miss.

    A near miss is what the Python validator alone refuses: in the maps of a foreign chart that the schema leaves open.

    What is wrong inside a group is asked of the group's part of the schema alone: the rest of the document is good
    (another test) and the root's own keywords look at its keys only. That takes seconds where all of it takes a minute.
    """
    whole, below = validator(schema_of(document.chart)), document.below()
    taken = []
    for wrong in sorts(document)[0]:
        group = str(wrong.path[0])
        if len(wrong.path) == 1:
            good = whole.is_valid(values.coalesce(below, wrong.document))
        else:
            mine = values.coalesce({group: below[group]}, {group: wrong.document[group]})
            good = check_of(document.chart, group).is_valid(mine[group])
        if good and not (document.chart == "llm-platform" and [*near_misses(wrong.document)]):
            taken.append(str(wrong))
    return taken


@pytest.mark.parametrize("document", [*DOCUMENTS, PASS_THROUGH], ids=str)
def test_a_misspelt_key_is_refused(document: Document) -> None:
    taken, all_of_them = survivors(document), sorts(document)[0]
    assert all_of_them
    assert 1 - len(taken) / len(all_of_them) >= LEAST_REFUSED, taken


@pytest.mark.parametrize("document", [*DOCUMENTS, PASS_THROUGH], ids=str)
def test_the_documents_are_good_before_they_are_misspelt(document: Document) -> None:
    whole = values.coalesce(document.below(), document.read())
    assert [error.message for error in validator(schema_of(document.chart)).iter_errors(whole)] == []


def test_values_of_every_folder_are_misspelt() -> None:
    """No folder that lost its first lines, and with them this test."""
    folders = {document.path.relative_to(REPO).parts[0] for document in DOCUMENTS if document.path}
    assert folders == {"charts", "values", "gitops", "examples"}


@pytest.mark.parametrize("document", [document for document in DOCUMENTS if document.is_defaults], ids=str)
def test_every_knob_of_the_defaults_is_misspelt(document: Document) -> None:
    """No test that passes because it looked at nothing."""
    wrong, _ = sorts(document)
    assert len({each.path for each in wrong}) > 200
    assert len(wrong) > 800


def test_only_maps_whose_keys_are_the_users_are_left_out() -> None:
    """A new open map shows up here by its reason."""
    assert {reason for document in (*DOCUMENTS, PASS_THROUGH) for reason in sorts(document)[1]} <= LEFT_OUT


@pytest.mark.parametrize("helm", probe.HELMS)
def test_helm_refuses_a_sample_of_them_too(helm: str, tmp_path: Path) -> None:
    models = [document for document in (*DOCUMENTS, PASS_THROUGH) if document.chart == "vllm-model"]
    everything = [wrong for document in models for wrong in sorts(document)[0]]
    sample = random.Random(SEED).sample(everything, SAMPLE)
    cases = {f"case-{number}": probe.as_text(wrong.document) for number, wrong in enumerate(sample)}
    assert probe.refused(tmp_path, cases, helm) == set(cases)


@pytest.mark.parametrize("helm", probe.HELMS)
def test_helm_refuses_a_sample_of_those_of_the_platform_too(helm: str, tmp_path: Path) -> None:
    """One key in each call: half of them below the operators, but none that only the Python validator can tell."""
    platforms = [document for document in DOCUMENTS if document.chart == "llm-platform"]
    wrong = [each for document in platforms for each in sorts(document)[0] if not [*near_misses(each.document)]]
    foreign = [each for each in wrong if each.path[0] in charts()]
    rest = [each for each in wrong if each.path[0] not in charts()]
    picked = random.Random(SEED)
    sample = picked.sample(foreign, PLATFORM_SAMPLE // 2) + picked.sample(rest, PLATFORM_SAMPLE // 2)
    chart = probe.make(tmp_path / "llm-platform", of="llm-platform")
    taken = []
    for number, each in enumerate(sample):
        path = tmp_path / f"{number}.yaml"
        path.write_text(probe.as_text(each.document))
        taken += [str(each)] if probe.takes(chart, [path], helm) else []
    assert taken == []


@pytest.mark.parametrize("document", [each for each in DOCUMENTS if each.chart == "llm-platform"], ids=str)
def test_helm_takes_the_documents_of_the_platform_spelt_right(document: Document, tmp_path: Path) -> None:
    path = tmp_path / "typed.yaml"
    path.write_text(probe.as_text(document.read()))
    assert probe.takes(probe.make(tmp_path / "llm-platform", of="llm-platform"), [path], "helm")


def test_helm_takes_the_same_documents_spelt_right(tmp_path: Path) -> None:
    models = [document for document in DOCUMENTS if document.chart == "vllm-model"]
    cases = {f"case-{number}": probe.as_text(document.read()) for number, document in enumerate(models)}
    assert probe.refused(tmp_path, cases, "helm") == set()


def test_keys_are_typed_wrong_in_every_way() -> None:
    assert wrong_spellings("maxModelLen") == {
        "maxModelLens",
        "maxMoelLen",
        "maxMdoelLen",
        "MaxModelLen",
        "maxmodellen",
        "max_model_len",
    }


def test_renaming_changes_one_key_and_nothing_in_place() -> None:
    before = {"a": [{"b": 1, "c": 2}], "d": {}}
    assert renamed(before, ("a", 0, "b"), "x") == {"a": [{"x": 1, "c": 2}], "d": {}}
    assert before == {"a": [{"b": 1, "c": 2}], "d": {}}
