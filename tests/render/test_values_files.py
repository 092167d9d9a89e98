"""The ready values files: each installs as it stands, and its header says what is so."""

import math
from pathlib import Path

import pytest

from scripts.kubernetes_schemas import problems
from scripts.node_pools import instance_types
from scripts.paths import CHARTS, VALUES
from scripts.render import Render, chart_of, release_name, render, sure_seconds
from tests.render.chart import containers, engine, flag, pod, pod_specs, workload
from tests.render.values_files import FILES, LOCAL, header, values

each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
rented = pytest.mark.parametrize("path", [path for path in FILES if path.stem != LOCAL], ids=lambda path: path.stem)


def installed(path: Path, **options: str) -> Render:
    """The file as a user installs it: no other values."""
    return render("vllm-model", [path], release=release_name(path), namespace="llm", **options)


def test_there_are_files() -> None:
    assert len(FILES) >= 15


@each
def test_file_renders_what_kubernetes_accepts(path: Path) -> None:
    assert [text for body in installed(path).objects for text in problems(body)] == []


@each
def test_file_renders_the_same_with_helm_3(path: Path) -> None:
    assert installed(path, helm="helm3").objects == installed(path).objects


@each
def test_file_is_for_this_chart(path: Path) -> None:
    assert chart_of(path) == "vllm-model"


@each
def test_editors_find_the_schema(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    reference = first.removeprefix("# yaml-language-server: $schema=")
    assert reference != first
    assert (path.parent / reference).resolve().is_file()


@each
def test_header_has_every_row(path: Path) -> None:
    assert header(path).rows.keys() == {"GPU", "Instances", "Weights", "Start", "KV cache", "Concurrency"}


@each
def test_lines_fit_a_screen(path: Path) -> None:
    assert max(len(line) for line in path.read_text().splitlines()) <= 120


@each
def test_header_counts_the_gpus_that_are_asked_for(path: Path) -> None:
    assert engine(installed(path))["resources"]["limits"] == {
        "nvidia.com/gpu": str(int(header(path).number("GPU", r"^(\d+) (?:x|simulated)")))
    }


@each
def test_header_states_the_size_that_the_budget_is_made_from(path: Path) -> None:
    assert header(path).number("Weights", r"^([\d.]+) GiB") == values(path)["weights"]["sizeGiB"]


@each
def test_header_states_the_startup_budget(path: Path) -> None:
    stated = header(path).number("Start", r"within ([\d,]+) s")
    sure = sure_seconds(engine(installed(path)))
    assert stated <= sure < stated + 10, f"the chart allows {sure} s: the header is to say what it computes"


@rented
def test_cache_in_the_header_adds_up(path: Path) -> None:
    """Memory x utilisation - weights - the rest = the cache, to the tenth below."""
    told = header(path)
    memory = told.number("KV cache", r"^([\d.]+) GiB x")
    share = told.number("KV cache", r"GiB x ([\d.]+) -")
    weights = told.number("KV cache", r"- ([\d.]+) weights")
    rest = told.number("KV cache", r"weights - ([\d.]+) activations")
    cache = told.number("KV cache", r"about ([\d.]+) GiB on each GPU")
    assert math.floor((memory * share - weights - rest) * 10 + 1e-6) / 10 == cache
    assert memory == values(path)["gpu"]["memoryGiB"]
    assert share == float(flag(installed(path), "gpu-memory-utilization") or 0)
    assert weights >= values(path)["weights"]["sizeGiB"] / gpus(path) - 0.01


def gpus(path: Path) -> int:
    split = values(path).get("parallelism", {})
    return int(split.get("tensor", 1) * split.get("pipeline", 1) * split.get("data", 1))


@rented
def test_concurrency_in_the_header_follows_from_the_cache(path: Path) -> None:
    told = header(path)
    cache = told.number("KV cache", r"about ([\d.]+) GiB on each GPU") * 2**30
    token = told.number("KV cache", r"at ([\d,]+) bytes a token")
    request = (
        told.number("KV cache", r"and (\d+) MiB a request") * 2**20 if "MiB a request" in told.rows["KV cache"] else 0
    )
    context = int(flag(installed(path), "max-model-len") or 0)
    most = int(flag(installed(path), "max-num-seqs") or 0)
    assert told.number("KV cache", r": ([\d,]+) tokens") == cache // token // 100 * 100
    assert told.number("Concurrency", r"of ([\d,]+) tokens") == context
    whole = cache / (token * context + request)
    assert told.number("Concurrency", r"^([\d.]+) requests") == pytest.approx(whole, abs=0.06)
    assert told.number("Concurrency", r"or (\d+) of 1,500") == min(most, cache // (token * 1500 + request))
    assert whole >= 2, "a model that serves one request at a time is not ready for use"


@rented
def test_machines_of_the_header_carry_the_gpu(path: Path) -> None:
    machines = instance_types()
    products = values(path)["gpu"]["nodeLabels"]["nvidia.com/gpu.product"]
    assert header(path).instances
    for name in header(path).instances:
        assert machines[name].product in products, name
        assert machines[name].gpus * values(path).get("parallelism", {}).get("nodes", 1) >= gpus(path), name


def millicores(quantity: str) -> float:
    return float(quantity.removesuffix("m")) if quantity.endswith("m") else float(quantity) * 1000


def mebibytes(quantity: str) -> float:
    units = {"Mi": 1, "Gi": 1024}
    return float(quantity[:-2]) * units[quantity[-2:]]


DAEMONS_MILLICORES, DAEMONS_MIB = 500, 1024
"""What a GPU node's DaemonSets request: network, proxy, storage, metrics, GPU operator."""


@rented
def test_pod_fits_the_smallest_machine_beside_its_daemons(path: Path) -> None:
    """A g5.xlarge has 4 vCPU and 16 GiB, less what the system keeps: 4 CPU or 16 GiB would never schedule."""
    machines = instance_types()
    for name in header(path).instances:
        left = machines[name].allocatable
        for body in installed(path).objects:
            for place, spec in pod_specs(body):
                requests = [part.get("resources", {}).get("requests", {}) for part in spec["containers"]]
                cpu = sum(millicores(entry.get("cpu", "0")) for entry in requests)
                memory = sum(mebibytes(entry.get("memory", "0Mi")) for entry in requests)
                assert cpu + DAEMONS_MILLICORES <= left.cpu_millicores, f"{name}: {body['kind']} {place}"
                assert memory + DAEMONS_MIB <= left.memory_mib, f"{name}: {body['kind']} {place}"


@rented
def test_downloads_into_the_pod_ask_for_the_room(path: Path) -> None:
    """The root disk of many node pools has 20 GB: without a request the pod lands there and is evicted half-way."""
    made = installed(path)
    cache = next(volume for volume in pod(made)["volumes"] if volume["name"] == "cache")
    requests = engine(made)["resources"]["requests"]
    if "emptyDir" not in cache:
        assert "ephemeral-storage" not in requests
        return
    assert mebibytes(requests["ephemeral-storage"]) >= values(path)["weights"]["sizeGiB"] * 1024 + 10 * 1024


@each
def test_gpus_that_know_no_bfloat16_get_half(path: Path) -> None:
    products = values(path).get("gpu", {}).get("nodeLabels", {}).get("nvidia.com/gpu.product", [])
    old = any("T4" in product or "V100" in product for product in products)
    assert (flag(installed(path), "dtype") == "half") is old


GATED = ("meta-llama/", "mistralai/Mistral-7B")


@each
def test_gated_models_ask_for_their_token(path: Path) -> None:
    made = installed(path)
    named = values(path)["model"]["id"].startswith(GATED)
    assert any(entry["name"] == "HF_TOKEN" for entry in engine(made)["env"]) is named
    assert ("kubectl create secret generic hf-token" in path.read_text()) is named


@each
def test_tools_and_thoughts_have_their_parsers(path: Path) -> None:
    made = installed(path)
    assert (flag(made, "tool-call-parser") is None) is (flag(made, "enable-auto-tool-choice") is None)
    if values(path)["model"]["id"].startswith(("Qwen/Qwen3-14B", "Qwen/Qwen3-32B", "deepseek-ai/")):
        assert flag(made, "reasoning-parser")


@each
def test_one_replica_can_be_replaced(path: Path) -> None:
    """A claim that one node mounts: the old pod must go before the new one starts."""
    made = installed(path)
    modes = [claim["spec"]["accessModes"] for claim in made.all("PersistentVolumeClaim")]
    if ["ReadWriteOnce"] in modes:
        assert workload(made)["spec"]["strategy"] == {"type": "Recreate"}


@each
def test_no_image_without_a_version(path: Path) -> None:
    for body in installed(path).objects:
        for _, spec in pod_specs(body):
            for part in containers(spec):
                assert ":" in part["image"].rpartition("/")[2]
                assert not part["image"].endswith(":latest")


def test_chart_testing_installs_the_values_of_the_demo() -> None:
    """``ct install`` takes files of the chart's own folder only."""
    ours = CHARTS / "vllm-model" / "ci" / "tiny-values.yaml"
    assert values(ours) == values(VALUES / "models" / f"{LOCAL}.yaml")
