"""A monitoring stack on the local cluster: Prometheus Operator, Prometheus, kube-state-metrics.

There is no GPU: what a DCGM exporter would say comes from a file.
"""

from pathlib import Path
from typing import Any

import yaml

from scripts import tools
from scripts.bench.operators import PROMETHEUS_IMAGE, ensure_image, rolled_out
from scripts.cluster import Cluster, wait_until
from scripts.cluster.images import PYTHON_IMAGE
from scripts.kubernetes_modules import crd_files, module_dir
from tests.monitoring.queries import known

MANIFEST = Path(__file__).with_name("manifests") / "monitoring.yaml"
NAMESPACED = {"ServiceAccount", "Deployment", "Service", "ConfigMap", "PodMonitor", "Prometheus"}


def operator_objects(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    """The operator's own manifests, in a namespace of the test and with images that the node has."""
    reloader = ensure_image(
        cluster, "localhost/prometheus-config-reloader", "prometheus-config-reloader", "/prometheus-config-reloader"
    )
    files = sorted((module_dir("prometheus-operator") / "example/rbac/prometheus-operator").glob("*.yaml"))
    objects = [yaml.load(file.read_text(), yaml.CSafeLoader) for file in files if "service-monitor" not in file.name]
    placed(objects, namespace)
    for each in objects:
        if each["kind"] == "Deployment":
            (container,) = each["spec"]["template"]["spec"]["containers"]
            container["image"] = ensure_image(
                cluster, "localhost/prometheus-operator", "prometheus-operator", "/operator"
            )
            container["args"] = [
                f"--prometheus-config-reloader={reloader}",
                f"--prometheus-instance-namespaces={namespace}",
            ]
            container["resources"] = {"requests": {"cpu": "10m", "memory": "50Mi"}}
    return objects


def placed(objects: list[dict[str, Any]], namespace: str) -> list[dict[str, Any]]:
    """Objects in a namespace, and bindings to service accounts there."""
    for each in objects:
        if each["kind"] in NAMESPACED:
            each["metadata"]["namespace"] = namespace
        for subject in each.get("subjects", []):
            subject["namespace"] = namespace
    return objects


def stack_objects(cluster: Cluster, namespace: str, gpu_of: str) -> list[dict[str, Any]]:
    """Prometheus and exporters.

    Args:
        gpu_of: labels of the GPU's holder in the exporter's series (``namespace="a",pod="b"``).
    """
    _, minor, patch = tools.TOOLS["prometheus"].version.split(".")  # v0.308.1 is Prometheus 3.8.1
    dcgm = [f'{name}{{{gpu_of},Hostname="node",gpu="0"}} 1' for name in sorted(known()) if name.startswith("DCGM_")]
    filled = {
        "NAMESPACE": namespace,
        "PROMETHEUS_IMAGE": ensure_image(cluster, PROMETHEUS_IMAGE, "prometheus", "/prometheus"),
        "PROMETHEUS_VERSION": f"{int(minor) // 100}.{int(minor) % 100}.{patch}",
        "STATE_IMAGE": ensure_image(
            cluster, "localhost/kube-state-metrics", "kube-state-metrics", "/kube-state-metrics"
        ),
        "PYTHON_IMAGE": PYTHON_IMAGE,
        "DCGM_SERIES": "\n    ".join(dcgm),
    }
    text = MANIFEST.read_text()
    for name, value in filled.items():
        text = text.replace(name, value)
    return placed(list(yaml.load_all(text, yaml.CSafeLoader)), namespace)


def define(cluster: Cluster) -> None:
    """Makes the operator's kinds known."""
    files = crd_files("prometheus-operator")
    cluster.kubectl("apply", "--server-side", "--force-conflicts", f"--filename={files[0].parent}")
    names = [file.stem.partition("_")[2] + ".monitoring.coreos.com" for file in files]
    cluster.wait("--for=condition=Established", *(f"crd/{name}" for name in names))


def install(cluster: Cluster, namespace: str, gpu_of: str) -> None:
    """Installs the stack and waits until Prometheus is up."""
    cluster.apply(operator_objects(cluster, namespace))
    cluster.apply(stack_objects(cluster, namespace, gpu_of))
    rolled_out(cluster, namespace, "prometheus-operator", "kube-state-metrics", "dcgm")
    words = ("get", "statefulset", "prometheus-all", "--namespace", namespace, "--ignore-not-found", "--output=name")
    wait_until("the operator has made its Prometheus", lambda: cluster.kubectl(*words), seconds=90, pause=0.5)
    status = ("rollout", "status", "statefulset/prometheus-all", "--namespace", namespace, "--timeout=180s")
    cluster.kubectl(*status, seconds=190)


def remove(cluster: Cluster) -> None:
    """Removes what is not in the namespace and is no definition: those may be somebody else's."""
    kinds = "clusterrole,clusterrolebinding"
    cluster.kubectl("delete", kinds, "monitoring-prometheus", "monitoring-kube-state-metrics", "--ignore-not-found")
    cluster.kubectl("delete", kinds, "prometheus-operator", "--ignore-not-found")
