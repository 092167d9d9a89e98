"""The gcloud and az scripts: run with stand-ins for the clients, and what they would call held against the table."""

import os
import subprocess
from pathlib import Path

import pytest

from scripts.node_pools import instance_types
from tests.infra.pools import INFRA, pool, pools_of

SCRIPTS = {"gke": INFRA / "gke" / "node-pools.sh", "aks": INFRA / "aks" / "node-pools.sh"}
CLIENTS = {"gke": "gcloud", "aks": "az"}


def run(cloud: str, *pools: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs a script with a client on PATH that writes down its arguments, one a line, and does nothing."""
    client = folder / CLIENTS[cloud]
    client.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@" >>"$CALLS"\n', encoding="utf-8")
    client.chmod(0o755)
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "CALLS": str(folder / "calls"),
        "CLUSTER": "llm",
        "RESOURCE_GROUP": "llm",
        **settings,
    }
    return subprocess.run([SCRIPTS[cloud], *pools], env=environment, capture_output=True, text=True, check=False)


def arguments(folder: Path) -> list[str]:
    return (folder / "calls").read_text(encoding="utf-8").splitlines()


def after(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


@pytest.mark.parametrize("name", pools_of("gke"))
def test_gke_pools_are_those_of_the_table(name: str, tmp_path: Path) -> None:
    assert run("gke", name, folder=tmp_path).returncode == 0
    words, wanted = arguments(tmp_path), pool(name, "gke")
    instance = instance_types()[wanted.types[0]]
    assert after(words, "--machine-type") == instance.name
    assert f"type={instance.gke_accelerator},count={instance.gpus}," in after(words, "--accelerator")
    assert dict(pair.split("=") for pair in after(words, "--node-labels").split(",")) == wanted.labels
    assert ("--spot" in words) is wanted.spot
    # The taint of the GPU is GKE's own doing.
    assert (after(words, "--node-taints").split(",") if wanted.spot else []) == wanted.taints[1:]
    assert after(words, "--total-max-nodes") == str(wanted.most)
    assert after(words, "--total-min-nodes") == after(words, "--num-nodes") == "0"


@pytest.mark.parametrize("name", pools_of("aks"))
def test_aks_pools_are_those_of_the_table(name: str, tmp_path: Path) -> None:
    assert run("aks", name, folder=tmp_path).returncode == 0
    words, wanted = arguments(tmp_path), pool(name, "aks")
    start = words.index("--labels") + 1
    labels = dict(pair.split("=") for pair in words[start : start + len(wanted.labels)])
    assert after(words, "--node-vm-size") == wanted.types[0]
    assert labels == wanted.labels
    assert after(words, "--node-taints").split(",") == wanted.taints
    assert after(words, "--max-count") == str(wanted.most)


def test_names_of_aks_pools_stay_apart_when_they_are_cut(tmp_path: Path) -> None:
    assert run("aks", *pools_of("aks"), folder=tmp_path).returncode == 0
    words = arguments(tmp_path)
    names = [words[index + 1] for index, word in enumerate(words) if word == "--name"]
    assert len(set(names)) == len(pools_of("aks"))
    assert all(name.isalnum() and len(name) <= 12 for name in names)


@pytest.mark.parametrize("cloud", SCRIPTS)
def test_an_unknown_pool_is_refused_before_anything_is_made(cloud: str, tmp_path: Path) -> None:
    done = run(cloud, pools_of(cloud)[0], "gpu-l5", folder=tmp_path)
    assert done.returncode != 0
    assert "no pool named gpu-l5" in done.stderr
    assert not (tmp_path / "calls").exists()


@pytest.mark.parametrize("cloud", SCRIPTS)
def test_a_dry_run_prints_and_calls_nothing(cloud: str, tmp_path: Path) -> None:
    done = run(cloud, pools_of(cloud)[0], folder=tmp_path, DRY_RUN="1")
    assert done.returncode == 0
    assert done.stdout.startswith(CLIENTS[cloud])
    assert not (tmp_path / "calls").exists()


@pytest.mark.parametrize("cloud", SCRIPTS)
def test_no_pool_at_all_is_an_error_with_an_example(cloud: str, tmp_path: Path) -> None:
    done = run(cloud, folder=tmp_path)
    assert done.returncode == 2
    assert "For example" in done.stderr
