"""Who reaches whom, by the rendered policies: everything that a model needs, and nothing beside it."""

from typing import Any

import pytest

from scripts.render import Object
from tests.render.chart import model, pod_specs
from tests.render.network import Address, Peer, Pod, may_reach
from tests.render.variants import VARIANTS, Values

OWN = {"app.kubernetes.io/name": "vllm-model", "app.kubernetes.io/instance": "demo", "vllm-model/name": "demo"}
SERVER = Pod("llm", {**OWN, "vllm-model/role": "server", "app": "chat"})
WORKER = Pod("llm", {**OWN, "vllm-model/role": "worker"})
DOWNLOAD = Pod("llm", {**OWN, "vllm-model/role": "download"})
TEST = Pod("llm", {**OWN, "vllm-model/role": "test"})
NEIGHBOUR = Pod("llm", {"app": "chat"})
OTHER_MODEL = Pod("llm", {**OWN, "vllm-model/name": "other", "vllm-model/role": "server"})
DNS = Pod("kube-system", {"k8s-app": "kube-dns"})
PROMETHEUS = Pod("monitoring", {"app.kubernetes.io/name": "prometheus"})
HUB = Address("18.66.102.11")
PRIVATE = Address("10.96.0.1")
METADATA = Address("169.254.169.254")
POD_IDENTITY = Address("169.254.170.23")

PREFILLED: Values = {"weights": {"source": "claim", "claim": {"name": "weights"}}}
SHARED: Values = {"type": "claim", "accessModes": ["ReadWriteMany"]}
JOB: Values = {"weights": {"downloader": "job", "cache": SHARED}}
GROUP: Values = {"parallelism": {"tensor": 16, "nodes": 2}}


def policies(values: Values | None = None) -> list[Object]:
    return model(values).all("NetworkPolicy")


def test_the_test_and_prometheus_reach_the_api_and_nobody_else_does() -> None:
    rules = policies()
    assert may_reach(rules, TEST, SERVER, 8000)
    assert may_reach(rules, PROMETHEUS, SERVER, 8000)
    for stranger in (NEIGHBOUR, OTHER_MODEL, Pod("default"), HUB, PRIVATE):
        assert not may_reach(rules, stranger, SERVER, 8000), stranger


def test_only_the_port_of_the_api_is_open() -> None:
    rules = policies()
    assert not may_reach(rules, PROMETHEUS, SERVER, 29500)
    assert not may_reach(rules, PROMETHEUS, SERVER, 8000, "UDP")


@pytest.mark.parametrize(
    ("values", "caller"),
    [
        ({"networkPolicy": {"ingress": {"namespaces": ["apps"]}}}, Pod("apps", {"app": "chat"})),
        ({"networkPolicy": {"ingress": {"from": [{"podSelector": {"matchLabels": {"app": "chat"}}}]}}}, NEIGHBOUR),
        ({"networkPolicy": {"ingress": {"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}}}, PRIVATE),
        (
            {"autoscaling": {"wake": {"gateway": {"service": "g", "namespace": "edge", "podLabels": {"app": "g"}}}}},
            Pod("edge", {"app": "g"}),
        ),
    ],
)
def test_a_caller_is_let_in_by_being_named(values: Values, caller: Peer) -> None:
    assert not may_reach(policies(), caller, SERVER, 8000)
    assert may_reach(policies(values), caller, SERVER, 8000)


def test_the_gateways_neighbours_stay_outside() -> None:
    gateway = {"service": "g", "namespace": "edge", "podLabels": {"app": "g"}}
    assert not may_reach(policies({"autoscaling": {"wake": {"gateway": gateway}}}), Pod("edge"), SERVER, 8000)


@pytest.mark.parametrize("pod", [SERVER, DOWNLOAD, TEST])
def test_every_pod_of_a_model_reaches_dns(pod: Pod) -> None:
    for protocol in ("UDP", "TCP"):
        assert may_reach(policies(JOB), pod, DNS, 53, protocol)
        assert may_reach(policies(JOB), pod, Address("169.254.20.10"), 53, protocol)


def test_an_engine_that_downloads_reaches_the_hub_and_no_private_or_link_local_address() -> None:
    rules = policies()
    assert may_reach(rules, SERVER, HUB, 443)
    assert may_reach(rules, SERVER, Address("2600:1f18::1"), 443)
    assert not may_reach(rules, SERVER, HUB, 80)
    for closed in ("10.0.0.1", "100.64.0.1", "172.20.0.1", "192.168.1.1", "169.254.169.254", "fd00:ec2::254"):
        assert not may_reach(rules, SERVER, Address(closed), 443), closed


def test_prefilled_weights_leave_no_way_out_but_dns() -> None:
    rules = policies(PREFILLED)
    assert not may_reach(rules, SERVER, HUB, 443)
    assert not may_reach(rules, SERVER, METADATA, 80)


def test_where_a_job_downloads_it_has_the_way_out_and_the_engine_has_not() -> None:
    rules = policies(JOB)
    assert may_reach(rules, DOWNLOAD, HUB, 443)
    assert not may_reach(rules, SERVER, HUB, 443)
    assert not may_reach(rules, PROMETHEUS, DOWNLOAD, 8000)


@pytest.mark.parametrize("source", ["s3", "gcs"])
def test_the_identity_endpoint_is_open_only_where_no_secret_has_the_keys(source: str) -> None:
    bucket: dict[str, Any] = {"uri": f"{'gs' if source == 'gcs' else source}://bucket/model"}
    asked = policies({"weights": {"source": source, source: bucket}})
    keyed = policies({"weights": {"source": source, source: {**bucket, "credentialsSecret": "keys"}}})
    assert may_reach(asked, SERVER, METADATA, 80)
    assert may_reach(asked, SERVER, POD_IDENTITY, 80) == (source == "s3")
    assert may_reach(asked, SERVER, Address("169.254.169.252"), 988) == (source == "gcs")
    assert not may_reach(keyed, SERVER, METADATA, 80)
    assert may_reach(keyed, SERVER, HUB, 443)


def test_a_store_in_the_cluster_is_reached_in_its_namespace_and_the_internet_is_not() -> None:
    s3 = {"uri": "s3://bucket/m", "endpoint": "http://minio.storage.svc:9000", "credentialsSecret": "keys"}
    rules = policies({"weights": {"source": "s3", "s3": s3}})
    assert may_reach(rules, SERVER, Pod("storage", {"app": "minio"}), 9000)
    assert not may_reach(rules, SERVER, Pod("storage", {"app": "minio"}), 22)
    assert not may_reach(rules, SERVER, HUB, 443)


def test_traces_reach_the_collector() -> None:
    rules = policies({**PREFILLED, "tracing": {"endpoint": "http://otel.observability.svc:4317"}})
    assert may_reach(rules, SERVER, Pod("observability", {"app": "otel"}), 4317)
    assert not may_reach(policies(PREFILLED), SERVER, Pod("observability", {"app": "otel"}), 4317)


def test_the_peers_of_a_group_talk_on_any_port_and_nobody_else_joins() -> None:
    rules = policies(GROUP)
    for source, target in ((SERVER, WORKER), (WORKER, SERVER), (WORKER, WORKER)):
        assert may_reach(rules, source, target, 29500)
        assert may_reach(rules, source, target, 50123, "UDP")
    for stranger in (TEST, OTHER_MODEL, NEIGHBOUR, PROMETHEUS):
        assert not may_reach(rules, stranger, WORKER, 29500), stranger


def test_replicas_of_one_node_do_not_talk_to_each_other() -> None:
    assert not may_reach(policies(), SERVER, SERVER, 29500)


def test_the_test_pod_reaches_the_model_alone_and_nobody_reaches_it() -> None:
    rules = policies()
    assert not may_reach(rules, TEST, HUB, 443)
    assert not may_reach(rules, TEST, PROMETHEUS, 9090)
    assert not may_reach(rules, NEIGHBOUR, TEST, 8000)


CLOSED = [name for name, values in VARIANTS.items() if values.get("networkPolicy", {}).get("enabled", True)]


@pytest.mark.parametrize("variant", CLOSED)
def test_every_pod_that_the_chart_makes_is_selected_by_a_policy(variant: str) -> None:
    made = model(VARIANTS[variant])
    rules = made.all("NetworkPolicy")
    for body in made.objects:
        if body["kind"] in ("DaemonSet",):  # holds an image and runs `sleep`
            continue
        for where, template in pod_templates(body):
            pod = Pod("llm", template["metadata"]["labels"])
            assert not may_reach(rules, Pod("elsewhere"), pod, 8000), where
            assert not may_reach(rules, pod, Pod("elsewhere"), 8000), where


def pod_templates(body: Object) -> list[tuple[str, Object]]:
    """The pod templates of an object, with where they stand; a Pod is one by itself."""
    spec: Any = body.get("spec") or {}
    if body["kind"] == "Pod":
        return [("pod", body)]
    if body["kind"] == "InferenceService":
        return [("predictor", {"metadata": {"labels": spec["predictor"]["labels"]}})]
    if body["kind"] == "LeaderWorkerSet":
        group = spec["leaderWorkerTemplate"]
        return [(name, group[name]) for name in ("leaderTemplate", "workerTemplate")]
    return [("template", spec["template"])] if pod_specs(body) else []
