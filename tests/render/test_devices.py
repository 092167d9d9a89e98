"""GPUs, and the nodes that have them."""

import pytest

from scripts.render import RenderError
from tests.render.chart import Values, containers, engine, model, pod, pod_specs
from tests.render.variants import GROUP, VARIANTS

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a path in the container


@pytest.mark.parametrize(
    ("parallelism", "count"),
    [
        ({}, "1"),
        ({"tensor": 2}, "2"),
        ({"pipeline": 4}, "4"),
        ({"data": 8}, "8"),
        ({"tensor": 2, "pipeline": 2, "data": 2}, "8"),
    ],
)
@pytest.mark.parametrize("resource", ["nvidia.com/gpu", "amd.com/gpu", "nvidia.com/mig-3g.40gb", "example.com/npu"])
def test_gpus_are_derived_from_the_parallelism(parallelism: Values, count: str, resource: str) -> None:
    resources = engine(model({"parallelism": parallelism, "gpu": {"resourceName": resource}}))["resources"]
    assert resources["requests"][resource] == count
    assert resources["limits"] == {resource: count}


def test_gpus_of_a_group_are_split_over_its_nodes() -> None:
    halves = model(GROUP).one("LeaderWorkerSet")["spec"]["leaderWorkerTemplate"]
    assert halves["size"] == 2
    for half in ("leaderTemplate", "workerTemplate"):
        assert halves[half]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "8"


@pytest.mark.parametrize("variant", VARIANTS)
def test_requests_and_limits_of_devices_are_equal(variant: str) -> None:
    """The API server refuses an extended resource that is overcommitted."""
    for body in model(VARIANTS[variant]).objects:
        for _, spec in pod_specs(body):
            for container in containers(spec):
                resources = container.get("resources", {})
                devices = [
                    {key: value for key, value in resources.get(side, {}).items() if "/" in key}
                    for side in ("requests", "limits")
                ]
                assert devices[0] == devices[1], body["kind"]


def test_only_the_engine_asks_for_devices() -> None:
    made = model({**VARIANTS["download job"], "availability": {"imagePrePull": True}})
    asking = [
        container["name"]
        for body in made.objects
        for _, spec in pod_specs(body)
        for container in containers(spec)
        if any("/" in key for key in container.get("resources", {}).get("requests", {}))
    ]
    assert asking == ["vllm"]


def test_engine_on_processors_asks_for_no_device() -> None:
    assert engine(model({"gpu": {"count": 0}}))["resources"].get("limits", {}) == {}


@pytest.mark.parametrize("count", [2, 3, 8])
def test_count_that_the_parallelism_does_not_use_is_refused(count: int) -> None:
    with pytest.raises(RenderError, match=rf"gpu\.count: the pod would get {count} GPUs, .* uses 1"):
        model({"gpu": {"count": count}})


def test_count_that_the_parallelism_uses_is_accepted() -> None:
    assert engine(model({"gpu": {"count": 2}, "parallelism": {"tensor": 2}}))["resources"]["limits"]


def test_gpus_that_do_not_divide_over_the_nodes_are_refused() -> None:
    values = {**GROUP, "parallelism": {"tensor": 3, "nodes": 2}}
    with pytest.raises(RenderError, match="= 3 GPUs do not divide over 2 nodes"):
        model(values)


def test_copies_that_do_not_divide_over_the_nodes_are_refused() -> None:
    with pytest.raises(RenderError, match=r"parallelism\.data: 3 copies do not divide over 2 nodes"):
        model({**GROUP, "parallelism": {"tensor": 2, "data": 3, "nodes": 2}})


@pytest.mark.parametrize(
    ("values", "fits"),
    [
        ({"weights": {"sizeGiB": 131.4}, "gpu": {"memoryGiB": 79.2}}, False),
        ({"weights": {"sizeGiB": 131.4}, "gpu": {"memoryGiB": 79.2}, "parallelism": {"tensor": 2}}, True),
        ({"weights": {"sizeGiB": 26}, "gpu": {"memoryGiB": 22}}, False),
        ({"weights": {"sizeGiB": 15}, "gpu": {"memoryGiB": 22}}, True),
        # Copies of the whole model do not share its weights, experts spread over them do.
        ({"weights": {"sizeGiB": 100}, "gpu": {"memoryGiB": 79.2}, "parallelism": {"data": 2}}, False),
        ({"weights": {"sizeGiB": 100}, "gpu": {"memoryGiB": 79.2}, "parallelism": {"data": 2, "expert": True}}, True),
    ],
)
def test_weights_that_cannot_fit_the_gpus_are_refused(values: Values, fits: bool) -> None:
    if fits:
        assert model(values).objects
        return
    with pytest.raises(RenderError, match="GiB"):
        model(values)


def test_both_spellings_of_the_gpu_taint_are_tolerated() -> None:
    """EKS guides write nvidia.com/gpu=true, GKE sets =present: Exists matches both."""
    tolerations = pod(model())["tolerations"]
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in tolerations
    assert {"key": "gpu-node", "operator": "Equal", "value": "true", "effect": "NoSchedule"} in tolerations


def test_no_other_taint_is_tolerated_by_default() -> None:
    assert {entry["key"] for entry in pod(model())["tolerations"]} == {"nvidia.com/gpu", "gpu-node"}


def test_spot_taints_are_tolerated_only_where_spot_is_on() -> None:
    spot = {entry["key"] for entry in pod(model({"spot": {"enabled": True}}))["tolerations"]}
    assert {"kubernetes.azure.com/scalesetpriority", "cloud.google.com/gke-spot"} <= spot


def test_tolerations_of_a_user_are_added() -> None:
    own = {"key": "team", "operator": "Equal", "value": "search", "effect": "NoSchedule"}
    tolerations = pod(model({"scheduling": {"tolerations": [own]}}))["tolerations"]
    assert own in tolerations
    assert len(tolerations) == 3


def terms(values: Values) -> list[Values]:
    required = pod(model(values))["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    found: list[Values] = required["nodeSelectorTerms"]
    return found


@pytest.mark.parametrize(
    "label", ["nvidia.com/gpu.product", "gpu-type", "accelerator", "cloud.google.com/gke-accelerator"]
)
def test_nodes_are_chosen_by_a_label_and_its_values(label: str) -> None:
    assert terms({"gpu": {"nodeLabels": {label: ["a", "b"]}}}) == [
        {"matchExpressions": [{"key": label, "operator": "In", "values": ["a", "b"]}]}
    ]


def test_label_without_values_has_to_exist() -> None:
    assert terms({"gpu": {"nodeLabels": {"nvidia.com/gpu.present": []}}}) == [
        {"matchExpressions": [{"key": "nvidia.com/gpu.present", "operator": "Exists"}]}
    ]


def test_gpu_labels_hold_in_every_alternative_of_a_user() -> None:
    """Terms are alternatives: a label added as a term of its own would let every other node in."""
    zone = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": [name]}]} for name in "ab"]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": zone}}
    values = {"gpu": {"nodeLabels": {"gpu-type": ["l4"]}}, "scheduling": {"affinity": {"nodeAffinity": required}}}
    found = terms(values)
    assert len(found) == 2
    for term in found:
        assert {entry["key"] for entry in term["matchExpressions"]} == {"zone", "gpu-type"}


def test_affinity_of_a_user_stays_beside_the_gpu_labels() -> None:
    preferred = [{"weight": 1, "preference": {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}}]
    spread = {"podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {}}, "weight": 1}
    affinity = pod(
        model(
            {
                "gpu": {"nodeLabels": {"gpu-type": ["l4"]}},
                "scheduling": {
                    "affinity": {
                        "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred},
                        "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [spread]},
                    }
                },
            }
        )
    )["affinity"]
    assert affinity["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] == preferred
    assert "requiredDuringSchedulingIgnoredDuringExecution" in affinity["nodeAffinity"]
    assert affinity["podAntiAffinity"]


def test_no_affinity_where_nothing_is_asked() -> None:
    assert "affinity" not in pod(model())


def test_runtime_class_is_set_where_it_is_not_the_default() -> None:
    assert pod(model({"gpu": {"runtimeClassName": "nvidia"}}))["runtimeClassName"] == "nvidia"
    assert "runtimeClassName" not in pod(model())


def test_shared_memory_is_in_memory_and_has_a_size() -> None:
    made = model({"sharedMemory": {"sizeGiB": 16}})
    volumes = {volume["name"]: volume for volume in pod(made)["volumes"]}
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "16Gi"}
    assert {"name": "shm", "mountPath": SHARED_MEMORY} in engine(made)["volumeMounts"]


def test_shared_memory_can_be_left_to_the_runtime() -> None:
    made = model({"sharedMemory": {"enabled": False}})
    assert "shm" not in {volume["name"] for volume in pod(made)["volumes"]}
    assert SHARED_MEMORY not in {mount["mountPath"] for mount in engine(made)["volumeMounts"]}


def test_no_memory_limit_by_default() -> None:
    """A model that loads is killed by one."""
    assert engine(model())["resources"]["limits"].keys() == {"nvidia.com/gpu"}


def test_rdma_devices_come_with_the_capability_they_need() -> None:
    for half in ("leaderTemplate", "workerTemplate"):
        template = model(VARIANTS["group with RDMA"]).one("LeaderWorkerSet")["spec"]["leaderWorkerTemplate"][half]
        container = template["spec"]["containers"][0]
        assert container["resources"]["limits"]["rdma/ib"] == "8"
        assert container["securityContext"]["capabilities"] == {"add": ["IPC_LOCK"], "drop": ["ALL"]}


def test_rdma_without_a_device_is_refused() -> None:
    with pytest.raises(RenderError, match=r"rdma\.resources: rdma is on, and no device is asked for"):
        model({**GROUP, "rdma": {"enabled": True}})
