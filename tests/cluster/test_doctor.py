"""The doctor on a real API server: what it says of the cluster, and of a model with and without a node to run on."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.cluster import Cluster
from scripts.cluster.kwok import TOLERATION, KwokPools
from scripts.paths import VALUES, VENV

BUDGET_SECONDS = 40

L4 = VALUES / "models" / "llama-3.1-8b-instruct-l4.yaml"
POOL = "doctor-l4"


@pytest.fixture(scope="module")
def pool(cluster: Cluster) -> Iterator[Cluster]:
    """One simulated L4 node."""
    pools = KwokPools(cluster)
    pools.add("g6.2xlarge", pool=POOL)
    yield cluster
    pools.remove(POOL)


def doctor(cluster: Cluster, namespace: str, *values: Path) -> tuple[int, dict[str, list[str]]]:
    """Exit status of the command, and what it says by topic as ``level: text``."""
    files = [word for path in values for word in ("--values", str(path))]
    command = [str(VENV / "bin" / "vllm-charts"), "doctor", "--json", "--namespace", namespace, *files]
    environment = os.environ | {"KUBECONFIG": str(cluster.kubeconfig)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    said: dict[str, list[str]] = {}
    for finding in json.loads(done.stdout):
        said.setdefault(finding["topic"], []).append(f"{finding['level']}: {finding['text']}")
    return done.returncode, said


@pytest.fixture
def simulated(tmp_path: Path) -> Path:
    """Values that let the model onto simulated nodes."""
    path = tmp_path / "simulated.yaml"
    path.write_text(json.dumps({"scheduling": {"tolerations": [TOLERATION]}}), encoding="utf-8")
    return path


def test_it_sees_version_rights_gpus_and_storage(pool: Cluster, namespace: str) -> None:
    _, said = doctor(pool, namespace)
    assert said["Kubernetes"] == ["ok: v1.35.4"]
    assert said["rights"] == [f"ok: you may install into {namespace}"]
    assert "ok: NVIDIA-L4: 1 x nvidia.com/gpu, 1 free" in said["GPUs"]
    assert any(text.startswith("ok: default StorageClass") for text in said["storage"])


def test_a_model_whose_node_and_secret_are_there_passes(pool: Cluster, namespace: str, simulated: Path) -> None:
    pool.kubectl("create", "secret", "generic", "hf-token", "--from-literal=token=hf_x", "--namespace", namespace)
    status, said = doctor(pool, namespace, L4, simulated)
    assert said["placement"] == ["ok: 1 replicas fit on the nodes that are there, 1 wanted"]
    assert said["secrets"] == ["ok: hf-token has token"]
    assert status == 0


def test_a_model_without_its_secret_or_its_node_fails(pool: Cluster, namespace: str) -> None:
    status, said = doctor(pool, namespace, L4)
    assert status == 1
    assert said["secrets"] == [f"problem: Secret hf-token is not in {namespace}"]
    assert said["placement"][0].startswith("problem: no node that is there takes this model")
