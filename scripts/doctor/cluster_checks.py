"""Checks of a cluster that hold for every model."""

import re
from collections.abc import Iterator

from scripts.doctor import nodes
from scripts.doctor.facts import ClusterFacts, Object
from scripts.doctor.findings import Finding, note, ok, problem, warning
from scripts.kubernetes_modules import HIGHEST_KUBERNETES

LOWEST = (1, 30)
"""``kubeVersion`` of the charts: the native preStop sleep."""

HIGHEST_TESTED = tuple(int(part) for part in HIGHEST_KUBERNETES.split(".")[:2])

OLDEST_DRIVER = 580
"""Images built with CUDA 13 need a driver of this branch or newer (CUDA release notes, table of driver versions)."""

SHARED_PROVISIONERS = (
    "efs.csi.aws.com",
    "file.csi.azure.com",
    "filestore.csi.storage.gke.io",
    "fsx.csi.aws.com",
    "nfs.csi.k8s.io",
    "cephfs.csi.ceph.com",
    "driver.longhorn.io",
)
"""Provisioners known to give ReadWriteMany. One that is not listed may do so, too."""

TAINTS_OF_POOLS = ("nvidia.com/gpu", "gpu-node")
"""Taints that gpu.tolerations tolerates by default."""


def all_checks(facts: ClusterFacts) -> Iterator[Finding]:
    """Every check, in the order in which a person would look."""
    for check in (version, rights, gpus, labels, taints, drivers, operators, metrics, storage, unreadable):
        yield from check(facts)


def version(facts: ClusterFacts) -> Iterator[Finding]:
    """The charts' kubeVersion, and what was tested."""
    found = re.match(r"v?(\d+)\.(\d+)", facts.version)
    have = (int(found[1]), int(found[2])) if found else (0, 0)
    if have < LOWEST:
        yield problem("Kubernetes", f"{facts.version} is too old", "the charts need 1.30 (native preStop sleep)")
    elif have > HIGHEST_TESTED:
        yield note("Kubernetes", f"{facts.version} is newer than the newest tested, {HIGHEST_KUBERNETES}")
    else:
        yield ok("Kubernetes", facts.version)


def rights(facts: ClusterFacts) -> Iterator[Finding]:
    """What an install writes into the namespace."""
    if not facts.missing_rights:
        yield ok("rights", f"you may install into {facts.namespace}")
        return
    listed = ", ".join(f"{verb} {resource}.{group}".rstrip(".") for group, resource, verb in facts.missing_rights)
    fix = "ask for a Role, docs/install/index.md#rights-needed"
    yield problem("rights", f"in {facts.namespace} you may not: {listed}", fix)


def gpu_nodes(facts: ClusterFacts) -> list[Object]:
    """Nodes that offer a GPU, or say by a label that they have one."""
    return [
        node
        for node in facts.nodes
        if nodes.gpu_resources(node) or nodes.labels(node).get("nvidia.com/gpu.present") == "true"
    ]


def gpus(facts: ClusterFacts) -> Iterator[Finding]:
    """GPUs by product: offered, taken, and nodes whose device plugin does not run."""
    found = gpu_nodes(facts)
    if not found and "nodes" not in facts.unreadable:
        yield warning(
            "GPUs",
            "no node has one now",
            "a pool that scales from zero shows none until a pod asks; else see docs/install/index.md and infra/",
        )
    for product, resource, offered, taken in count_gpus(facts):
        yield ok("GPUs", f"{product}: {offered} x {resource}, {offered - taken} free")
    for node in found:
        name = node["metadata"]["name"]
        if not nodes.is_ready(node):
            yield warning("GPUs", f"node {name} is not ready", f"kubectl describe node {name}")
        elif not any(nodes.gpu_resources(node).values()):
            yield problem(
                "GPUs",
                f"node {name} has a GPU by its label and offers none",
                "the device plugin does not run there: kubectl get pods -A -o wide | grep -i device-plugin",
            )


def count_gpus(facts: ClusterFacts) -> list[tuple[str, str, int, int]]:
    """Product, resource, number offered by ready nodes and number taken, one a kind."""
    totals: dict[tuple[str, str], list[int]] = {}
    for node in facts.nodes:
        taken = nodes.requested(facts.pods, node["metadata"]["name"])
        product = nodes.labels(node).get("nvidia.com/gpu.product", "GPU without a product label")
        for resource, number in nodes.gpu_resources(node).items():
            if number and nodes.is_ready(node):
                total = totals.setdefault((product, resource), [0, 0])
                total[0] += number
                total[1] += int(taken.get(resource, 0))
    return [(product, resource, *total) for (product, resource), total in sorted(totals.items())]  # type: ignore[misc]


def labels(facts: ClusterFacts) -> Iterator[Finding]:
    """The label that values files choose GPUs by."""
    bare = [
        node["metadata"]["name"]
        for node in facts.nodes
        if nodes.gpu_resources(node) and "nvidia.com/gpu.product" not in nodes.labels(node)
    ]
    if bare:
        yield problem(
            "labels",
            f"GPU nodes without nvidia.com/gpu.product: {', '.join(bare)}",
            "GPU feature discovery (part of the GPU Operator) sets it; or label the pool yourself, infra/README.md",
        )
    elif any(nodes.gpu_resources(node) for node in facts.nodes):
        yield ok("labels", "every GPU node says which GPU it has (nvidia.com/gpu.product)")


def taints(facts: ClusterFacts) -> Iterator[Finding]:
    """Without a taint any pod may take the memory and CPU of a GPU node."""
    open_nodes, strange = [], set()
    for node in facts.nodes:
        if not nodes.gpu_resources(node):
            continue
        keys = {taint["key"] for taint in nodes.taints(node) if taint["effect"] in ("NoSchedule", "NoExecute")}
        keys = {key for key in keys if not key.startswith(("node.kubernetes.io/", "node.cloudprovider"))}
        if not keys:
            open_nodes.append(node["metadata"]["name"])
        strange |= {key for key in keys if key not in TAINTS_OF_POOLS and not is_spot(key)}
    if open_nodes:
        yield warning(
            "taints",
            f"GPU nodes that any pod may land on: {', '.join(open_nodes)}",
            "taint the pool nvidia.com/gpu=true:NoSchedule (infra/ shows how in each cloud)",
        )
    if strange:
        yield note(
            "taints", f"to be tolerated by gpu.tolerations or scheduling.tolerations: {', '.join(sorted(strange))}"
        )


def is_spot(key: str) -> bool:
    """Taints of reclaimable pools: spot.enabled tolerates them."""
    return key in ("kubernetes.azure.com/scalesetpriority", "cloud.google.com/gke-spot", "karpenter.sh/capacity-type")


def drivers(facts: ClusterFacts) -> Iterator[Finding]:
    """The driver by GPU feature discovery's labels."""
    majors = set()
    for node in facts.nodes:
        found = nodes.labels(node)
        text = found.get("nvidia.com/cuda.driver-version.major") or found.get("nvidia.com/cuda.driver.major")
        if text and text.isdigit():
            majors.add(int(text))
    old = sorted(major for major in majors if major < OLDEST_DRIVER)
    if old:
        yield warning(
            "driver",
            f"NVIDIA driver {', '.join(map(str, old))} is older than {OLDEST_DRIVER}",
            "engine images built with CUDA 13 do not start on it; take a newer node image or an older engine",
        )
    elif majors:
        yield ok("driver", f"NVIDIA {', '.join(str(major) for major in sorted(majors))}")


OPERATORS = {
    "KEDA": ("scaledobjects.keda.sh", "autoscaling.type: keda"),
    "Prometheus Operator": ("podmonitors.monitoring.coreos.com", "monitoring.*"),
    "LeaderWorkerSet": ("leaderworkersets.leaderworkerset.x-k8s.io", "models on more than one node"),
    "Argo Rollouts": ("rollouts.argoproj.io", "workload.kind: Rollout"),
    "Gateway API": ("httproutes.gateway.networking.k8s.io", "route.enabled"),
}


def operators(facts: ClusterFacts) -> Iterator[Finding]:
    """Which custom resources are there, and what needs those that are not."""
    names = {crd["metadata"]["name"] for crd in facts.crds}
    if "custom resources" in facts.unreadable:
        return
    for operator, (crd, needed_by) in OPERATORS.items():
        if crd in names:
            yield ok("operators", operator)
        else:
            yield note("operators", f"no {operator}: {needed_by} will not work")


def metrics(facts: ClusterFacts) -> Iterator[Finding]:
    """The metrics APIs that HorizontalPodAutoscalers read; only one server can own the external one."""
    services = {body["metadata"]["name"]: body for body in facts.api_services}
    for name, title in (
        ("v1beta1.metrics.k8s.io", "metrics API"),
        ("v1beta1.external.metrics.k8s.io", "external metrics"),
    ):
        service = services.get(name)
        if service is None:
            continue
        conditions = (service.get("status") or {}).get("conditions") or []
        available = any(entry["type"] == "Available" and entry["status"] == "True" for entry in conditions)
        backend = (service.get("spec") or {}).get("service") or {}
        owner = f"{backend.get('namespace')}/{backend.get('name')}"
        if not available:
            yield problem(title, f"{owner} does not answer", f"kubectl describe apiservice {name}")
        elif title == "external metrics" and "keda" not in owner:
            yield warning(
                title,
                f"owned by {owner}",
                "KEDA wants it for itself: autoscaling.type: hpa, or move the adapter's external rules",
            )
        else:
            yield ok(title, f"served by {owner}")
    if "v1beta1.metrics.k8s.io" not in services and "API services" not in facts.unreadable:
        yield note("metrics API", "not there: kubectl top and CPU-based autoscaling of the gateway do not work")


def storage(facts: ClusterFacts) -> Iterator[Finding]:
    """A default class, and one that several nodes can share."""
    names = {body["metadata"]["name"]: body for body in facts.storage_classes}
    if not names:
        if "storage classes" not in facts.unreadable:
            yield warning("storage", "no StorageClass", "weights.cache.type: claim will not bind; emptyDir works")
        return
    default = [
        name
        for name, body in names.items()
        if (body["metadata"].get("annotations") or {}).get("storageclass.kubernetes.io/is-default-class") == "true"
    ]
    if not default:
        yield warning("storage", "no default StorageClass", "name one: weights.cache.storageClassName")
    else:
        yield ok("storage", f"default StorageClass {', '.join(default)}")
    shared = [name for name, body in names.items() if body.get("provisioner") in SHARED_PROVISIONERS]
    if shared:
        yield ok("storage", f"can be shared by nodes (ReadWriteMany): {', '.join(sorted(shared))}")
    else:
        yield note("storage", "no StorageClass known to give ReadWriteMany: a cache is for one node, or per pod")


def unreadable(facts: ClusterFacts) -> Iterator[Finding]:
    """What the caller may not list was not checked."""
    for what, why in facts.unreadable.items():
        yield warning("rights", f"{what} could not be listed ({why}): not checked", "run it as somebody who may")
