"""The operators that scenarios run with, built from their Go modules and run as pods.

KEDA, LeaderWorkerSet and Argo Rollouts come with their own manifests, out of their own modules; the others' are in
manifests/.
"""

import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zlib import crc32

import yaml

from scripts import tools
from scripts.cluster import Cluster, CommandError, Image, wait_until
from scripts.kubernetes_modules import crd_files, module_dir

MANIFESTS = Path(__file__).with_name("manifests")

KEDA_IMAGES = {
    "ghcr.io/kedacore/keda": ("keda-operator", "/keda"),
    "ghcr.io/kedacore/keda-metrics-apiserver": ("keda-adapter", "/keda-adapter"),
    "ghcr.io/kedacore/keda-admission-webhooks": ("keda-webhooks", "/keda-admission-webhooks"),
}
"""Repositories of KEDA's images, the tool that makes the program, and where the image has it."""

LWS_IMAGES = {"us-central1-docker.pkg.dev/k8s-staging-images/lws/lws": ("lws", "/manager")}
ROLLOUTS_IMAGES = {"quay.io/argoproj/argo-rollouts": ("argo-rollouts", "/bin/rollouts-controller")}
ROLLOUTS_ARGUMENTS = ["--traefik-api-group=traefik.io", "--traefik-api-version=traefik.io/v1alpha1"]
"""Without them Argo Rollouts looks for Traefik 2's group."""

MONITORING = "monitoring"
PROMETHEUS = "http://prometheus.monitoring.svc:9090"
PROMETHEUS_IMAGE = "localhost/prometheus"
TIME_ZONES = Path(str(resources.files("tzdata") / "zoneinfo"))


def ensure_image(cluster: Cluster, repository: str, tool: str, path: str, *arguments: str) -> str:
    """Hands an image with one program, and the time zones that cron triggers name, to the node; gives its name."""
    version = tools.TOOLS[tool].version
    reference = f"{repository}:{version}"
    if not cluster.has_image(reference):
        files = {path: tools.ensure(tool), "/usr/share/zoneinfo": TIME_ZONES}
        cluster.import_image(Image(reference, (path, *arguments), files, user="65532:65532"))
    return reference


def apply_crds_first(cluster: Cluster, objects: list[dict[str, Any]]) -> None:
    """Applies definitions and namespaces, waits until they are known, then applies the rest."""
    first = [each for each in objects if each["kind"] in {"CustomResourceDefinition", "Namespace"}]
    cluster.apply(first)
    names = [each["metadata"]["name"] for each in first if each["kind"] == "CustomResourceDefinition"]
    words = ("wait", "--for=condition=Established", "--timeout=10s", *(f"crd/{name}" for name in names))

    def established() -> bool:
        # A definition of a moment ago has no conditions at all, at which kubectl wait gives up instead of waiting.
        return cluster.kubectl(*words, check=False).count("condition met") == len(names)

    wait_until("the definitions are established", established, seconds=60)
    if rest := [each for each in objects if each not in first]:
        cluster.apply(rest)


def own_objects(
    cluster: Cluster, module: str, folder: str, images: Mapping[str, tuple[str, str]]
) -> list[dict[str, Any]]:
    """An operator's own manifests with the images that the node has, one replica, and probes for a busy machine.

    Args:
        module: the Go module that has the manifests, by its name in scripts/kubernetes_modules.py.
        folder: a folder of the module that ``kubectl kustomize`` takes.
        images: repository of an image, the tool that makes its program, and where the image has it.
    """
    text = cluster.kubectl("kustomize", module_dir(module) / folder)
    objects = [each for each in yaml.load_all(text, yaml.CSafeLoader) if each]
    for deployment in (each for each in objects if each["kind"] == "Deployment"):
        deployment["spec"]["replicas"] = 1
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        repository = container["image"].rpartition(":")[0]
        container["image"] = ensure_image(cluster, repository, *images[repository])
        container["imagePullPolicy"] = "IfNotPresent"
        container["readinessProbe"] |= {"initialDelaySeconds": 1, "periodSeconds": 1}
        container["livenessProbe"] |= {"failureThreshold": 30}
        container["resources"] = {"requests": {"cpu": "10m", "memory": "50Mi"}}
    return objects


def rolled_out(cluster: Cluster, namespace: str, *deployments: str, seconds: float = 180) -> None:
    """Waits until Deployments are up."""
    for name in deployments:
        words = ("rollout", "status", f"deployment/{name}", "--namespace", namespace, f"--timeout={seconds:g}s")
        cluster.kubectl(*words, seconds=seconds + 10)


def is_there(cluster: Cluster, namespace: str, deployment: str) -> bool:
    """Whether an operator has been installed before."""
    return deployment in cluster.kubectl("get", "deployment", "--namespace", namespace, "--ignore-not-found")


def install_keda(cluster: Cluster) -> None:
    """Installs KEDA if it is not there, and waits until it serves metrics and admits objects."""
    if not is_there(cluster, "keda", "keda-admission"):
        apply_crds_first(cluster, own_objects(cluster, "keda", "config/default", KEDA_IMAGES))
    rolled_out(cluster, "keda", "keda-operator", "keda-metrics-apiserver", "keda-admission")
    cluster.wait("--for=condition=Available", "apiservice/v1beta1.external.metrics.k8s.io", seconds=120)


def install_lws(cluster: Cluster) -> None:
    """Installs the LeaderWorkerSet controller if it is not there."""
    if not is_there(cluster, "lws-system", "lws-controller-manager"):
        apply_crds_first(cluster, own_objects(cluster, "lws", "config/default", LWS_IMAGES))
    rolled_out(cluster, "lws-system", "lws-controller-manager")
    wait_until("the webhook of LeaderWorkerSet answers", lambda: admits_groups(cluster), seconds=60)


def admits_groups(cluster: Cluster) -> bool:
    """Whether the API server takes a group: the controller is ready before its webhook answers."""
    template = {"spec": {"containers": [{"name": "probe", "image": "probe"}]}}
    group = {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "probe", "namespace": "default"},
        "spec": {"leaderWorkerTemplate": {"workerTemplate": template}},
    }
    words = ("create", "--dry-run=server", "--filename=-")
    return "created" in cluster.kubectl(*words, stdin=json.dumps(group), check=False)


def install_rollouts(cluster: Cluster) -> None:
    """Installs Argo Rollouts if it is not there."""
    if not is_there(cluster, "argo-rollouts", "argo-rollouts"):
        cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argo-rollouts"}}])
        objects = own_objects(cluster, "argo-rollouts", "manifests/cluster-install", ROLLOUTS_IMAGES)
        for each in objects:
            if each["kind"] in {"ServiceAccount", "Deployment", "Service", "ConfigMap", "Secret"}:
                each["metadata"]["namespace"] = "argo-rollouts"
            if each["kind"] == "Deployment":
                each["spec"]["template"]["spec"]["containers"][0]["args"] = ROLLOUTS_ARGUMENTS
        apply_crds_first(cluster, objects)
    rolled_out(cluster, "argo-rollouts", "argo-rollouts")


def install_traefik(cluster: Cluster) -> None:
    """Installs Traefik if it is not there; its Service is traefik/traefik, and it serves every namespace's routes."""
    if not is_there(cluster, "traefik", "traefik"):
        image = ensure_image(cluster, "docker.io/library/traefik", "traefik", "/usr/local/bin/traefik")
        definitions = [yaml.load(path.read_text(), yaml.CSafeLoader) for path in crd_files("traefik")]
        text = (MANIFESTS / "traefik.yaml").read_text().replace("IMAGE", image)
        apply_crds_first(cluster, [*definitions, *yaml.load_all(text, yaml.CSafeLoader)])
    rolled_out(cluster, "traefik", "traefik")


def prometheus_objects(cluster: Cluster, interval: str, rules: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A Prometheus that finds pods by itself. Other settings are another pod: it reads them at its start."""
    image = ensure_image(cluster, PROMETHEUS_IMAGE, "prometheus", "/bin/prometheus")
    groups = json.dumps({"groups": list(rules)})
    filled = {"IMAGE": image, "INTERVAL": interval, "RULES": groups, "CHECKSUM": f"{interval}-{crc32(groups.encode())}"}
    text = (MANIFESTS / "prometheus.yaml").read_text()
    for name, value in filled.items():
        text = text.replace(name, value)
    return list(yaml.load_all(text, yaml.CSafeLoader))


def install_prometheus(cluster: Cluster, interval: str = "5s", rules: Sequence[Mapping[str, Any]] = ()) -> str:
    """Installs Prometheus and waits until it is ready.

    Args:
        interval: how often the pods that serve are scraped.
        rules: groups of rules, as a PrometheusRule has them.

    Returns:
        its URL inside the cluster.
    """
    cluster.apply(prometheus_objects(cluster, interval, rules))
    rolled_out(cluster, MONITORING, "prometheus")
    return PROMETHEUS


def install_state_metrics(cluster: Cluster) -> None:
    """Installs kube-state-metrics beside Prometheus, which must be there."""
    image = ensure_image(cluster, "localhost/kube-state-metrics", "kube-state-metrics", "/kube-state-metrics")
    text = (MANIFESTS / "state-metrics.yaml").read_text().replace("IMAGE", image)
    cluster.apply(list(yaml.load_all(text, yaml.CSafeLoader)))
    rolled_out(cluster, MONITORING, "kube-state-metrics")


def install_adapter(cluster: Cluster, rules: list[dict[str, Any]]) -> None:
    """Installs Prometheus Adapter beside that Prometheus, or gives it other rules, and waits until its API answers.

    Args:
        rules: of the custom metrics API, as ``rules.custom`` in the values of the adapter's chart.
    """
    image = ensure_image(cluster, "localhost/prometheus-adapter", "prometheus-adapter", "/adapter")
    config = {"config.yaml": yaml.safe_dump({"rules": rules})}
    metadata = {"name": "prometheus-adapter", "namespace": MONITORING}
    text = (MANIFESTS / "prometheus-adapter.yaml").read_text().replace("IMAGE", image).replace("PROMETHEUS", PROMETHEUS)
    objects = list(yaml.load_all(text, yaml.CSafeLoader))
    cluster.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": config}, *objects])
    cluster.kubectl("rollout", "restart", "deployment/prometheus-adapter", "--namespace", MONITORING)
    rolled_out(cluster, MONITORING, "prometheus-adapter")
    cluster.wait("--for=condition=Available", "apiservice/v1beta1.custom.metrics.k8s.io", seconds=120)


def query(cluster: Cluster, expression: str) -> list[dict[str, Any]]:
    """The result of a query, asked through the API server."""
    path = f"/api/v1/namespaces/{MONITORING}/services/prometheus:9090/proxy/api/v1/query?query={quote(expression)}"
    answer = yaml.load(cluster.kubectl("get", f"--raw={path}"), yaml.CSafeLoader)
    return list(answer["data"]["result"])


def wait_for_series(cluster: Cluster, expression: str, seconds: float = 60) -> list[dict[str, Any]]:
    """Waits until a query has a result; one that fails, of a Prometheus that starts anew, has none yet."""

    def answer() -> list[dict[str, Any]]:
        try:
            return query(cluster, expression)
        except CommandError:
            return []

    return wait_until(f"Prometheus knows {expression}", answer, seconds=seconds, pause=0.5)
