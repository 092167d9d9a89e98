"""Terraform, eksctl and Karpenter for EKS: parsed, held against their own schemas and against the pool table."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
import pytest

from scripts.json_schema import Draft7Validator
from scripts.kubernetes_modules import module_dir
from scripts.kubernetes_schemas import problems
from scripts.kubernetes_yaml import load, load_all
from scripts.node_pools import instance_types, table
from tests.infra.pools import INFRA, pool, pools_of, written

TERRAFORM = INFRA / "eks" / "terraform"
KARPENTER = sorted(path for path in (INFRA / "eks" / "karpenter").glob("*.yaml") if path.name != "kustomization.yaml")


@cache
def terraform() -> dict[str, list[Any]]:
    """All blocks of the module by kind, from every file."""
    blocks: dict[str, list[Any]] = {}
    for path in sorted(TERRAFORM.glob("*.tf")):
        with path.open(encoding="utf-8") as file:
            for kind, found in hcl2.load(file).items():
                if isinstance(found, list):
                    blocks.setdefault(kind, []).extend(found)
    return blocks


def plain(value: Any) -> Any:
    """A parsed value without the quotes that the parser keeps around names and strings."""
    if isinstance(value, dict):
        return {plain(key): plain(inner) for key, inner in value.items() if not str(key).startswith("__")}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.strip('"') if isinstance(value, str) else value


def resource(kind: str, name: str) -> dict[str, Any]:
    for block in plain(terraform()["resource"]):
        if name in block.get(kind, {}):
            found: dict[str, Any] = block[kind][name]
            return found
    raise LookupError(f"no resource {kind}.{name}")


def test_terraform_reads_the_shared_tables_instead_of_repeating_them() -> None:
    text = (TERRAFORM / "pools.tf").read_text(encoding="utf-8")
    for table_file in ("../../../scripts/node_pools.yaml", "../../pools.yaml"):
        assert table_file in text
        assert (TERRAFORM / table_file).resolve().is_file()


def test_terraform_pools_start_at_zero_and_leave_the_number_to_the_autoscaler() -> None:
    group = resource("aws_eks_node_group", "gpu")
    [scaling] = group["scaling_config"]
    assert (scaling["min_size"], scaling["desired_size"]) == (0, 0)
    assert "desired_size" in json.dumps(group["lifecycle"])


def test_terraform_uses_the_nvidia_image_of_amazon_linux_2023() -> None:
    assert resource("aws_eks_node_group", "gpu")["ami_type"] == "AL2023_x86_64_NVIDIA"


def test_terraform_taints_and_labels_come_from_the_table() -> None:
    group = resource("aws_eks_node_group", "gpu")
    [taint] = group["dynamic"]
    assert "local.taints" in str(taint)
    assert "local.labels" in group["labels"]
    text = (TERRAFORM / "pools.tf").read_text(encoding="utf-8")
    assert "clouds.eks.taint" in text
    assert 'pool.capacity == "spot" ? [local.table.clouds.eks.spotTaint]' in text


def test_terraform_tells_the_cluster_autoscaler_what_an_empty_group_would_give() -> None:
    text = (TERRAFORM / "autoscaler_tags.tf").read_text(encoding="utf-8")
    for part in ("node-template/label/", "node-template/taint/", "cluster-autoscaler/enabled"):
        assert part in text


def test_terraform_keeps_pods_from_the_identity_of_the_node() -> None:
    [metadata] = resource("aws_launch_template", "gpu")["metadata_options"]
    assert metadata["http_tokens"] == "required"
    assert metadata["http_put_response_hop_limit"] == 1


def test_every_terraform_variable_and_output_says_what_it_is() -> None:
    for kind in ("variable", "output"):
        for block in plain(terraform()[kind]):
            for name, body in block.items():
                assert body.get("description"), f"{kind} {name} has no description"


def test_every_terraform_variable_is_used() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in TERRAFORM.glob("*.tf"))
    for block in plain(terraform()["variable"]):
        for name in block:
            assert f"var.{name}" in text


@cache
def eksctl() -> dict[str, Any]:
    content: dict[str, Any] = load((INFRA / "eks" / "eksctl.yaml").read_text(encoding="utf-8"))
    return content


def test_the_eksctl_file_is_valid_by_eksctls_own_schema() -> None:
    schema = json.loads((module_dir("eksctl") / "pkg/apis/eksctl.io/v1alpha5/assets/schema.json").read_bytes())
    errors = [f"{list(error.path)}: {error.message}" for error in Draft7Validator(schema).iter_errors(eksctl())]
    assert errors == []


@pytest.mark.parametrize("group", eksctl()["managedNodeGroups"], ids=lambda group: group["name"])
def test_eksctl_groups_are_those_of_the_table(group: dict[str, Any]) -> None:
    wanted = pool(group["name"], "eks")
    assert group["instanceTypes"] == wanted.types
    assert group["labels"] == wanted.labels
    assert [written(taint) for taint in group["taints"]] == wanted.taints
    assert group.get("spot", False) is wanted.spot
    assert (group["minSize"], group["maxSize"]) == (0, wanted.most)


@pytest.mark.parametrize("group", eksctl()["managedNodeGroups"], ids=lambda group: group["name"])
def test_eksctl_groups_can_be_scaled_from_zero(group: dict[str, Any]) -> None:
    assert group["propagateASGTags"] is True


@pytest.mark.parametrize("path", KARPENTER, ids=lambda path: path.stem)
def test_karpenter_objects_are_valid_by_their_crds(path: Path) -> None:
    for body in load_all(path.read_text(encoding="utf-8")):
        assert problems(body) == []


def node_pools() -> list[dict[str, Any]]:
    return [
        body for path in KARPENTER for body in load_all(path.read_text(encoding="utf-8")) if body["kind"] == "NodePool"
    ]


def requirement(node_pool: dict[str, Any], key: str) -> list[str]:
    [found] = [entry for entry in node_pool["spec"]["template"]["spec"]["requirements"] if entry["key"] == key]
    values: list[str] = found["values"]
    return values


@pytest.mark.parametrize("node_pool", node_pools(), ids=lambda body: body["metadata"]["name"])
def test_karpenter_pools_are_those_of_the_table(node_pool: dict[str, Any]) -> None:
    wanted = pool(node_pool["metadata"]["name"], "eks")
    template = node_pool["spec"]["template"]
    taints = [written(taint) for taint in template["spec"]["taints"]]
    assert template["metadata"]["labels"] == wanted.labels
    assert requirement(node_pool, "node.kubernetes.io/instance-type") == wanted.types
    assert taints == wanted.taints
    assert node_pool["spec"]["limits"] == {"nvidia.com/gpu": str(wanted.most * wanted.gpus)}


@pytest.mark.parametrize("node_pool", node_pools(), ids=lambda body: body["metadata"]["name"])
def test_only_models_that_accept_spot_land_on_spot_nodes(node_pool: dict[str, Any]) -> None:
    taints = {taint["key"] for taint in node_pool["spec"]["template"]["spec"]["taints"]}
    spot = "spot" in requirement(node_pool, "karpenter.sh/capacity-type")
    assert spot is pool(node_pool["metadata"]["name"], "eks").spot
    assert ("karpenter.sh/capacity-type" in taints) is spot


@pytest.mark.parametrize("node_pool", node_pools(), ids=lambda body: body["metadata"]["name"])
def test_karpenter_moves_no_running_model(node_pool: dict[str, Any]) -> None:
    disruption = node_pool["spec"]["disruption"]
    assert disruption["consolidationPolicy"] == "WhenEmpty"
    assert {"nodes": "1"} in disruption["budgets"]


def test_karpenter_images_are_pinned() -> None:
    [node_class] = load_all((INFRA / "eks" / "karpenter" / "ec2nodeclass.yaml").read_text(encoding="utf-8"))
    [term] = node_class["spec"]["amiSelectorTerms"]
    assert "latest" not in term["alias"]


def test_kustomize_lists_every_karpenter_file() -> None:
    listed = load((INFRA / "eks" / "karpenter" / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert sorted(listed) == [path.name for path in KARPENTER]


def test_every_pool_that_eks_can_have_is_in_a_table_of_its_types() -> None:
    assert {instance_types()[name].cloud for entry in pools_of("eks") for name in pool(entry, "eks").types} == {"eks"}
    assert table()["clouds"]["eks"]["taint"]["effect"] == "NoSchedule"
