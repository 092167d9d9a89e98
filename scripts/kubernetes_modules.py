"""The Go modules that Kubernetes' own schemas and the custom resources come from: one table for every part.

Nothing of them is committed. ``go mod download`` brings a module into Go's module cache, and the hash stands here
beside the version, so a schema that the tests trust is the one that was looked at.
"""

import functools
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from scripts.console import UserError
from scripts.tools.go import environment, find_go

KUBERNETES_VERSION = "1.35.4"
"""The Kubernetes of the local cluster, and what objects are checked against unless a test says otherwise."""

LOWEST_KUBERNETES = "1.30.14"
"""The oldest that ``kubeVersion`` of the charts lets in."""

HIGHEST_KUBERNETES = "1.37.1"


@dataclass(frozen=True)
class Module:
    """A pinned Go module.

    Attributes:
        path: module path.
        version: with its leading v.
        sum: Go's ``h1:`` hash of the module's files.
        crds: glob of its CustomResourceDefinitions inside the module; empty for Kubernetes itself.
    """

    path: str
    version: str
    sum: str
    crds: str = ""


MODULES = {
    "kubernetes": Module("k8s.io/kubernetes", "v1.35.4", "h1:o/8dBC/pHVpYoGV4OAIytAlNPZbdYVTXJHoYvXC4qzM="),
    "kubernetes-lowest": Module("k8s.io/kubernetes", "v1.30.14", "h1:MrlKXh9uhLIJpyxOeXhcndzRVSvwiV9iJ8NgH8nqPsg="),
    "kubernetes-highest": Module("k8s.io/kubernetes", "v1.37.1", "h1:LTUzSbp9n0W7649oVKBYfC48zcoD3vCk++1PZQn28q8="),
    "keda": Module(
        "github.com/kedacore/keda/v2",
        "v2.20.2",
        "h1:SR60v8uIcelbveS8n/1jcl8tLdBBIbHMxmdOHw8tKqA=",
        "config/crd/bases/*.yaml",
    ),
    "prometheus-operator": Module(
        "github.com/prometheus-operator/prometheus-operator",
        "v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        "example/prometheus-operator-crd/*.yaml",
    ),
    "lws": Module(
        "sigs.k8s.io/lws", "v0.8.0", "h1:DdhJ8QabwTfWgbgaHH2gdf8twliioHaoSfmDXRYEVU0=", "config/crd/bases/*.yaml"
    ),
    "argo-rollouts": Module(
        "github.com/argoproj/argo-rollouts",
        "v1.8.3",
        "h1:blbtQva4IK9r6gFh+dWkCrLnFdPOWiv9ubQYu36qeaA=",
        "manifests/crds/*-crd.yaml",
    ),
    "gateway-api": Module(
        "sigs.k8s.io/gateway-api",
        "v1.4.0",
        "h1:ZwlNM6zOHq0h3WUX2gfByPs2yAEsy/EenYJB78jpQfQ=",
        "config/crd/standard/*_*.yaml",
    ),
    "inference-extension": Module(
        "sigs.k8s.io/gateway-api-inference-extension",
        "v1.5.0",
        "h1:w9Awt60cmI1vM7Y6N81h8wDCBP0WkmxpdI7GKY0v070=",
        "config/crd/bases/*.yaml",
    ),
    "traefik": Module(
        "github.com/traefik/traefik/v3",
        "v3.6.12",
        "h1:6pe4s7aaDTQs+AsF7KP3sM/xnq7zOVvibRQe5tw9eFo=",
        "docs/content/reference/dynamic-configuration/traefik.io_*.yaml",
    ),
    "kserve": Module(
        "github.com/kserve/kserve",
        "v0.17.0",
        "h1:IaynaBFzVQz1Xyrw5n3ncqzd5Y7L1RkO+YWvVwwtMQE=",
        "config/crd/full/serving.kserve.io_*.yaml",
    ),
    "argo-cd": Module(
        "github.com/argoproj/argo-cd/v3",
        "v3.2.11",
        "h1:3hkR11XCp/nlyM2cWr3qeUSGuZgi3JkFdMpzgL5qOR8=",
        "manifests/crds/*-crd.yaml",
    ),
    "karpenter-aws": Module(
        "github.com/aws/karpenter-provider-aws",
        "v1.13.0",
        "h1:NkFC6jM0JjnHMrIVCpmX0j5Gl2kGv9CV96oqvkExV4k=",
        "pkg/apis/crds/*.yaml",
    ),
    # Its provider for simulated nodes; NodePools are the ones above.
    "karpenter": Module(
        "sigs.k8s.io/karpenter",
        "v1.13.0",
        "h1:7/ZergHciATEZ/hubSe9S2fB4iYWcRZqrWIItupUjVM=",
        "kwok/apis/crds/*.yaml",
    ),
    # Its schema of a ClusterConfig is a file of its own, not a CRD.
    "eksctl": Module("github.com/weaveworks/eksctl", "v0.215.0", "h1:oCPoubT3UsW4Y2J43Y4dNRvXHEIsgg03Y3e6wv6bKG4="),
}


@functools.cache
def module_dir(name: str) -> Path:
    """The folder of a module of the table in Go's module cache, downloaded if it is not there.

    Raises:
        UserError: no Go, no network, or the module's files are not the ones whose hash stands in the table.
    """
    module = MODULES[name]
    # Outside any module and workspace: neither may change which version this is.
    command = [str(find_go()), "mod", "download", "-json", f"{module.path}@{module.version}"]
    settings = os.environ | environment() | {"GO111MODULE": "on", "GOFLAGS": ""}
    done = subprocess.run(command, cwd="/", env=settings, capture_output=True, text=True, check=False)
    try:
        answer = json.loads(done.stdout)
    except json.JSONDecodeError:
        answer = {"Error": done.stderr.strip()}
    if error := answer.get("Error"):
        raise UserError(f"{module.path}@{module.version} cannot be downloaded", why=error, fix="go env GOPROXY")
    if answer["Sum"] != module.sum:
        raise UserError(
            f"{module.path}@{module.version} is not what was pinned: {answer['Sum']}, expected {module.sum}",
            why="its files differ from those that were looked at when the version was taken in",
            fix="look at where `go env GOPROXY` points",
        )
    return Path(answer["Dir"])


def crd_files(name: str) -> list[Path]:
    """The files with the CustomResourceDefinitions of a module of the table."""
    return sorted(module_dir(name).glob(MODULES[name].crds))


def crd_modules() -> list[str]:
    """The modules of the table that have custom resources."""
    return [name for name, module in MODULES.items() if module.crds]
