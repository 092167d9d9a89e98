"""Charts in the place of the umbrella's operators, as archives that ``vllm-charts deps fetch --from`` takes.

The operators' own charts are in repositories that tests do not reach. KEDA, the Prometheus Operator, Prometheus and
kube-state-metrics are real, built from their Go modules, and so are their CRDs and manifests; the charts around them
are made here and obey the values that the umbrella gives to the real ones. There is no Grafana, no Alertmanager and no
GPU: the GPU Operator and the Prometheus Adapter are stubs.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from scripts import deps, tools
from scripts.bench import operators
from scripts.cluster import Cluster
from scripts.kubernetes_modules import crd_files, module_dir
from scripts.platform_chart import write_stub

MANIFESTS = Path(__file__).with_name("manifests")
NAMESPACE = "RELEASE-NAMESPACE"
"""Stands in objects for the namespace of the release; the chart's template puts that in."""

NAMESPACED = {"ServiceAccount", "Role", "RoleBinding", "Deployment", "Service"}
OBJECTS = '{{ .Files.Get "files/objects.yaml" | replace "%s" .Release.Namespace }}\n'

KEDA_VALUES: dict[str, Any] = {
    "crds": {"install": True},
    "affinity": {},
    "prometheus": {
        part: {"enabled": False, "serviceMonitor": {"enabled": False}}
        for part in ("operator", "metricServer", "webhooks")
    },
}
STACK_VALUES: dict[str, Any] = {
    "prometheusOperator": {"affinity": {}},
    "prometheus": {
        "prometheusSpec": {
            "retention": "10d",
            "scrapeInterval": "30s",
            "evaluationInterval": "30s",
            "affinity": {},
            **{
                f"{kind}SelectorNilUsesHelmValues": True
                for kind in ("podMonitor", "serviceMonitor", "rule", "probe", "scrapeConfig")
            },
        }
    },
    "alertmanager": {"alertmanagerSpec": {}},
    "grafana": {},
    "kube-state-metrics": {"metricLabelsAllowlist": [], "affinity": {}},
}
"""Defaults of the real chart where they are not what the umbrella needs."""


def archives(cluster: Cluster, folder: Path) -> Path:
    """Writes an archive for every operator, and hands the images that they run to the node.

    Returns:
        the folder with the archives.
    """
    makers: dict[str, Callable[[Cluster, Path], None]] = {"keda": keda, "kube-prometheus-stack": stack}
    for dependency in deps.remote():
        chart = folder / "charts" / dependency.name
        write_stub(chart, dependency)
        (chart / "values.yaml").write_text("{}\n")
        if make := makers.get(dependency.name):
            (chart / "templates" / "values.yaml").unlink()
            make(cluster, chart)
        subprocess.run(
            [tools.ensure("helm"), "package", chart, "--destination", folder], check=True, capture_output=True
        )
    return folder


def keda(cluster: Cluster, chart: Path) -> None:
    """KEDA's own manifests; its CRDs are among the templates, under ``crds.install``, as in the real chart."""
    everything = operators.own_objects(cluster, "keda", "config/default", operators.KEDA_IMAGES)
    crds = [each for each in everything if each["kind"] == "CustomResourceDefinition"]
    objects = [each for each in everything if each["kind"] not in {"CustomResourceDefinition", "Namespace"}]
    for each in objects:
        in_namespace(each, "keda")
    fill(chart, objects, (MANIFESTS / "keda.yaml").read_text(), KEDA_VALUES)
    (chart / "files" / "crds.yaml").write_text(yaml.safe_dump_all(crds))


def stack(cluster: Cluster, chart: Path) -> None:
    """The Prometheus Operator by its own manifests with its CRDs, a Prometheus, and kube-state-metrics."""
    folder = module_dir("prometheus-operator") / "example/rbac/prometheus-operator"
    files = [file for file in sorted(folder.glob("*.yaml")) if "service-monitor" not in file.name]
    objects = [yaml.load(file.read_text(), yaml.CSafeLoader) for file in files]
    for each in objects:
        in_namespace(each, "default")
        if each["kind"] == "Deployment":
            operator_with_own_images(cluster, each)
    _, minor, patch = tools.TOOLS["prometheus"].version.split(".")  # v0.308.1 is Prometheus 3.8.1
    filled = {
        "PROMETHEUS_IMAGE": image(cluster, "prometheus"),
        "PROMETHEUS_VERSION": f"{int(minor) // 100}.{int(minor) % 100}.{patch}",
        "STATE_IMAGE": image(cluster, "kube-state-metrics"),
    }
    text = (MANIFESTS / "kube-prometheus-stack.yaml").read_text()
    for name, value in filled.items():
        text = text.replace(name, value)
    fill(chart, objects, text, STACK_VALUES)
    (chart / "crds").mkdir()
    for file in crd_files("prometheus-operator"):
        (chart / "crds" / file.name).write_bytes(file.read_bytes())


def image(cluster: Cluster, tool: str) -> str:
    """The image of one of the stack's programs, at the path by which the operator starts the reloader."""
    return operators.ensure_image(cluster, f"localhost/{tool}", tool, f"/bin/{tool}")


def operator_with_own_images(cluster: Cluster, deployment: dict[str, Any]) -> None:
    """Changes the operator's Deployment, so that it and what it starts run images that the node has."""
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    container["image"] = image(cluster, "prometheus-operator")
    container["args"] = [f"--prometheus-config-reloader={image(cluster, 'prometheus-config-reloader')}"]
    container["resources"] = {"requests": {"cpu": "10m", "memory": "50Mi"}}


def in_namespace(body: dict[str, Any], theirs: str) -> None:
    """Changes an object of one of the modules: out of the namespace that it was written for, into the release's."""
    if body["kind"] in NAMESPACED and body["metadata"].get("namespace", theirs) == theirs:
        body["metadata"]["namespace"] = NAMESPACE
    places = [*body.get("subjects", []), *(hook["clientConfig"]["service"] for hook in body.get("webhooks", []))]
    if body["kind"] == "APIService":
        places.append(body["spec"]["service"])
    for place in places:
        if place.get("namespace") == theirs:
            place["namespace"] = NAMESPACE


def fill(chart: Path, objects: list[dict[str, Any]], template: str, values: dict[str, Any]) -> None:
    """Writes a chart's templates: objects as they are but for the namespace, and one with the chart's own words."""
    (chart / "files").mkdir()
    (chart / "files" / "objects.yaml").write_text(yaml.safe_dump_all(objects))
    (chart / "templates" / "objects.yaml").write_text(OBJECTS % NAMESPACE)
    (chart / "templates" / "own.yaml").write_text(template)
    (chart / "values.yaml").write_text(yaml.safe_dump(values))
