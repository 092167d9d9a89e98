"""The operators that scenarios run with: KEDA and Prometheus, built from their Go modules and run as pods.

KEDA's manifests are its own (``config/default`` of its module), with the images that were built here.
"""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from scripts import tools
from scripts.cluster import Cluster, Image, wait_until
from scripts.kubernetes_modules import module_dir

MANIFESTS = Path(__file__).with_name("manifests")

KEDA_IMAGES = {
    "ghcr.io/kedacore/keda": ("keda-operator", "/keda"),
    "ghcr.io/kedacore/keda-metrics-apiserver": ("keda-adapter", "/keda-adapter"),
    "ghcr.io/kedacore/keda-admission-webhooks": ("keda-webhooks", "/keda-admission-webhooks"),
}
"""Repositories of KEDA's images, the tool that makes the program, and where the image has it."""

MONITORING = "monitoring"
PROMETHEUS = "http://prometheus.monitoring.svc:9090"
PROMETHEUS_IMAGE = "localhost/prometheus"


def ensure_image(cluster: Cluster, repository: str, tool: str, path: str, *arguments: str) -> str:
    """Hands an image with one program to the node, and gives the image to name."""
    version = tools.TOOLS[tool].version
    reference = f"{repository}:{version}"
    if not cluster.has_image(reference):
        program = tools.ensure(tool)
        cluster.import_image(Image(reference, (path, *arguments), {path: program}, user="65532:65532"))
    return reference


def apply_crds_first(cluster: Cluster, objects: list[dict[str, Any]]) -> None:
    """Applies definitions and namespaces, waits until they are known, then applies the rest."""
    first = [each for each in objects if each["kind"] in {"CustomResourceDefinition", "Namespace"}]
    cluster.apply(first)
    names = [each["metadata"]["name"] for each in first if each["kind"] == "CustomResourceDefinition"]
    cluster.wait("--for=condition=Established", *(f"crd/{name}" for name in names), seconds=60)
    cluster.apply([each for each in objects if each not in first])


def keda_objects(cluster: Cluster) -> list[dict[str, Any]]:
    """KEDA's own manifests with the images that the node has, and probes for a busy machine."""
    text = cluster.kubectl("kustomize", module_dir("keda") / "config" / "default")
    objects = [each for each in yaml.load_all(text, yaml.CSafeLoader) if each]
    for deployment in (each for each in objects if each["kind"] == "Deployment"):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        repository = container["image"].rpartition(":")[0]
        container["image"] = ensure_image(cluster, repository, *KEDA_IMAGES[repository])
        container["imagePullPolicy"] = "IfNotPresent"
        container["readinessProbe"] |= {"initialDelaySeconds": 1, "periodSeconds": 1}
        container["livenessProbe"] |= {"failureThreshold": 30}
        container["resources"] = {"requests": {"cpu": "10m", "memory": "50Mi"}}
    return objects


def install_keda(cluster: Cluster, seconds: float = 180) -> None:
    """Installs KEDA if it is not there, and waits until it serves metrics and admits objects."""
    if "keda-admission" not in cluster.kubectl("get", "deployment", "-n", "keda", "--ignore-not-found"):
        apply_crds_first(cluster, keda_objects(cluster))
    for name in ("keda-operator", "keda-metrics-apiserver", "keda-admission"):
        cluster.kubectl(
            *("rollout", "status", f"deployment/{name}", "-n", "keda", f"--timeout={seconds:g}s"), seconds=seconds + 10
        )
    cluster.wait("--for=condition=Available", "apiservice/v1beta1.external.metrics.k8s.io", seconds=seconds)


def prometheus_objects(cluster: Cluster, interval: str) -> list[dict[str, Any]]:
    """A Prometheus that finds pods by itself."""
    image = ensure_image(cluster, PROMETHEUS_IMAGE, "prometheus", "/prometheus")
    text = (MANIFESTS / "prometheus.yaml").read_text().replace("IMAGE", image).replace("INTERVAL", interval)
    return list(yaml.load_all(text, yaml.CSafeLoader))


def install_prometheus(cluster: Cluster, interval: str = "5s", seconds: float = 120) -> str:
    """Installs Prometheus and waits until it is ready.

    Returns:
        its URL inside the cluster.
    """
    cluster.apply(prometheus_objects(cluster, interval))
    cluster.kubectl(
        *("rollout", "status", "deployment/prometheus", "-n", MONITORING, f"--timeout={seconds:g}s"),
        seconds=seconds + 10,
    )
    return PROMETHEUS


def query(cluster: Cluster, expression: str) -> list[dict[str, Any]]:
    """The result of a query, asked through the API server."""
    path = f"/api/v1/namespaces/{MONITORING}/services/prometheus:9090/proxy/api/v1/query?query={quote(expression)}"
    answer = yaml.load(cluster.kubectl("get", f"--raw={path}"), yaml.CSafeLoader)
    return list(answer["data"]["result"])


def wait_for_series(cluster: Cluster, expression: str, seconds: float = 60) -> list[dict[str, Any]]:
    """Waits until a query has a result."""
    return wait_until(f"Prometheus knows {expression}", lambda: query(cluster, expression), seconds=seconds, pause=0.5)
