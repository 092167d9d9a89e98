"""GPUs as the scheduler sees them: what nodes offer, what is taken, and which pods they would let in."""

import re
from collections.abc import Iterable
from typing import Any

from scripts.doctor.facts import Object

_UNITS = {"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def quantity(text: str | float) -> float:
    """A Kubernetes quantity as a number: ``3920m`` is 3.92, ``2Gi`` is 2147483648."""
    found = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", str(text))
    if found is None or found[2] not in _UNITS:
        raise ValueError(f"not a quantity: {text}")
    return float(found[1]) * _UNITS[found[2]]


def gpu_resources(node: Object) -> dict[str, int]:
    """The extended resources of a node that are GPUs or slices of them, with their number."""
    offered = (node.get("status") or {}).get("allocatable") or {}
    return {
        name: int(quantity(number))
        for name, number in offered.items()
        if re.match(r"(nvidia\.com/(gpu|mig-)|amd\.com/gpu|intel\.com/gpu)", name)
    }


def is_ready(node: Object) -> bool:
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def labels(node: Object) -> dict[str, str]:
    found: dict[str, str] = node["metadata"].get("labels") or {}
    return found


def taints(node: Object) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (node.get("spec") or {}).get("taints") or []
    return found


def requested(pods: Iterable[Object], node: str) -> dict[str, float]:
    """What the pods on a node have asked for: finished ones hold nothing."""
    total: dict[str, float] = {}
    for pod in pods:
        spec, phase = pod.get("spec") or {}, (pod.get("status") or {}).get("phase")
        if spec.get("nodeName") != node or phase in ("Succeeded", "Failed"):
            continue
        for name, number in pod_requests(spec).items():
            total[name] = total.get(name, 0) + number
    return total


def pod_requests(spec: Object) -> dict[str, float]:
    """What a pod asks for: the sum of its containers, or one init container if that is more."""
    total: dict[str, float] = {}
    for container in spec.get("containers") or []:
        for name, number in _container_requests(container).items():
            total[name] = total.get(name, 0) + number
    for container in spec.get("initContainers") or []:
        for name, number in _container_requests(container).items():
            total[name] = max(total.get(name, 0), number)
    return total


def _container_requests(container: Object) -> dict[str, float]:
    resources = container.get("resources") or {}
    asked = (resources.get("limits") or {}) | (resources.get("requests") or {})
    return {name: quantity(number) for name, number in asked.items()}


def tolerates(tolerations: list[dict[str, Any]], taint: dict[str, Any]) -> bool:
    """Whether one of the tolerations lets a pod past a taint, by the scheduler's rules."""
    for entry in tolerations:
        if entry.get("effect") not in (None, "", taint["effect"]):
            continue
        if entry.get("operator", "Equal") == "Exists":
            if entry.get("key") in (None, "", taint["key"]):
                return True
        elif entry.get("key") == taint["key"] and (entry.get("value") or "") == (taint.get("value") or ""):
            return True
    return False


def admits(node: Object, spec: Object) -> list[str]:
    """Why a node would not take a pod, apart from room: one reason a line, nothing if it would."""
    reasons = [
        f"taint {taint['key']}={taint.get('value', '')}:{taint['effect']} is not tolerated"
        for taint in taints(node)
        if taint["effect"] in ("NoSchedule", "NoExecute") and not tolerates(spec.get("tolerations") or [], taint)
    ]
    for key, value in (spec.get("nodeSelector") or {}).items():
        if labels(node).get(key) != value:
            reasons.append(f"label {key} is {labels(node).get(key, 'missing')}, wanted {value}")
    if wrong := _affinity_reasons(node, spec):
        reasons.append(wrong)
    return reasons


def _affinity_reasons(node: Object, spec: Object) -> str:
    """Required node affinity: the terms are alternatives, so only if each fails there is a reason."""
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms") or []
    failures = [[_expression_reason(node, rule) for rule in term.get("matchExpressions") or []] for term in terms]
    if not failures or any(not any(reasons) for reasons in failures):
        return ""
    return next(reason for reason in failures[0] if reason)


def _expression_reason(node: Object, rule: dict[str, Any]) -> str:
    have, wanted = labels(node).get(rule["key"]), rule.get("values") or []
    holds = {
        "In": have in wanted,
        "NotIn": have not in wanted,
        "Exists": have is not None,
        "DoesNotExist": have is None,
    }.get(rule["operator"], True)  # Gt and Lt: left to the scheduler
    if holds:
        return ""
    return f"label {rule['key']} is {have or 'missing'}, wanted {rule['operator']} {', '.join(wanted)}".rstrip()
