"""A key that is typed wrong is refused: of the defaults, of every values file, of what goes to Kubernetes as it is."""

import functools
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.paths import CHARTS, VALUES
from scripts.schema import values
from scripts.schema.generate import ChartSchema
from scripts.schema.validate import schema_of, validator
from tests.schema import probe
from tests.schema.misspelling import Misspelling, free_map, misspellings, renamed, wrong_spellings

LEAST_REFUSED = 0.99
"""Share of the misspellings that must be refused, keys of free maps left out."""

SAMPLE = 40
"""Misspellings that Helm itself is asked about."""

SEED = 2026

MODEL = {"model": {"id": "org/model"}}
DEFAULTS = CHARTS / "vllm-model" / "values.yaml"
DOCUMENTS = [DEFAULTS, *sorted((VALUES / "models").glob("*.yaml"))]


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


def document(path: Path) -> dict[str, Any]:
    """A values file; the defaults with a model, which they leave to be said."""
    read = values.read(path)
    return values.coalesce(read, MODEL) if path == DEFAULTS else read


@functools.cache
def sorts(path: Path | None) -> tuple[list[Misspelling], Counter[str]]:
    """Misspellings of a file (None: what goes to Kubernetes) that a schema can know, and how many not, by reason."""
    source = ChartSchema("vllm-model").source
    known, free = [], Counter[str]()
    for wrong in misspellings(document(path) if path else pass_through()):
        reason = free_map(source, wrong.path)
        if reason is None:
            known.append(wrong)
        else:
            free[reason] += 1
    return known, free


@functools.cache
def check_of(group: str) -> Any:
    """The validator of a top-level group, with the part of the strict schema that is about it."""
    schema = schema_of("vllm-model")
    return validator(schema["properties"][group] | {"definitions": schema["definitions"]})


def survivors(wrong: list[Misspelling]) -> list[str]:
    """The misspellings that Helm would take, by the strict schema over the defaults.

    What is wrong inside a group is asked of the group's part of the schema alone: the rest of the document is good
    (another test) and the root's own keywords look at its keys only. That takes seconds where all of it takes a minute.
    """
    whole = validator(schema_of("vllm-model"))
    defaults = values.coalesce(ChartSchema("vllm-model").defaults, MODEL)
    taken = []
    for each in wrong:
        group = str(each.path[0])
        if len(each.path) == 1:
            good = whole.is_valid(values.coalesce(defaults, each.document))
        else:
            good = check_of(group).is_valid(values.coalesce({group: defaults[group]}, each.document)[group])
        if good:
            taken.append(str(each))
    return taken


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_a_misspelt_key_is_refused(path: Path) -> None:
    wrong, _ = sorts(path)
    taken = survivors(wrong)
    assert 1 - len(taken) / len(wrong) >= LEAST_REFUSED, taken


def test_a_misspelt_field_of_a_kubernetes_object_is_refused() -> None:
    wrong, _ = sorts(None)
    taken = survivors(wrong)
    assert len(wrong) > 300
    assert 1 - len(taken) / len(wrong) >= LEAST_REFUSED, taken


def test_the_documents_are_good_before_they_are_misspelt() -> None:
    check = validator(schema_of("vllm-model"))
    defaults = values.coalesce(ChartSchema("vllm-model").defaults, MODEL)
    for written in [*(document(path) for path in DOCUMENTS), pass_through()]:
        assert [error.message for error in check.iter_errors(values.coalesce(defaults, written))] == []


def test_every_knob_of_the_defaults_is_misspelt() -> None:
    """No test that passes because it looked at nothing: 5 wrong spellings a key on average, 300 keys at least."""
    wrong, _ = sorts(DEFAULTS)
    assert len({each.path for each in wrong}) > 300
    assert len(wrong) > 4 * 300


def test_only_maps_whose_keys_are_the_users_are_left_out() -> None:
    """The exceptions by their reason; a new open map shows up here."""
    reasons = {reason for path in (*DOCUMENTS, None) for reason in sorts(path)[1]}
    assert reasons == {
        "a map of Kubernetes whose keys are the user's",
        "a quota counts resources, objects and storage classes by names of the cluster",
        "adapter names are the user's",
        "each of KEDA's scalers has metadata of its own",
        "label names are the user's; values are held to the form of a label value",
        "names of environment variables are the user's",
        "names of extended resources are the cluster's (nvidia.com/gpu, rdma/ib ...); those without a slash are known",
        "node labels are the cluster's",
        "values that a parent chart shares with all its charts",
        "vLLM's SpeculativeConfig, which differs by method, passed as JSON",
        "whole objects of any kind",
    }


@pytest.mark.parametrize("helm", probe.HELMS)
def test_helm_refuses_a_sample_of_them_too(helm: str, tmp_path: Path) -> None:
    everything = [wrong for path in (*DOCUMENTS, None) for wrong in sorts(path)[0]]
    sample = random.Random(SEED).sample(everything, SAMPLE)
    cases = {f"case-{number}": probe.as_text(wrong.document) for number, wrong in enumerate(sample)}
    assert probe.refused(tmp_path, cases, helm) == set(cases)


def test_helm_takes_the_same_documents_spelt_right(tmp_path: Path) -> None:
    cases = {f"case-{number}": probe.as_text(document(path)) for number, path in enumerate(DOCUMENTS)}
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
