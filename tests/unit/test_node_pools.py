"""The table of GPU nodes: every figure follows from its formula, and its labels are what schedulers look for."""

import pytest

from scripts.cluster.kwok import POOL_LABEL, TAINT, node, pool_name
from scripts.console import UserError
from scripts.node_pools import allocatable, gke, instance_type, instance_types, node_labels, node_taints, stepped_cpu


@pytest.mark.parametrize("name", instance_types())
def test_what_pods_may_request_is_what_the_formula_gives(name: str) -> None:
    kind = instance_type(name)
    assert kind.allocatable == allocatable(kind.cloud, kind.vcpu, kind.memory_gib)


def test_the_reserved_cpu_is_that_of_the_manuals_example() -> None:
    assert stepped_cpu(4) == 80  # 60 + 10 + 5 + 5 millicores
    assert stepped_cpu(8) == 90


def test_the_reserved_memory_of_gke_is_that_of_the_manuals_steps() -> None:
    _, reserved, _ = gke(4, 16 * 1024)
    assert reserved == pytest.approx((4 * 0.25 + 4 * 0.20 + 8 * 0.10) * 1024)


def test_an_unknown_instance_type_is_refused() -> None:
    with pytest.raises(UserError, match=r"no instance type g9\.xlarge"):
        instance_type("g9.xlarge")


@pytest.mark.parametrize(
    ("name", "capacity", "label", "value"),
    [
        ("g6.xlarge", "spot", "eks.amazonaws.com/capacityType", "SPOT"),
        ("g6.xlarge", "on-demand", "karpenter.sh/capacity-type", "on-demand"),
        ("g2-standard-4", "spot", "cloud.google.com/gke-spot", "true"),
        ("g2-standard-4", "on-demand", "cloud.google.com/gke-accelerator", "nvidia-l4"),
        ("Standard_ND96isr_H100_v5", "spot", "kubernetes.azure.com/scalesetpriority", "spot"),
    ],
)
def test_a_node_has_the_labels_of_its_cloud(name: str, capacity: str, label: str, value: str) -> None:
    labels = node_labels(instance_type(name), pool="p", zone="z", capacity=capacity)
    assert labels[label] == value
    assert labels["nvidia.com/gpu.product"] == instance_type(name).product


def test_a_node_on_demand_has_no_label_of_spot() -> None:
    labels = node_labels(instance_type("g2-standard-4"), pool="p", zone="z", capacity="on-demand")
    assert "cloud.google.com/gke-spot" not in labels


def test_a_spot_node_of_aks_keeps_off_pods_that_must_not_be_reclaimed() -> None:
    kind = instance_type("Standard_NC4as_T4_v3")
    keys = [taint["key"] for taint in node_taints(kind, capacity="spot")]
    assert keys == ["nvidia.com/gpu", "kubernetes.azure.com/scalesetpriority"]
    assert [taint["key"] for taint in node_taints(kind, capacity="on-demand")] == ["nvidia.com/gpu"]


def test_a_simulated_node_offers_what_its_type_does() -> None:
    kind = instance_type("p5.48xlarge")
    made = node("h-0", kind, "h", {}, [TAINT])
    assert made["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert made["status"]["allocatable"]["cpu"] == "191450m"
    assert made["metadata"]["labels"][POOL_LABEL] == "h"


def test_the_name_of_a_pool_is_a_valid_name() -> None:
    assert pool_name("Standard_NC4as_T4_v3", "spot") == "standard-nc4as-t4-v3-spot"
    assert pool_name("g6.xlarge", "on-demand") == "g6-xlarge"
