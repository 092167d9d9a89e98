"""The catalogue of Go tools. Versions and hashes stand in ``tools/<module>/go.mod`` and ``go.sum``, and only there."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from scripts.paths import CACHE
from scripts.paths import TOOLS as MODULES


@dataclass(frozen=True)
class Tool:
    """One program built from a pinned Go module.

    Attributes:
        name: the name of the program, also its name in the ``bin`` folder of the cache.
        package: import path of the ``main`` package.
        version_of: the module path whose version is the version of the tool.
        module: folder under ``tools/`` whose ``go.mod`` pins it; by default the one of the tool's name. Tools share one
            only if their dependencies agree.
        stamps: variables set at link time; ``{version}`` is the tool's version, ``{kube_minor}`` the minor version of
            the Kubernetes client library it is built with.
        links: further names under which the program is called.
        plugin: name of the program inside a Helm plugin folder; the tool is then a folder, not a file.
        minutes: how long a first build takes on 2 cores, told to who waits for it.
    """

    name: str
    package: str
    version_of: str
    module: str = ""
    stamps: Mapping[str, str] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    plugin: str = ""
    minutes: float = 1

    @property
    def folder(self) -> Path:
        """The folder of the Go module that pins the tool."""
        return MODULES / (self.module or self.name)

    @cached_property
    def version(self) -> str:
        """The pinned version with its leading ``v``, from ``go.mod``."""
        version = module_versions(self.folder).get(self.version_of)
        if version is None:
            raise LookupError(f"{self.folder / 'go.mod'} does not require {self.version_of}")
        return version

    @cached_property
    def ldflags(self) -> str:
        """Linker flags: no symbol tables, and the stamps filled in."""
        client = module_versions(self.folder).get("k8s.io/client-go", "v0.0.0")
        values = {"version": self.version, "kube_minor": client.split(".")[1]}
        return " ".join(["-s", "-w", *(f"-X {name}={text.format(**values)}" for name, text in self.stamps.items())])

    @property
    def sources(self) -> list[Path]:
        """The files of the tree that the tool is built from."""
        folders = [self.folder / self.package] if self.package.startswith("./") else []
        if self.plugin:
            folders.append(self.folder / "plugin")
        own = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
        return [self.folder / "go.mod", self.folder / "go.sum", *own]

    @cached_property
    def key(self) -> str:
        """Changes with everything that decides what comes out: sources, pinned versions and hashes, flags."""
        digest = hashlib.sha256(f"{self.package}\n{self.ldflags}\n{self.plugin}\n".encode())
        for path in self.sources:
            digest.update(f"{path.relative_to(self.folder)}\n".encode() + path.read_bytes())
        return f"{self.version}-{digest.hexdigest()[:12]}"

    @property
    def home(self) -> Path:
        """The folder in the cache that holds this build."""
        return CACHE / "tools" / self.name / self.key

    @property
    def path(self) -> Path:
        """The built program, or the plugin folder."""
        return self.home if self.plugin else self.home / self.name


@cache
def module_versions(folder: Path) -> dict[str, str]:
    """Module paths and versions of a ``go.mod``: what it requires, with its replacements applied."""
    text = (folder / "go.mod").read_text()
    required = re.findall(r"^(?:\t|require )([^\s/]+\.[^\s]+) (v\S+)(?: // indirect)?$", text, re.MULTILINE)
    replaced = re.findall(r"^(?:\t|replace )(\S+)(?: v\S+)? => \S+ (v\S+)$", text, re.MULTILINE)
    return dict(required) | dict(replaced)


KUBERNETES_STAMPS = {
    f"{package}.{variable}": value
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    for variable, value in {
        "gitVersion": "{version}",
        "gitMajor": "1",
        "gitMinor": "{kube_minor}",
        "gitTreeState": "clean",
    }.items()
}

# Helm 3 reads the version of Kubernetes it stands for, offline, from these; Helm 4 reads it from its build information.
HELM3_STAMPS = {
    f"helm.sh/helm/v3/pkg/{package}.{variable}": value
    for package in ("lint/rules", "chartutil")
    for variable, value in {"k8sVersionMajor": "1", "k8sVersionMinor": "{kube_minor}"}.items()
}

CHARTS = [
    Tool(
        name="helm",
        package="helm.sh/helm/v4/cmd/helm",
        version_of="helm.sh/helm/v4",
        stamps={
            "helm.sh/helm/v4/internal/version.version": "{version}",
            "helm.sh/helm/v4/internal/version.gitTreeState": "clean",
        },
        minutes=3,
    ),
    Tool(
        name="helm3",
        package="helm.sh/helm/v3/cmd/helm",
        version_of="helm.sh/helm/v3",
        stamps={
            "helm.sh/helm/v3/internal/version.version": "{version}",
            "helm.sh/helm/v3/internal/version.gitTreeState": "clean",
            **HELM3_STAMPS,
        },
        minutes=1.5,
    ),
    Tool(
        name="helm-unittest",
        package="github.com/helm-unittest/helm-unittest/cmd/helm-unittest",
        version_of="github.com/helm-unittest/helm-unittest",
        plugin="untt",
    ),
    Tool(
        name="kubeconform",
        package="github.com/yannh/kubeconform/cmd/kubeconform",
        version_of="github.com/yannh/kubeconform",
        stamps={"main.version": "{version}"},
        minutes=0.2,
    ),
    Tool(
        name="crane",
        package="github.com/google/go-containerregistry/cmd/crane",
        version_of="github.com/google/go-containerregistry",
        stamps={"github.com/google/go-containerregistry/cmd/crane/cmd.Version": "{version}"},
        minutes=0.4,
    ),
    Tool(
        name="ct",
        module="chart-testing",
        package="github.com/helm/chart-testing/v3/ct",
        version_of="github.com/helm/chart-testing/v3",
        stamps={"github.com/helm/chart-testing/v3/ct/cmd.Version": "{version}"},
    ),
]

CLUSTER = [
    Tool(
        name="kube",
        package="./cmd/kube",
        version_of="k8s.io/kubernetes",
        stamps=KUBERNETES_STAMPS,
        links=("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"),
        minutes=8,
    ),
    Tool(
        name="gpu-device-plugin",
        module="kube",
        package="./cmd/gpu-device-plugin",
        version_of="k8s.io/kubernetes",
        minutes=0.2,
    ),
    Tool(name="pause", module="kube", package="./cmd/pause", version_of="k8s.io/kubernetes", minutes=0.2),
    Tool(
        name="etcd",
        package="go.etcd.io/etcd/server/v3",
        version_of="go.etcd.io/etcd/server/v3",
    ),
    Tool(
        name="coredns",
        package="github.com/coredns/coredns",
        version_of="github.com/coredns/coredns",
        minutes=2,
    ),
    Tool(
        name="kwok",
        package="sigs.k8s.io/kwok/cmd/kwok",
        version_of="sigs.k8s.io/kwok",
        minutes=1.7,
    ),
    Tool(
        name="local-path-provisioner",
        package="github.com/rancher/local-path-provisioner",
        version_of="github.com/rancher/local-path-provisioner",
        stamps={"main.VERSION": "{version}"},
    ),
]

KEDA_STAMPS = {"github.com/kedacore/keda/v2/version.Version": "{version}"}

# What scales, watches and rolls out in the tests of scaling. Each is the project's own program, unchanged.
SCALING = [
    Tool(
        name="engine-double",
        package="./cmd/engine-double",
        version_of="github.com/prometheus/client_golang",
        minutes=0.3,
    ),
    *(
        Tool(
            name=f"keda-{part}",
            module="keda",
            package=f"github.com/kedacore/keda/v2/cmd/{part}",
            version_of="github.com/kedacore/keda/v2",
            stamps=KEDA_STAMPS,
            minutes=minutes,
        )
        for part, minutes in {"operator": 7, "adapter": 2, "webhooks": 1}.items()
    ),
    Tool(
        name="prometheus",
        package="github.com/prometheus/prometheus/cmd/prometheus",
        version_of="github.com/prometheus/prometheus",
        minutes=3,
    ),
    Tool(
        name="prometheus-operator",
        package="github.com/prometheus-operator/prometheus-operator/cmd/operator",
        version_of="github.com/prometheus-operator/prometheus-operator",
        minutes=2,
    ),
    Tool(
        name="prometheus-config-reloader",
        module="prometheus-operator",
        package="github.com/prometheus-operator/prometheus-operator/cmd/prometheus-config-reloader",
        version_of="github.com/prometheus-operator/prometheus-operator",
        minutes=0.5,
    ),
    Tool(
        name="kube-state-metrics",
        package="k8s.io/kube-state-metrics/v2",
        version_of="k8s.io/kube-state-metrics/v2",
        minutes=2,
    ),
    Tool(
        name="prometheus-adapter",
        package="sigs.k8s.io/prometheus-adapter/cmd/adapter",
        version_of="sigs.k8s.io/prometheus-adapter",
        minutes=2,
    ),
    Tool(
        name="argo-rollouts",
        package="github.com/argoproj/argo-rollouts/cmd/rollouts-controller",
        version_of="github.com/argoproj/argo-rollouts",
        minutes=4,
    ),
    Tool(
        name="traefik",
        package="github.com/traefik/traefik/v3/cmd/traefik",
        version_of="github.com/traefik/traefik/v3",
        stamps={"github.com/traefik/traefik/v3/pkg/version.Version": "{version}"},
        minutes=8,
    ),
    *(
        Tool(
            name=name,
            module="endpoint-picker",
            package=f"sigs.k8s.io/gateway-api-inference-extension/cmd/{package}",
            version_of="sigs.k8s.io/gateway-api-inference-extension",
            minutes=minutes,
        )
        for name, package, minutes in (("endpoint-picker", "epp", 2), ("payload-processor", "bbr", 0.5))
    ),
    Tool(name="lws", package="sigs.k8s.io/lws/cmd", version_of="sigs.k8s.io/lws", minutes=2),
]

# The network of the local cluster enforces no NetworkPolicy: this one's policy controller does, where a test wants it.
NETWORK = [
    Tool(
        name="kube-router",
        package="github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",
        version_of="github.com/cloudnativelabs/kube-router/v2",
        minutes=2,
    ),
]

GITOPS = [
    Tool(
        name="kustomize",
        package="sigs.k8s.io/kustomize/kustomize/v5",
        version_of="sigs.k8s.io/kustomize/kustomize/v5",
        stamps={"sigs.k8s.io/kustomize/api/provenance.version": "{version}"},
        minutes=0.5,
    ),
    Tool(
        name="argocd",
        package="./cmd/argocd",
        version_of="github.com/argoproj/argo-cd/v3",
        stamps={"github.com/argoproj/argo-cd/v3/common.version": "{version}"},
        links=(
            "argocd-application-controller",
            "argocd-applicationset-controller",
            "argocd-git-ask-pass",
            "argocd-repo-server",
        ),
        minutes=8,
    ),
    Tool(
        name="karpenter",
        package="sigs.k8s.io/karpenter/kwok",
        version_of="sigs.k8s.io/karpenter",
        minutes=2,
    ),
]

GROUPS = {"charts": CHARTS, "cluster": CLUSTER, "scaling": SCALING, "network": NETWORK, "gitops": GITOPS}
TOOLS = {tool.name: tool for tools in GROUPS.values() for tool in tools}
ALIASES = {link: tool.name for tool in TOOLS.values() for link in tool.links}
