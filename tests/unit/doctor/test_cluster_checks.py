"""What the doctor says of a cluster."""

from collections.abc import Iterable
from typing import Any

import pytest

from scripts.doctor import cluster_checks as checks
from scripts.doctor.facts import ClusterFacts
from scripts.doctor.findings import Finding, Level
from tests.unit.doctor.nodes import gpu_node, named, running_pod


def cluster(**parts: Any) -> ClusterFacts:
    return ClusterFacts(**{"version": "v1.35.4", **parts})


def said(findings: Iterable[Finding]) -> list[tuple[Level, str]]:
    return [(finding.level, finding.text) for finding in findings]


@pytest.mark.parametrize(
    ("version", "level"),
    [("v1.29.9", Level.PROBLEM), ("v1.30.0-eks-1", Level.OK), ("v1.35.4", Level.OK), ("v1.99.0", Level.NOTE)],
)
def test_versions_under_the_charts_minimum_are_a_problem_and_untested_ones_a_note(version: str, level: Level) -> None:
    assert [finding.level for finding in checks.version(cluster(version=version))] == [level]


def test_free_gpus_are_those_that_no_living_pod_holds() -> None:
    facts = cluster(
        nodes=[gpu_node("g6.12xlarge", "a"), gpu_node("g6.2xlarge", "b")],
        pods=[running_pod("a", gpu="2"), running_pod("a", phase="Succeeded", gpu="1")],
    )
    assert said(checks.gpus(facts)) == [(Level.OK, "NVIDIA-L4: 5 x nvidia.com/gpu, 3 free")]


def test_a_node_with_a_gpu_and_no_device_plugin_is_a_problem() -> None:
    node = gpu_node()
    del node["status"]["allocatable"]["nvidia.com/gpu"]
    assert [finding.level for finding in checks.gpus(cluster(nodes=[node]))] == [Level.PROBLEM]


def test_no_gpu_at_all_is_a_warning_because_a_pool_may_sleep() -> None:
    assert [finding.level for finding in checks.gpus(cluster())] == [Level.WARNING]


def test_nodes_that_could_not_be_listed_are_not_called_missing() -> None:
    assert said(checks.gpus(cluster(unreadable={"nodes": "403 Forbidden"}))) == []


def test_a_gpu_node_without_its_product_is_a_problem() -> None:
    node = gpu_node()
    del node["metadata"]["labels"]["nvidia.com/gpu.product"]
    assert [finding.level for finding in checks.labels(cluster(nodes=[node]))] == [Level.PROBLEM]
    assert [finding.level for finding in checks.labels(cluster(nodes=[gpu_node()]))] == [Level.OK]


def test_a_gpu_node_without_a_taint_is_a_warning() -> None:
    node = gpu_node()
    node["spec"]["taints"] = []
    assert [finding.level for finding in checks.taints(cluster(nodes=[node]))] == [Level.WARNING]
    assert said(checks.taints(cluster(nodes=[gpu_node()]))) == []


def test_a_taint_that_the_charts_do_not_tolerate_is_named() -> None:
    node = gpu_node()
    node["spec"]["taints"].append({"key": "team", "value": "research", "effect": "NoSchedule"})
    [(level, text)] = said(checks.taints(cluster(nodes=[node])))
    assert level is Level.NOTE
    assert "team" in text


@pytest.mark.parametrize(("driver", "level"), [("550", Level.WARNING), ("580", Level.OK)])
def test_an_old_driver_is_a_warning(driver: str, level: Level) -> None:
    node = gpu_node()
    node["metadata"]["labels"]["nvidia.com/cuda.driver-version.major"] = driver
    assert [finding.level for finding in checks.drivers(cluster(nodes=[node]))] == [level]


def test_missing_rights_are_a_problem_that_names_them() -> None:
    [(level, text)] = said(checks.rights(cluster(missing_rights=[("apps", "deployments", "create")])))
    assert level is Level.PROBLEM
    assert "create deployments.apps" in text


def api_service(name: str, owner: str, status: str = "True") -> dict[str, Any]:
    namespace, service = owner.split("/")
    return named(
        name,
        spec={"service": {"namespace": namespace, "name": service}},
        status={"conditions": [{"type": "Available", "status": status}]},
    )


@pytest.mark.parametrize(
    ("owner", "status", "level"),
    [
        ("keda/keda-operator-metrics-apiserver", "True", Level.OK),
        ("monitoring/prometheus-adapter", "True", Level.WARNING),
        ("keda/keda-operator-metrics-apiserver", "False", Level.PROBLEM),
    ],
)
def test_external_metrics_have_one_owner_and_it_answers(owner: str, status: str, level: Level) -> None:
    facts = cluster(api_services=[api_service("v1beta1.external.metrics.k8s.io", owner, status)])
    assert next(iter(checks.metrics(facts))).level is level


def test_storage_names_the_default_class_and_those_that_nodes_can_share() -> None:
    default = named("gp3", provisioner="ebs.csi.aws.com")
    default["metadata"]["annotations"] = {"storageclass.kubernetes.io/is-default-class": "true"}
    shared = named("efs", provisioner="efs.csi.aws.com")
    texts = [finding.text for finding in checks.storage(cluster(storage_classes=[default, shared]))]
    assert texts == ["default StorageClass gp3", "can be shared by nodes (ReadWriteMany): efs"]


def test_no_default_class_is_a_warning() -> None:
    findings = list(checks.storage(cluster(storage_classes=[named("gp3", provisioner="ebs.csi.aws.com")])))
    assert findings[0].level is Level.WARNING


def test_operators_that_are_missing_say_what_needs_them() -> None:
    texts = dict(zip(checks.OPERATORS, checks.operators(cluster(crds=[named("scaledobjects.keda.sh")])), strict=True))
    assert texts["KEDA"].level is Level.OK
    assert "workload.kind: Rollout" in texts["Argo Rollouts"].text


def test_every_warning_and_problem_says_what_to_do() -> None:
    bare = gpu_node()
    bare["metadata"]["labels"], bare["spec"]["taints"] = {}, []
    facts = cluster(
        version="v1.20.0",
        nodes=[bare, gpu_node(name="b", ready=False)],
        missing_rights=[("", "secrets", "create")],
        api_services=[api_service("v1beta1.metrics.k8s.io", "kube-system/metrics-server", "False")],
        unreadable={"pods": "403 Forbidden"},
    )
    serious = [f for f in checks.all_checks(facts) if f.level in (Level.WARNING, Level.PROBLEM)]
    assert len(serious) >= 6
    assert [finding for finding in serious if not finding.fix] == []
