"""The umbrella with its gateway on the local cluster, without the operators that a release would bring along."""

from collections.abc import Mapping
from typing import Any

from scripts.bench import local
from scripts.cluster import Cluster, Image, wait_until
from scripts.cluster.images import small_programs, with_libraries
from scripts.cluster.libraries import MERGED_LINKS, shared_libraries
from scripts.gateway.programs import haproxy
from scripts.platform_chart import stubbed

REPOSITORY, TAG = "localhost/haproxy", "2.8.25"
RELOADER = ("find", "sha256sum", "xargs")
"""What the chart's scripts call beside the small programs; the official image has them."""

PLATFORM: dict[str, Any] = {
    "gpu-operator": {"enabled": False},
    "keda": {"enabled": False},
    "kube-prometheus-stack": {"enabled": False},
    "uninstall": {"enabled": False},
    "priorityClasses": {"create": False},
    "tenants": {"everybody": {"models": ["*"]}},
    "gateway": {
        "image": {"repository": REPOSITORY, "tag": TAG},
        "threads": 1,
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}},
        "auth": {"anonymousTenant": "everybody", "apiKeys": {"enabled": False}},
        "networkPolicy": {"enabled": False},
        "accessLog": {"enabled": False},
    },
}
"""Values of an umbrella that anybody may call; KEDA and Prometheus are the cluster's own."""


def ensure_image(cluster: Cluster) -> None:
    """Hands an image with HAProxy, a shell and small programs to the node.

    The wheel's program finds the libraries that came with it beside itself, so its folders stay as they are.
    """
    reference = f"{REPOSITORY}:{TAG}"
    if cluster.has_image(reference):
        return
    package = haproxy().parent.parent
    own = {f"/opt/{folder.name}": folder for folder in package.parent.glob(f"{package.name}*") if folder.is_dir()}
    outside = {path: file for path, file in shared_libraries([haproxy()]).items() if package.parent not in file.parents}
    # The C library loads this one by itself when a thread ends.
    unwinder = next(file for path, file in outside.items() if path.endswith("/libc.so.6")).with_name("libgcc_s.so.1")
    outside[str(unwinder)] = unwinder.resolve()
    cluster.import_image(
        Image(
            reference,
            ("haproxy",),
            with_libraries(small_programs(*RELOADER)) | outside | own,
            links=MERGED_LINKS | {"/usr/local/sbin/haproxy": f"/opt/{package.name}/bin/haproxy"},
            environment={"PATH": "/usr/local/sbin:/usr/bin:/bin"},
        )
    )


def apply(cluster: Cluster, action: str, namespace: str, values: Mapping[str, Any], *arguments: str) -> str:
    """Installs or upgrades the release ``llm``; see :func:`scripts.bench.local.helm`."""
    merged = local.overlay(PLATFORM, values)
    return local.helm(cluster, action, "llm", namespace, merged, *arguments, chart=stubbed())


def url(cluster: Cluster, namespace: str) -> str:
    """Base URL of the gateway's Service."""
    return local.service_url(cluster, "llm-gateway", namespace, port=80)


def pods(cluster: Cluster, namespace: str) -> list[str]:
    """The gateway's pods, those that are leaving aside."""
    selector = "app.kubernetes.io/component=gateway"
    found = cluster.get("pods", "--namespace", namespace, "--selector", selector)
    return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]


def wait_for_servers(cluster: Cluster, namespace: str, model: str, count: int) -> None:
    """Waits until every pod of the gateway sends requests to so many pods of a model.

    Right after Ready it may not have asked the cluster's DNS for their names yet.
    """
    line = f'haproxy_backend_active_servers{{proxy="model-{model}"}} {count}'

    def known(pod: str) -> bool:
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}:8405/proxy/metrics?scope=backend"
        return line in cluster.kubectl("get", f"--raw={path}", check=False)

    wait_until(
        f"the gateway knows {count} pods of {model}",
        lambda: all(known(pod) for pod in pods(cluster, namespace)),
        seconds=90,
        pause=0.5,
    )
