"""The reader of NetworkPolicies itself, on the rules that the API documents."""

from scripts.render import Object
from tests.render.network import Address, Pod, may_reach

A = Pod("x", {"app": "a"})
B = Pod("x", {"app": "b"})


def policy(selector: Object, types: list[str], **rules: list[Object]) -> Object:
    return {"metadata": {"namespace": "x"}, "spec": {"podSelector": selector, "policyTypes": types, **rules}}


def test_a_pod_that_no_policy_selects_is_open() -> None:
    assert may_reach([], A, B, 1)
    assert may_reach([policy({"matchLabels": {"app": "c"}}, ["Ingress"])], A, B, 1)


def test_a_policy_without_rules_closes_its_direction_alone() -> None:
    closed = policy({"matchLabels": {"app": "b"}}, ["Ingress"])
    assert not may_reach([closed], A, B, 1)
    assert may_reach([closed], B, A, 1)


def test_a_rule_without_peers_or_ports_means_all_of_them() -> None:
    assert may_reach([policy({}, ["Ingress"], ingress=[{}])], Address("1.2.3.4"), B, 1)


def test_rules_of_several_policies_add_up() -> None:
    rule = {"from": [{"podSelector": {"matchLabels": {"app": "a"}}}], "ports": [{"port": 1}]}
    assert may_reach([policy({}, ["Ingress"]), policy({}, ["Ingress"], ingress=[rule])], A, B, 1)
    assert not may_reach([policy({}, ["Ingress"], ingress=[rule])], A, B, 2)


def test_a_pod_selector_alone_means_the_policys_own_namespace() -> None:
    rule = {"from": [{"podSelector": {"matchLabels": {"app": "a"}}}]}
    assert not may_reach([policy({}, ["Ingress"], ingress=[rule])], Pod("y", {"app": "a"}), B, 1)


def test_both_selectors_in_one_peer_must_hold() -> None:
    peer = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "y"}},
        "podSelector": {"matchLabels": {"app": "a"}},
    }
    rules = [policy({}, ["Ingress"], ingress=[{"from": [peer]}])]
    assert may_reach(rules, Pod("y", {"app": "a"}), B, 1)
    assert not may_reach(rules, Pod("y", {"app": "b"}), B, 1)
    assert not may_reach(rules, A, B, 1)


def test_an_address_in_an_exception_is_outside() -> None:
    rule = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}
    rules = [policy({}, ["Egress"], egress=[rule])]
    assert may_reach(rules, A, Address("1.1.1.1"), 1)
    assert not may_reach(rules, A, Address("10.1.1.1"), 1)
    assert not may_reach(rules, A, Address("2001:db8::1"), 1)
