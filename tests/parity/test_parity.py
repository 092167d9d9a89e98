"""An entry of the umbrella and the release of the same name are one thing: the same objects, the same selectors."""

import copy
import functools
from typing import Any

import pytest

from scripts.render import Object, Render, render
from tests.render.platform import QUIET, TINY, Values, of_model, platform
from tests.render.variants import VARIANTS

OVERRIDES: dict[str, Values] = {
    "false": {"sharedMemory": {"enabled": False}, "probes": {"liveness": {"enabled": False}}},
    "zero": {"availability": {"revisionHistoryLimit": 0}, "engine": {"flags": {"seed": 0}}},
    "empty text": {"engine": {"image": {"pullPolicy": "Always"}}, "gpu": {"runtimeClassName": ""}},
    "empty list": {"gpu": {"tolerations": []}, "networkPolicy": {"ingress": {"monitoringNamespaces": []}}},
    "empty map": {"podLabels": {}, "resources": {"limits": {}}},
    "null of what the templates decide": {"engine": {"flags": {"disableAccessLogForEndpoints": None}}},
    "null of a map": {"gpu": {"nodeLabels": None}},
    "null of a text": {"gpu": {"runtimeClassName": None}},
    "null of what is empty anyway": {"weights": {"readMiBPerSecond": None}},
}

CASES = {**VARIANTS, **OVERRIDES}
ENTRY = {case: f"case-{number}" for number, case in enumerate(CASES)}


def merged(case: str) -> Values:
    """The values of a case over the least model."""
    result = copy.deepcopy(TINY)
    for key, value in CASES[case].items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = {**result[key], **value} if both else value
    return result


@functools.cache
def all_in_one(helm: str = "helm") -> Render:
    """The umbrella with every case as an entry: what one entry says must not be seen in another."""
    return platform(QUIET, {"models": {ENTRY[case]: merged(case) for case in CASES}}, helm=helm)


def plain(body: Object) -> Object:
    """An object without the one label that tells which platform it is part of."""
    result = copy.deepcopy(body)
    (result["metadata"].get("labels") or {}).pop("app.kubernetes.io/part-of", None)
    return result


def single(case: str, helm: str = "helm", **options: Any) -> list[Object]:
    made = render("vllm-model", [merged(case)], **{"release": ENTRY[case], "namespace": "llm", "helm": helm, **options})
    return made.objects


@pytest.mark.parametrize("case", CASES)
def test_an_entry_renders_what_the_release_renders(case: str) -> None:
    there = [plain(body) for body in all_in_one().objects]
    missing = [body for body in single(case) if body not in there]
    assert missing == []


def test_the_umbrella_renders_nothing_else() -> None:
    expected = [body for case in CASES for body in single(case)]
    unexpected = [plain(body) for body in all_in_one().objects if plain(body) not in expected]
    assert unexpected == []
    assert len(all_in_one().objects) == len(expected)


def test_helm_3_renders_the_same() -> None:
    assert all_in_one("helm3").objects == all_in_one().objects


def test_every_object_of_a_model_says_which_platform_it_is_part_of() -> None:
    objects = of_model(all_in_one(), ENTRY["least"])
    assert objects
    assert {body["metadata"]["labels"]["app.kubernetes.io/part-of"] for body in objects} == {"llm"}


def test_no_selector_knows_the_platform() -> None:
    deployment = next(body for body in of_model(all_in_one(), ENTRY["least"]) if body["kind"] == "Deployment")
    assert "app.kubernetes.io/part-of" not in deployment["spec"]["selector"]["matchLabels"]
    assert deployment["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"] == ENTRY["least"]


def test_an_entry_may_live_in_a_namespace_of_its_own() -> None:
    made = platform(QUIET, {"models": {ENTRY["least"]: {**TINY, "namespace": "team-a"}}})
    expected = single("least", namespace="team-a")
    assert all(plain(body) in expected for body in made.objects)
    assert len(made.objects) == len(expected)


def test_an_entry_that_is_off_renders_nothing() -> None:
    assert platform(QUIET, {"models": {"a": {**TINY, "enabled": False}}}).objects == []


def test_vllm_model_is_the_default_of_every_entry_and_the_entry_wins() -> None:
    defaults = {"replicas": 3, "podLabels": {"tier": "gpu", "team": "x"}}
    made = platform(
        QUIET,
        {"vllm-model": defaults, "models": {"a": TINY, "b": {**TINY, "replicas": 1, "podLabels": {"team": "y"}}}},
    )
    a, b = made.one("Deployment", "a"), made.one("Deployment", "b")
    assert (a["spec"]["replicas"], b["spec"]["replicas"]) == (3, 1)
    assert b["spec"]["template"]["metadata"]["labels"]["tier"] == "gpu"
    assert [body["spec"]["template"]["metadata"]["labels"]["team"] for body in (a, b)] == ["x", "y"]


def test_a_null_in_an_entry_takes_a_default_of_the_platform_away() -> None:
    defaults = {"podLabels": {"team": "x", "tier": "gpu"}}
    made = platform(QUIET, {"vllm-model": defaults, "models": {"a": {**TINY, "podLabels": {"team": None}}}})
    labels = made.one("Deployment", "a")["spec"]["template"]["metadata"]["labels"]
    assert ("team" in labels, labels["tier"]) == (False, "gpu")


def test_the_literal_subchart_works_too() -> None:
    made = platform(QUIET, {"vllm-model": {"enabled": True, **TINY}})
    expected = render("vllm-model", [TINY], release="llm", namespace="llm").objects
    assert [plain(body) for body in made.objects] == expected
