"""The table of GPU pools itself, and the values files against it."""

from typing import Any

import pytest

from scripts.kubernetes_yaml import load
from scripts.node_pools import instance_types, table
from scripts.paths import VALUES
from tests.infra.pools import CLOUDS, POOLS, pools_of

IN_CLOUDS = [(name, cloud) for name in POOLS for cloud in CLOUDS if cloud in POOLS[name]]
MODELS = sorted((VALUES / "models").glob("*.yaml"))
GPU_PRODUCTS = {gpu["product"] for gpu in table()["gpus"].values()}


@pytest.mark.parametrize(("name", "cloud"), IN_CLOUDS)
def test_all_types_of_a_pool_have_the_same_gpu_and_the_same_number_of_them(name: str, cloud: str) -> None:
    types = [instance_types()[instance] for instance in POOLS[name][cloud]]
    assert {instance.gpu for instance in types} == {POOLS[name]["gpu"]}
    assert len({instance.gpus for instance in types}) == 1


@pytest.mark.parametrize(("name", "cloud"), IN_CLOUDS)
def test_a_pod_that_fits_the_preferred_type_fits_every_substitute(name: str, cloud: str) -> None:
    first, *others = (instance_types()[instance].allocatable for instance in POOLS[name][cloud])
    for other in others:
        assert other.cpu_millicores >= first.cpu_millicores
        assert other.memory_mib >= first.memory_mib


@pytest.mark.parametrize(("name", "cloud"), IN_CLOUDS)
def test_types_are_sold_by_the_cloud_they_stand_under(name: str, cloud: str) -> None:
    assert {instance_types()[instance].cloud for instance in POOLS[name][cloud]} == {cloud}


@pytest.mark.parametrize("cloud", ["eks"])
def test_a_spot_pool_has_substitutes(cloud: str) -> None:
    spot = [name for name in pools_of(cloud) if POOLS[name]["capacity"] == "spot"]
    assert spot
    assert all(len(POOLS[name][cloud]) >= 3 for name in spot)


def products(values: dict[str, Any]) -> set[str]:
    return set((values.get("gpu") or {}).get("nodeLabels", {}).get("nvidia.com/gpu.product", []))


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_values_file_has_a_pool_to_land_on(path: Any) -> None:
    wanted = products(load(path.read_text(encoding="utf-8")))
    offered = {table()["gpus"][row["gpu"]]["product"] for row in POOLS.values()}
    assert wanted <= GPU_PRODUCTS, "a GPU whose label value is not in scripts/node_pools.yaml"
    assert not wanted or wanted & offered, f"no pool of infra/pools.yaml has any of {sorted(wanted)}"
