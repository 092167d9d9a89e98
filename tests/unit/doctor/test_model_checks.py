"""What the doctor says of a model on a cluster."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import pytest

from scripts.doctor import model_checks as checks
from scripts.doctor.facts import ClusterFacts
from scripts.doctor.findings import Finding, Level
from scripts.paths import VALUES
from scripts.render import Render, render, serving_pod
from tests.unit.doctor.nodes import gpu_node, named, running_pod

L4 = VALUES / "models" / "llama-3.1-8b-instruct-l4.yaml"


@cache
def model(**over: Any) -> Render:
    return render("vllm-model", [L4, over], release="llama")


def pod(made: Render) -> dict[str, Any]:
    [spec] = [spec for body in made.objects if (spec := serving_pod(body)) is not None]
    return spec


def cluster(**parts: Any) -> ClusterFacts:
    return ClusterFacts(**{"version": "v1.35.4", **parts})


def levels(findings: Iterable[Finding]) -> list[Level]:
    return [finding.level for finding in findings]


def placed(facts: ClusterFacts, wanted: int = 1) -> Finding:
    [finding] = checks.placement(facts, pod(model()), wanted)
    return finding


def test_a_model_fits_on_the_pool_that_its_file_names() -> None:
    assert placed(cluster(nodes=[gpu_node("g6.2xlarge")])).level is Level.OK


def test_two_replicas_need_two_gpus() -> None:
    one = cluster(nodes=[gpu_node("g6.2xlarge")])
    two = cluster(nodes=[gpu_node("g6.2xlarge", "a"), gpu_node("g6.2xlarge", "b")])
    assert placed(one, 2).level is Level.WARNING
    assert placed(two, 2).level is Level.OK


@pytest.mark.parametrize(
    ("instance", "reason"),
    [
        ("g5.2xlarge", "nvidia.com/gpu.product is NVIDIA-A10G"),
        ("g6.xlarge", "cpu: 3920m allocatable"),
    ],
)
def test_nodes_that_do_not_suit_say_why(instance: str, reason: str) -> None:
    found = placed(cluster(nodes=[gpu_node(instance)]))
    assert found.level is Level.PROBLEM
    assert reason in found.text


def test_a_taint_that_is_not_tolerated_is_named() -> None:
    node = gpu_node()
    node["spec"]["taints"].append({"key": "team", "value": "research", "effect": "NoSchedule"})
    assert "team=research:NoSchedule is not tolerated" in placed(cluster(nodes=[node])).text


def test_a_full_node_is_a_warning_and_not_a_problem() -> None:
    facts = cluster(nodes=[gpu_node(name="a")], pods=[running_pod("a", gpu="1")])
    assert placed(facts).level is Level.WARNING


def test_a_missing_secret_comes_with_the_command_that_makes_it() -> None:
    [finding] = checks.secrets(cluster(namespace="llm"), pod(model()))
    assert finding.level is Level.PROBLEM
    assert "kubectl create secret generic hf-token --namespace llm --from-literal=token=" in finding.fix


def test_a_secret_is_looked_at_by_its_key() -> None:
    wrong = cluster(secrets=[named("hf-token", data={"hf": ""})])
    right = cluster(secrets=[named("hf-token", data={"token": ""})])
    assert levels(checks.secrets(wrong, pod(model()))) == [Level.PROBLEM]
    assert levels(checks.secrets(right, pod(model()))) == [Level.OK]


def test_a_runtime_class_that_is_not_there_is_a_problem() -> None:
    spec = {**pod(model()), "runtimeClassName": "nvidia"}
    assert levels(checks.runtime(cluster(), spec)) == [Level.PROBLEM]
    assert levels(checks.runtime(cluster(runtime_classes=[named("nvidia")]), spec)) == []


def cached(**cache_: Any) -> Render:
    return render("vllm-model", [L4, {"weights": {"cache": {"type": "claim", **cache_}}}], release="llama")


def test_a_claim_that_the_chart_does_not_make_must_be_there() -> None:
    made = cached(existingClaim="weights")
    assert levels(checks.claims(cluster(), made)) == [Level.PROBLEM]
    assert levels(checks.claims(cluster(claims=[named("weights")]), made)) == []


def test_a_claim_that_the_chart_makes_needs_its_class() -> None:
    made = cached(storageClassName="fast", accessModes=["ReadWriteMany"])
    assert levels(checks.claims(cluster(storage_classes=[named("gp3")]), made)) == [Level.PROBLEM]
    assert levels(checks.claims(cluster(storage_classes=[named("fast")]), made)) == []


def test_a_namespace_that_is_not_there_is_a_warning() -> None:
    assert levels(checks.namespace(cluster(namespace_labels=None))) == [Level.WARNING]
    assert levels(checks.namespace(cluster(namespace_labels={}))) == []
