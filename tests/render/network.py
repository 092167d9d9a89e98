"""A reader of NetworkPolicies: may A reach B on a port? The rules of the API, for policies as they are rendered.

Few test clusters enforce policies, and none says which rule let a connection through. What the policies say can be
read.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from scripts.render import Object

NAME_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True)
class Pod:
    """A pod as policies see it: its labels, and its namespace, which carries its own name as a label."""

    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Address:
    """An address outside the cluster, or of a node."""

    ip: str


Peer = Pod | Address


def selects(selector: Mapping[str, object], labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects. An empty one selects everything."""
    exact: Mapping[str, str] = selector.get("matchLabels") or {}  # type: ignore[assignment]
    expressions: Iterable[Mapping[str, object]] = selector.get("matchExpressions") or []  # type: ignore[assignment]
    if any(labels.get(key) != value for key, value in exact.items()):
        return False
    return all(_holds(expression, labels) for expression in expressions)


def _holds(expression: Mapping[str, object], labels: Mapping[str, str]) -> bool:
    value, wanted = labels.get(str(expression["key"])), expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value in wanted  # type: ignore[operator]
        case "NotIn":
            return value not in wanted  # type: ignore[operator]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    raise ValueError(expression["operator"])


def _is_peer(rule: Mapping[str, Object], home: str, other: Peer) -> bool:
    """Whether one entry of ``from`` or ``to`` in a policy of the namespace ``home`` means the other side."""
    if block := rule.get("ipBlock"):
        if not isinstance(other, Address):
            return False
        ip = ipaddress.ip_address(other.ip)
        inside = [ip in ipaddress.ip_network(cidr) for cidr in (block["cidr"], *block.get("except", []))]
        return inside[0] and not any(inside[1:])
    if not isinstance(other, Pod):
        return False
    spaces = rule.get("namespaceSelector")
    near = other.namespace == home if spaces is None else selects(spaces, {NAME_LABEL: other.namespace})
    return near and selects(rule.get("podSelector") or {}, other.labels)


def _is_port(ports: Iterable[Object], port: int, protocol: str) -> bool:
    """Whether a list of ports has one; no list means every port."""
    entries = list(ports)
    return not entries or any(
        int(entry["port"]) == port and entry.get("protocol", "TCP") == protocol for entry in entries
    )


def _passes(policies: Iterable[Object], pod: Peer, other: Peer, port: int, protocol: str, direction: str) -> bool:
    """One side of a connection. A pod that no policy of a direction selects is open in it; rules of several add up."""
    if not isinstance(pod, Pod):
        return True
    about = [
        policy
        for policy in policies
        if policy["metadata"]["namespace"] == pod.namespace
        and direction in policy["spec"]["policyTypes"]
        and selects(policy["spec"]["podSelector"], pod.labels)
    ]
    key, side = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    rules = [rule for policy in about for rule in policy["spec"].get(key) or []]
    return not about or any(
        _is_port(rule.get("ports") or [], port, protocol)
        and (not rule.get(side) or any(_is_peer(peer, pod.namespace, other) for peer in rule[side]))
        for rule in rules
    )


def may_reach(policies: Iterable[Object], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether a connection passes both sides: out of the source, and into the target."""
    found = list(policies)
    return _passes(found, source, target, port, protocol, "Egress") and _passes(
        found, target, source, port, protocol, "Ingress"
    )
