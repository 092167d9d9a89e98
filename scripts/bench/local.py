"""What scenarios need of the local cluster: images, models, load from its node, signals to its processes."""

import json
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from scripts import tools
from scripts.bench import double
from scripts.bench.traffic import LOAD, Traffic
from scripts.cluster import Cluster, Image, images, processes
from scripts.cluster.images import engine_reference
from scripts.console import UserError
from scripts.paths import CHARTS

CHART = CHARTS / "vllm-model"

DOUBLE: dict[str, Any] = {
    "model": {"id": "tiny"},
    "weights": {"source": "engineImage", "sizeGiB": 0.01, "engineImage": {"path": "/models/tiny"}},
    "engine": {
        "image": {"repository": double.REFERENCE.rpartition(":")[0], "tag": double.REFERENCE.rpartition(":")[2]},
        "flags": {"maxModelLen": 8192},
        "env": {"DOUBLE_TOKENS_PER_SECOND": "10"},
    },
    "gpu": {"count": 0},
    "resources": {"requests": {"cpu": "100m", "memory": "16Mi"}},
    "sharedMemory": {"enabled": False},
    "probes": {"startup": {"initialDelaySeconds": 0, "periodSeconds": 1}, "readiness": {"periodSeconds": 1}},
    "networkPolicy": {"enabled": False},
}
"""Values of a model on the engine's double. It asks for no GPU, so the node holds as many as a scenario wants."""

DOUBLE_WITH_PYTHON: dict[str, Any] = {
    "engine": {
        "image": {
            "repository": f"{double.REFERENCE.rpartition(':')[0]}-python",
            "tag": double.REFERENCE.rpartition(":")[2],
        }
    }
}
"""On top of that: an image with Python, which a hook of a group's workers runs."""

REAL: dict[str, Any] = yaml.safe_load((CHARTS.parent / "values" / "models" / "tiny-cpu.yaml").read_text())
"""Values of the tiny model on the real engine."""


def overlay(base: Mapping[str, Any], *others: Mapping[str, Any]) -> dict[str, Any]:
    """Values over values, as Helm merges files."""
    merged = deepcopy(dict(base))
    for other in others:
        for key, value in other.items():
            below = merged.get(key)
            merged[key] = overlay(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return merged


def ensure_double(cluster: Cluster) -> str:
    """Hands the double's image to the node, and gives the image to name."""
    if not cluster.has_image(double.REFERENCE):
        program = tools.ensure("engine-double")
        cluster.import_image(
            Image(double.REFERENCE, ("vllm", "serve"), {"/usr/bin/vllm": program}, environment={"PATH": "/usr/bin"})
        )
    return double.REFERENCE


def ensure_double_with_python(cluster: Cluster) -> None:
    """Hands the node the double in an image that has Python, as the engine's has."""
    repository, tag = DOUBLE_WITH_PYTHON["engine"]["image"].values()
    if not cluster.has_image(f"{repository}:{tag}"):
        base = images.python()
        files = {**base.files, "/usr/bin/vllm": tools.ensure("engine-double")}
        image = replace(base, reference=f"{repository}:{tag}", entrypoint=("vllm", "serve"), files=files)
        cluster.import_image(image)


def ensure_engine(cluster: Cluster, engine: str) -> dict[str, Any]:
    """Makes the ``double`` or the ``real`` engine available, and gives the values of a model on it."""
    if engine == "double":
        ensure_double(cluster)
        return DOUBLE
    cluster.ensure_engine()
    repository, _, tag = engine_reference().rpartition(":")
    return overlay(REAL, {"engine": {"image": {"repository": repository, "tag": tag}}})


def helm(
    cluster: Cluster,
    action: str,
    release: str,
    namespace: str,
    values: Mapping[str, Any],
    *arguments: str,
    chart: Path = CHART,
    version: int = 4,
) -> str:
    """Installs or upgrades a release with values that are given here, not in a file."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(dict(values), file)
        file.flush()
        words: list[str | Path] = [action, release, chart, "--namespace", namespace, "--values", file.name, *arguments]
        return cluster.helm(*words, version=version)


def service_url(cluster: Cluster, service: str, namespace: str, port: int = 8000) -> str:
    """Base URL of a Service by its cluster address: what its name resolves to for as long as it exists."""
    address = cluster.get("service", service, "--namespace", namespace)["spec"]["clusterIP"]
    return f"http://{address}:{port}"


def traffic(cluster: Cluster, url: str, model: str, **options: Any) -> Traffic:
    """Load from the node of the cluster, where Service addresses work. It does not pass through the API server."""
    settings = cluster.settings
    script = settings.state / "load.py"
    shutil.copy(LOAD, script)

    def around(command: Sequence[str]) -> Sequence[str]:
        pid = processes.find_machine(settings)
        if pid is None:
            raise UserError(f"the cluster {settings.name} does not run")
        return processes.entering(pid, ["/usr/bin/env", *command])

    return Traffic(url, model, around=around, script=settings.inside(script), python="python3", **options)


def engine_pids(cluster: Cluster, pod: str, namespace: str) -> list[int]:
    """Processes of a pod's engine container in the node's numbering: the API server first, then what it started."""
    status = cluster.get("pod", pod, "--namespace", namespace)["status"]
    container = status["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    lines = cluster.inside("ctr", "--namespace", "k8s.io", "tasks", "ps", container).splitlines()[1:]
    return [int(line.split()[0]) for line in lines if line.strip()]


def send_signal(cluster: Cluster, pid: int, number: signal.Signals) -> float:
    """Sends a signal from the node: a container's first process cannot be killed or stopped from inside it.

    Returns:
        the time just before, Unix seconds.
    """
    moment = time.time()
    cluster.inside("kill", f"-{number.value}", str(pid))
    return moment


def metrics(cluster: Cluster, pod: str, namespace: str, port: int = 8000) -> str:
    """What a pod's engine says on /metrics, asked from the node."""
    address = cluster.get("pod", pod, "--namespace", namespace)["status"]["podIP"]
    code = f"import urllib.request as u; print(u.urlopen('http://{address}:{port}/metrics', timeout=5).read().decode())"
    return cluster.inside("python3", "-I", "-c", code)


def requests_in(cluster: Cluster, pod: str, namespace: str) -> int:
    """Requests that run or wait in a pod's engine, by its own metrics."""
    text = metrics(cluster, pod, namespace)
    found = re.findall(r"^vllm:num_requests_(?:running|waiting)\{.*\} (\S+)", text, re.MULTILINE)
    return int(sum(map(float, found)))


def as_json(body: Mapping[str, Any]) -> str:
    """An object for kubectl's standard input."""
    return json.dumps(body)
