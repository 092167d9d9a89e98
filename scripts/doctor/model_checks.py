"""Checks of one model against a cluster: would its pods find a node, and is everything there that they name?"""

from collections.abc import Iterator
from typing import Any

from scripts.doctor import nodes
from scripts.doctor.facts import ClusterFacts, Object
from scripts.doctor.findings import Finding, ok, problem, warning
from scripts.render import Render, serving_pod

RESTRICTED = "pod-security.kubernetes.io/enforce"


def all_checks(facts: ClusterFacts, made: Render) -> Iterator[Finding]:
    """Every check of a rendered model."""
    for body in made.objects:
        if (spec := serving_pod(body)) is not None:
            yield from placement(facts, spec, replicas(body))
            yield from secrets(facts, spec)
            yield from runtime(facts, spec)
    yield from claims(facts, made)
    yield from namespace(facts)


def replicas(body: Object) -> int:
    """Replicas that the object starts with; one where an autoscaler owns the number."""
    return int((body.get("spec") or {}).get("replicas", 1))


def placement(facts: ClusterFacts, spec: Object, wanted: int) -> Iterator[Finding]:
    """How many replicas the nodes that are there could take, by the scheduler's rules on taints, labels and room."""
    asked = nodes.pod_requests(spec)
    reasons: dict[str, int] = {}
    full = 0
    fitting = 0
    for node in facts.nodes:
        found = nodes.admits(node, spec)
        if not found and not nodes.is_ready(node):
            found = ["the node is not ready"]
        if not found:
            found = too_small(node, asked)
        for reason in found:
            reasons[reason] = reasons.get(reason, 0) + 1
        if not found:
            room = copies(free(facts, node), asked)
            fitting += room
            full += room == 0
    if fitting >= wanted:
        yield ok("placement", f"{fitting} replicas fit on the nodes that are there, {wanted} wanted")
    elif fitting or full:
        yield warning(
            "placement",
            f"{fitting} of {wanted} replicas fit now: {full} suitable nodes are full",
            "the rest waits for a node autoscaler, or for ever",
        )
    else:
        listed = "; ".join(
            f"{reason} ({count} nodes)" for reason, count in sorted(reasons.items(), key=lambda e: -e[1])
        )
        yield problem(
            "placement",
            f"no node that is there takes this model: {listed or 'there are none'}",
            "if its pool scales from zero the pool must carry these labels and taints beforehand (infra/README.md)",
        )


def too_small(node: Object, asked: dict[str, float]) -> list[str]:
    """Resources of which even the empty node has too little."""
    offered = (node.get("status") or {}).get("allocatable") or {}
    return [
        f"{name}: {offered.get(name, 0)} allocatable, {number:g} asked"
        for name, number in asked.items()
        if number > nodes.quantity(offered.get(name, 0))
    ]


def free(facts: ClusterFacts, node: Object) -> dict[str, float]:
    taken = nodes.requested(facts.pods, node["metadata"]["name"])
    offered = (node.get("status") or {}).get("allocatable") or {}
    return {name: nodes.quantity(number) - taken.get(name, 0) for name, number in offered.items()}


def copies(room: dict[str, float], asked: dict[str, float]) -> int:
    """How often a pod fits into the room of a node."""
    return int(min((room.get(name, 0) // number for name, number in asked.items() if number), default=0))


def secret_keys(spec: Object) -> Iterator[tuple[str, str]]:
    """Secrets and keys that containers read their environment from."""
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        for entry in container.get("env") or []:
            reference: dict[str, Any] = (entry.get("valueFrom") or {}).get("secretKeyRef") or {}
            if reference and not reference.get("optional"):
                yield reference["name"], reference["key"]


def secrets(facts: ClusterFacts, spec: Object) -> Iterator[Finding]:
    """Secrets by name and key: a missing one keeps the container from being made."""
    if "secrets" in facts.unreadable:
        return
    there = {body["metadata"]["name"]: set(body.get("data") or {}) for body in facts.secrets}
    for name, key in sorted(set(secret_keys(spec))):
        if name not in there:
            yield problem(
                "secrets",
                f"Secret {name} is not in {facts.namespace}",
                f"kubectl create secret generic {name} --namespace {facts.namespace} --from-literal={key}=...",
            )
        elif key not in there[name]:
            yield problem("secrets", f"Secret {name} has no key {key}", f"it has: {', '.join(sorted(there[name]))}")
        else:
            yield ok("secrets", f"{name} has {key}")


def runtime(facts: ClusterFacts, spec: Object) -> Iterator[Finding]:
    """The RuntimeClass that the pod names."""
    wanted = spec.get("runtimeClassName")
    there = [body["metadata"]["name"] for body in facts.runtime_classes]
    if wanted and wanted not in there:
        yield problem("runtime", f"no RuntimeClass {wanted}", f"there are: {', '.join(there) or 'none'}")


def claims(facts: ClusterFacts, made: Render) -> Iterator[Finding]:
    """Claims that pods name and the chart does not make, and classes of those that it makes."""
    own = {body["metadata"]["name"]: body for body in made.all("PersistentVolumeClaim")}
    there = {body["metadata"]["name"] for body in facts.claims}
    classes = {body["metadata"]["name"] for body in facts.storage_classes}
    for body in made.objects:
        for volume in (serving_pod(body) or {}).get("volumes") or []:
            name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if name and name not in own and name not in there and "claims" not in facts.unreadable:
                yield problem("claims", f"PersistentVolumeClaim {name} is not in {facts.namespace}", "make it first")
    for name, body in own.items():
        wanted = body["spec"].get("storageClassName")
        if wanted and wanted not in classes and "storage classes" not in facts.unreadable:
            yield problem("claims", f"{name}: no StorageClass {wanted}", f"there are: {', '.join(sorted(classes))}")


def namespace(facts: ClusterFacts) -> Iterator[Finding]:
    """The namespace itself."""
    if facts.namespace_labels is None:
        yield warning(
            "namespace",
            f"{facts.namespace} does not exist",
            "helm install --create-namespace, or kubectl create namespace",
        )
    elif RESTRICTED in facts.namespace_labels:
        yield ok("namespace", f"{facts.namespace} enforces Pod Security {facts.namespace_labels[RESTRICTED]}")
