"""One release of the umbrella with everything in it, on a cluster of its own that had nothing before."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest

from scripts import deps, tools
from scripts.bench import gateway, local
from scripts.cluster import Cluster, Image, wait_until
from scripts.kubernetes_modules import KUBERNETES_VERSION
from scripts.platform_chart import MODEL, UMBRELLA
from tests.cluster import collector, stand_ins

RELEASE, NAMESPACE, TENANT = "llm", "llm-platform", "team-a"
COLLECTOR = f"http://{collector.NAME}.{NAMESPACE}.svc"
METRICS = f"/api/v1/namespaces/{NAMESPACE}/pods/{{}}:8405/proxy/metrics?scope=backend"
KUBECTL, KUBECTL_TAG = "localhost/kubectl", f"v{KUBERNETES_VERSION}"
QUICK = {"endpointSeconds": 2, "drainSeconds": 10}

CHAT: dict[str, Any] = {
    "namespace": TENANT,
    "model": {"servedNames": ["acme/chat"]},
    # One request at a time and one that waits: the engine itself refuses a burst, and server errors have a series.
    "engine": {"flags": {"maxNumSeqs": 1, "maxNumQueuedReqs": 1}},
    "autoscaling": {
        "type": "keda",
        "minReplicas": 1,
        "maxReplicas": 1,
        "triggers": {"waitingRequests": {"enabled": True}},
    },
    "monitoring": {"rules": {"alerts": {"idleReplicas": {"enabled": True}}}},
    "tracing": {"endpoint": f"{COLLECTOR}:4317"},
}
"""A model of a tenant, in the tenant's namespace, under a scaler that asks the gateway and Prometheus."""

CODE: dict[str, Any] = {"model": {"servedNames": ["acme/code"]}}
"""A model in the platform's own namespace, of a fixed size."""

SLEEPY: dict[str, Any] = {
    "model": {"servedNames": ["acme/sleepy"]},
    "autoscaling": {"type": "keda", "minReplicas": 0, "maxReplicas": 2},
    "engine": {"env": {"DOUBLE_START_SECONDS": "1", "DOUBLE_TOKENS_PER_SECOND": "50"}},
}
"""A model that sleeps, on the engine's double: what is looked at is that it does."""

VALUES: dict[str, Any] = {
    "gateway": {
        "image": {"repository": gateway.REPOSITORY, "tag": gateway.TAG},
        "threads": 1,
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
        "service": {"type": "NodePort"},
        "podMonitor": {"interval": "5s"},
        "shutdown": {"endpointSeconds": 2, "drainSeconds": 20},
        "tracing": {"enabled": True, "endpoint": f"{COLLECTOR}:4318"},
    },
    "vllm-model": {
        "shutdown": QUICK,
        "monitoring": {"podMonitor": {"interval": "5s", "scrapeTimeout": "5s"}},
    },
    "tenants": {
        TENANT: {
            "models": ["chat"],
            "namespace": {"create": True},
            "quota": {"requests.nvidia.com/gpu": "16", "requests.memory": "256Gi"},
            "limits": {"requestsPerSecond": 50, "tokensPerMinute": 100000},
        },
        "team-b": {"models": ["code", "sleepy"]},
    },
    "monitoring": {
        "cost": {"pricePerGpuHour": 0.8, "budgetPerHour": 10, "namespaceBudgetsPerHour": {TENANT: 3}},
    },
    "kube-prometheus-stack": {
        "prometheus": {"prometheusSpec": {"scrapeInterval": "5s", "evaluationInterval": "5s"}},
    },
    "uninstall": {"image": {"repository": KUBECTL, "tag": KUBECTL_TAG}},
}


def ensure_images(cluster: Cluster) -> None:
    """Hands the node what the release runs beside models and operators."""
    gateway.ensure_image(cluster)
    reference = f"{KUBECTL}:{KUBECTL_TAG}"
    if not cluster.has_image(reference):
        program = tools.ensure("kubectl").resolve()
        cluster.import_image(
            Image(reference, ("kubectl",), {"/usr/bin/kubectl": program}, environment={"PATH": "/usr/bin"})
        )


def three_models(cluster: Cluster) -> dict[str, Any]:
    """The entries of ``models``: two on the real engine, and one that sleeps."""
    real, double = local.ensure_engine(cluster, "real"), local.ensure_engine(cluster, "double")
    return {
        "chat": local.overlay(real, CHAT),
        "code": local.overlay(real, CODE),
        "sleepy": local.overlay(double, SLEEPY),
    }


@dataclass
class Platform:
    """The release.

    Attributes:
        chart: a copy of the umbrella with its dependencies fetched and its crds/ filled.
        values: what it was installed with.
        keys: an API key of each tenant.
    """

    cluster: Cluster
    chart: Path
    values: dict[str, Any]
    keys: dict[str, str] = field(default_factory=dict)

    def helm(self, action: str, *arguments: str, values: Mapping[str, Any] | None = None, version: int = 4) -> str:
        """Installs or upgrades the release."""
        given = self.values if values is None else values
        return local.helm(
            self.cluster, action, RELEASE, NAMESPACE, given, *arguments, chart=self.chart, version=version
        )

    def uninstall(self, *, version: int = 4) -> str:
        """Takes the release away and waits until it is gone."""
        words = ("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "3m")
        return self.cluster.helm(*words, version=version)

    @property
    def url(self) -> str:
        """The gateway from outside of the cluster: kube-proxy spreads connections over its pods."""
        (port,) = self.cluster.get("service", f"{RELEASE}-gateway", "--namespace", NAMESPACE)["spec"]["ports"]
        return f"http://{self.cluster.settings.node_ip}:{port['nodePort']}"

    def tooling(self, *arguments: str | Path) -> str:
        """Runs a command of the tooling as a user would, against this cluster."""
        return self.cluster.run(sys.executable, "-m", "scripts", *arguments)

    def make_keys(self) -> None:
        """Makes a key for each tenant: the Secret that the gateway waits for has hashes only."""
        for tenant in self.values["tenants"]:
            said = self.tooling("tenants", "key", "create", tenant, "--namespace", NAMESPACE)
            self.keys[tenant] = said.strip().splitlines()[-1]

    def wait_for_gateway(self, *models: str) -> None:
        """Waits until every pod of the gateway sends to the models: it learns from DNS which pods are ready."""
        labels = f"app.kubernetes.io/component=gateway,app.kubernetes.io/instance={RELEASE}"

        def known() -> bool:
            pods = self.cluster.get("pods", "--namespace", NAMESPACE, "--selector", labels)
            names = [pod["metadata"]["name"] for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            texts = [self.cluster.kubectl("get", f"--raw={METRICS.format(name)}", check=False) for name in names]
            lines = [f'haproxy_backend_active_servers{{proxy="model-{model}"}} 1' for model in models]
            return bool(texts) and all(line in text for text in texts for line in lines)

        wait_until(f"the gateway knows {', '.join(models)}", known, seconds=90, pause=0.5)

    def pods(self, model: str, namespace: str) -> dict[str, int]:
        """Names of a model's pods, and how often their containers were started again."""
        found = self.cluster.get("pods", "--namespace", namespace, "--selector", f"vllm-model/name={model}")
        return {
            pod["metadata"]["name"]: sum(each["restartCount"] for each in pod["status"].get("containerStatuses", []))
            for pod in found
            if "deletionTimestamp" not in pod["metadata"]
        }


def umbrella(cluster: Cluster, folder: Path) -> Path:
    """A copy of the umbrella whose dependencies have been fetched, as ``make deps`` does it without internet."""
    chart = folder / UMBRELLA.name
    copytree(UMBRELLA, chart, ignore=ignore_patterns("charts", "crds", "Chart.lock"))
    copytree(MODEL, folder / MODEL.name)
    archives = stand_ins.archives(cluster, folder / "archives")
    with deps_of(chart):
        deps.fetch(folder=archives, record=False)
    return chart


@contextmanager
def deps_of(chart: Path) -> Iterator[None]:
    """Lets ``vllm-charts deps`` work on a copy, so that the tree stays as it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deps, "UMBRELLA", chart)
        patch.setattr(deps, "ARCHIVES", chart / "charts")
        patch.setattr(deps, "CRDS", chart / "crds")
        patch.setattr(deps, "HASHES", chart / "dependencies.sha256")
        patch.setattr(deps, "KEYS", chart)
        yield
