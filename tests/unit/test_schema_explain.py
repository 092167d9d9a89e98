"""What is said about values that are refused: where, what is wrong, which key was meant, what to type."""

import re
from typing import Any

import pytest

from scripts.schema.explain import as_yaml, dotted, familiar_keys
from scripts.schema.validate import compiled, line_of, problems, schema_of


def said(values: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Place, what and fix of each problem of a file that says only some of the values."""
    found = problems(schema_of("vllm-model", partial=True), values)
    return [(problem.where, problem.what, problem.fix) for problem in found]


@pytest.mark.parametrize(
    ("values", "where", "fix"),
    [
        ({"replica": 1}, "replica", "Did you mean replicas?"),
        ({"engine": {"imagee": {}}}, "engine.imagee", "Did you mean image?"),
        ({"engine": {"flags": {"max-model-len": 1}}}, "engine.flags.max-model-len", "Did you mean maxModelLen?"),
        ({"engine": {"flags": {"max_model_len": 1}}}, "engine.flags.max_model_len", "Did you mean maxModelLen?"),
        ({"image": {}}, "image", "Did you mean weights.image, engine.image or test.image?"),
        ({"maxModelLen": 1}, "maxModelLen", "Did you mean engine.flags.maxModelLen?"),
        ({"gpu": {"tolerations": [{"Key": "a"}]}}, "gpu.tolerations[0].Key", "Did you mean key?"),
        (
            {"engine": {"flags": {"tensorParallelSize": 2}}},
            "engine.flags.tensorParallelSize",
            "The chart passes this flag itself; set parallelism.tensor instead.",
        ),
        ({"parallelism": {"xyz": 1}}, "parallelism.xyz", "The keys here are tensor, pipeline, data, expert, nodes."),
    ],
)
def test_an_unknown_key_is_answered_with_the_one_that_was_meant(values: dict[str, Any], where: str, fix: str) -> None:
    assert said(values) == [(where, "there is no such key", fix)]


def test_a_key_of_another_chart_is_answered_with_what_stands_for_it_here() -> None:
    assert said({"autoscaling": {"enabled": True}}) == [
        ("autoscaling.enabled", "there is no such key", "Set autoscaling.type: keda (or hpa).")
    ]


@pytest.mark.parametrize("hint", familiar_keys().values())
def test_what_stands_for_a_foreign_key_is_there(hint: str) -> None:
    for named in re.findall(r"\b[a-z]\w*(?:\.[a-z]\w*)+", hint):
        found: Any = schema_of("vllm-model", partial=True)
        for key in named.split("."):
            assert key in found["properties"], named
            found = found["properties"][key]


@pytest.mark.parametrize(
    ("values", "what", "fix"),
    [
        ({"model": "org/name"}, 'is the text "org/name", and must be a map', "model: {id: org/name}"),
        (
            {"engine": {"port": "8000"}},
            'is the text "8000", and must be a whole number',
            "engine: {port: 8000}",
        ),
        (
            {"spot": {"enabled": "yes"}},
            'is the text "yes", and must be true or false',
            "spot: {enabled: true}",
        ),
        (
            {"podLabels": {"a": 1}},
            "is the number 1, and must be a text",
            "podLabels: {a: '1'}",
        ),
        (
            {"podLabels": {"a": True}},
            "is the boolean true, and must be a text",
            "podLabels: {a: 'true'}",
        ),
        (
            {"workload": {"kind": "deployment"}},
            "is 'deployment', and must be one of Deployment, Rollout, InferenceService",
            "workload: {kind: Deployment}",
        ),
        (
            {"replicas": -1},
            "is -1, and must be at least 0",
            "replicas: 1",
        ),
        (
            {"engine": {"flags": {"gpuMemoryUtilization": 0}}},
            "is 0, and must be more than 0",
            "engine: {flags: {gpuMemoryUtilization: 0.9}}",
        ),
        (
            {"ingress": {"paths": []}},
            "must not be empty",
            "ingress: {paths: [/v1/chat/completions, /v1/completions, /v1/embeddings, /v1/responses, /v1/models]}",
        ),
        (
            {"gpu": {"tolerations": "Exists"}},
            'is the text "Exists", and must be a list',
            "gpu: {tolerations: [{effect: NoSchedule, key: nvidia.com/gpu, operator: Exists}, "
            "{effect: NoSchedule, key: gpu-node, operator: Equal, value: 'true'}]}",
        ),
        (
            {"replicas": None},
            "is null, and must be a whole number",
            "replicas: 1",
        ),
    ],
)
def test_a_wrong_value_is_answered_with_what_to_type(values: dict[str, Any], what: str, fix: str) -> None:
    assert [entry[1:] for entry in said(values)] == [(what, fix)]


def test_a_field_that_is_missing_in_a_list_is_named() -> None:
    assert said({"extraVolumeMounts": [{"name": "a"}]}) == [
        ("extraVolumeMounts[0].mountPath", "must be set", "mountPath: '...'")
    ]


def test_a_key_of_a_wrong_form_is_named() -> None:
    [(where, what, fix)] = said({"gpu": {"nodeLabels": {"a b": []}}})
    assert (where, what) == ("gpu.nodeLabels.a b", "a key of this form is not allowed here")
    assert fix.startswith("it must match ^")


def test_a_secret_in_the_environment_is_refused_with_the_command_to_run() -> None:
    [(where, _, fix)] = said({"engine": {"env": {"HF_TOKEN": "hf_secret"}}})
    assert where == "engine.env.HF_TOKEN"
    assert "kubectl create secret generic hf-token" in fix
    assert "hf_secret" not in fix


def test_a_secret_by_reference_is_good() -> None:
    reference = {"valueFrom": {"secretKeyRef": {"name": "hf-token", "key": "token"}}}
    assert said({"engine": {"env": {"HF_TOKEN": reference, "TOKENIZERS_PARALLELISM": "false"}}}) == []


def test_all_problems_are_told_at_once() -> None:
    assert len(said({"a": 1, "replicas": -1, "engine": {"port": 0, "b": 1}})) == 4


def test_a_group_taken_away_by_null_is_explained() -> None:
    found = problems(schema_of("vllm-model"), {"model": {"id": "a/b"}})
    assert ("monitoring", "the whole group was taken away with null") in [(each.where, each.what) for each in found]


def test_a_pattern_ends_where_the_text_ends() -> None:
    """Python's own ``$`` also matches before a last newline, and its ``\\s`` is wider than RE2's."""
    assert compiled("^a$").search("a")
    assert not compiled("^a$").search("a\n")
    assert compiled(r"^\S+$").search("a\u00a0b")


def test_a_place_is_written_as_people_write_it() -> None:
    assert dotted(("a", 0, "b", "c")) == "a[0].b.c"


def test_a_fix_is_one_line_of_yaml() -> None:
    assert as_yaml(("a", "b"), [1]) == "a: {b: [1]}"
    assert as_yaml(("a", 0, "b"), "x") == "b: x"
    assert as_yaml((), {"a": 1}) == "{a: 1}"


@pytest.mark.parametrize(
    ("path", "line"),
    [(("a",), 1), (("a", "b"), 2), (("a", "c"), 1), (("list", 1), 5), (("list", 1, "x"), 5), (("none",), None)],
)
def test_a_problem_is_found_on_its_line(path: tuple[str | int, ...], line: int | None) -> None:
    assert line_of("a:\n  b: 1\nlist:\n  - 1\n  - {x: 1}\n", path) == line
