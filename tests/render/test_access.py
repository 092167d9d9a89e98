"""How a model is reached, and by whom."""

import pytest

from scripts.render import Object, Render
from tests.render.chart import Values, model
from tests.render.variants import GROUP, VARIANTS

ALLOWED = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/models"]


def test_service_goes_to_the_port_by_name() -> None:
    spec = model({"service": {"port": 80}, "engine": {"port": 9000}}).one("Service", "demo")["spec"]
    (port,) = spec["ports"]
    assert port["port"] == 80
    assert port["targetPort"] == "http"


def test_headless_service_names_only_ready_pods() -> None:
    spec = model().one("Service", "demo-pods")["spec"]
    assert spec["clusterIP"] == "None"
    assert spec["publishNotReadyAddresses"] is False


def test_headless_service_can_be_left_out() -> None:
    assert len(model({"service": {"headless": False}}).all("Service")) == 1


CONTROLLERS = ["none", "nginx", "traefik", "haproxy", "haproxy-ingress", "alb", "gce"]


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_ingress_lets_only_the_listed_paths_through(controller: str) -> None:
    """The engine's key leaves /invocations, /tokenize and /score open."""
    (rule,) = model(VARIANTS[f"ingress of {controller}"]).one("Ingress")["spec"]["rules"]
    assert rule["host"] == "llm.example.com"
    assert [(path["path"], path["pathType"]) for path in rule["http"]["paths"]] == [(path, "Exact") for path in ALLOWED]


def test_ingress_serves_by_tls_where_a_secret_is_named() -> None:
    spec = model(VARIANTS["ingress of nginx"]).one("Ingress")["spec"]
    assert spec["tls"] == [{"secretName": "llm-tls", "hosts": ["llm.example.com"]}]


def ingress(controller: str, **more: object) -> Object:
    values: Values = {"ingress": {**VARIANTS[f"ingress of {controller}"]["ingress"], **more}}
    found: Object = model(values).one("Ingress")["metadata"].get("annotations", {})
    return found


def test_nginx_gets_timeouts_body_size_and_limits() -> None:
    found = {key.split("/")[1]: value for key, value in ingress("nginx").items()}
    assert found["proxy-read-timeout"] == "300"
    assert found["proxy-send-timeout"] == "300"
    assert found["proxy-body-size"] == "10m"
    assert found["limit-rps"] == "10"
    assert found["limit-connections"] == "50"
    assert found["proxy-buffering"] == "off"


def test_limits_of_zero_are_none() -> None:
    found = ingress("nginx", limits={"requestsPerSecond": 0, "connections": 0})
    assert not [key for key in found if "limit" in key]


def test_annotation_of_a_user_wins() -> None:
    key = "nginx.ingress.kubernetes.io/proxy-read-timeout"
    assert ingress("nginx", annotations={key: "60"})[key] == "60"


def test_load_balancer_of_aws_waits_as_long_as_a_stream() -> None:
    assert "idle_timeout.timeout_seconds=300" in ingress("alb")["alb.ingress.kubernetes.io/load-balancer-attributes"]


@pytest.mark.parametrize(
    ("controller", "kind", "annotation", "value"),
    [
        ("nginx", "Ingress", "nginx.ingress.kubernetes.io/backend-protocol", "HTTPS"),
        ("haproxy", "Ingress", "haproxy.org/server-ssl", "true"),
        ("haproxy-ingress", "Ingress", "haproxy-ingress.github.io/backend-protocol", "h1-ssl"),
        ("alb", "Ingress", "alb.ingress.kubernetes.io/backend-protocol", "HTTPS"),
        ("alb", "Ingress", "alb.ingress.kubernetes.io/healthcheck-protocol", "HTTPS"),
        ("traefik", "Service", "traefik.ingress.kubernetes.io/service.serversscheme", "https"),
        ("traefik", "Service", "traefik.ingress.kubernetes.io/service.serverstransport", "llm-demo@kubernetescrd"),
        ("gce", "Service", "cloud.google.com/app-protocols", '{"http":"HTTPS"}'),
    ],
)
def test_an_ingress_speaks_tls_to_an_engine_that_does(controller: str, kind: str, annotation: str, value: str) -> None:
    def annotations(variant: str) -> dict[str, str]:
        return model(VARIANTS[variant]).one(kind, "demo")["metadata"].get("annotations") or {}

    assert annotations(f"ingress of {controller} to TLS")[annotation] == value
    assert annotation not in annotations(f"ingress of {controller}")


@pytest.mark.parametrize(("variant", "protocol"), [("ingress of gce", "HTTP"), ("ingress of gce to TLS", "HTTPS")])
def test_google_asks_for_health_in_the_protocol_of_the_engine(variant: str, protocol: str) -> None:
    assert model(VARIANTS[variant]).one("BackendConfig")["spec"]["healthCheck"]["type"] == protocol


def test_traefik_does_not_hold_a_pods_address_against_the_certificate_of_an_engine() -> None:
    transport = model(VARIANTS["ingress of traefik to TLS"]).one("ServersTransport")
    assert transport["spec"] == {"insecureSkipVerify": True}
    assert model(VARIANTS["ingress of traefik"]).all("ServersTransport") == []


def test_route_lets_only_the_listed_paths_through() -> None:
    spec = model(VARIANTS["route"]).one("HTTPRoute")["spec"]
    paths = [match["path"] for rule in spec["rules"] for match in rule["matches"]]
    assert paths == [{"type": "Exact", "value": path} for path in ALLOWED]


@pytest.mark.parametrize("count", [1, 8, 9, 17])
def test_route_of_many_paths_keeps_to_eight_matches_a_rule(count: int) -> None:
    paths = [f"/v1/{number}" for number in range(count)]
    route = {"route": {**VARIANTS["route"]["route"], "paths": paths}}
    rules = model(route).one("HTTPRoute")["spec"]["rules"]
    assert max(len(rule["matches"]) for rule in rules) <= 8
    assert [match["path"]["value"] for rule in rules for match in rule["matches"]] == paths


def policy(made: Render, name: str = "demo") -> Object:
    spec: Object = made.one("NetworkPolicy", name)["spec"]
    return spec


def test_network_is_closed_by_default() -> None:
    spec = policy(model())
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    for rule in spec["ingress"]:
        assert rule["from"], "an empty list of callers means everyone"
        assert rule["ports"] == [{"port": 8000, "protocol": "TCP"}]


def test_network_can_be_left_open() -> None:
    assert model(VARIANTS["open network"]).all("NetworkPolicy") == []


def blocks(spec: Object) -> list[Object]:
    return [peer["ipBlock"] for rule in spec["egress"] for peer in rule.get("to", []) if "ipBlock" in peer]


def test_way_to_the_hub_leaves_private_addresses_out() -> None:
    """0.0.0.0/0 alone would open everything, the cloud's identity endpoint first."""
    (world,) = [block for block in blocks(policy(model())) if block["cidr"] == "0.0.0.0/0"]
    assert {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"} <= set(world["except"])


@pytest.mark.parametrize("variant", ["weights in a claim", "download job", "image volume", "host path"])
def test_engine_with_prefilled_weights_has_no_way_out(variant: str) -> None:
    assert [block["cidr"] for block in blocks(policy(model(VARIANTS[variant])))] == ["169.254.20.10/32"]


def test_download_job_reaches_the_hub() -> None:
    spec = policy(model(VARIANTS["download job"]), "demo-download")
    assert spec["podSelector"]["matchLabels"]["vllm-model/role"] == "download"
    assert "0.0.0.0/0" in [block["cidr"] for block in blocks(spec)]


@pytest.mark.parametrize(
    ("variant", "reached"), [("s3 streamed", True), ("s3 copied, with keys", False), ("least", False)]
)
def test_identity_endpoint_is_reached_only_where_it_gives_the_keys(variant: str, reached: bool) -> None:
    assert ("169.254.169.254/32" in [block["cidr"] for block in blocks(policy(model(VARIANTS[variant])))]) is reached


def test_names_are_resolved_by_the_cluster_and_by_the_node() -> None:
    (dns,) = [rule for rule in policy(model())["egress"] if {"port": 53, "protocol": "UDP"} in rule["ports"]]
    assert {"port": 53, "protocol": "TCP"} in dns["ports"]
    assert {"ipBlock": {"cidr": "169.254.20.10/32"}} in dns["to"]


def callers(values: Values) -> list[Object]:
    return [peer for rule in policy(model(values))["ingress"] for peer in rule["from"]]


def test_prometheus_may_scrape() -> None:
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    assert monitoring in callers({})


def test_named_namespaces_and_peers_may_call() -> None:
    found = callers(VARIANTS["callers"])
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "apps"}}} in found
    assert {"podSelector": {"matchLabels": {"app": "chat"}}} in found


def test_gateway_may_call() -> None:
    found = callers(VARIANTS["scaled to zero by a gateway"])
    assert {"podSelector": {}, "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "llm"}}} in found


def test_pods_of_a_group_reach_each_other_on_every_port() -> None:
    """NCCL and the rendezvous choose their own."""
    spec = policy(model(GROUP))
    roles = {"key": "vllm-model/role", "operator": "In", "values": ["server", "worker"]}
    for direction, side in (("ingress", "from"), ("egress", "to")):
        (rule,) = [
            rule
            for rule in spec[direction]
            if "ports" not in rule and roles in rule[side][0].get("podSelector", {}).get("matchExpressions", [])
        ]
        assert rule


def test_traces_reach_the_collector() -> None:
    (rule,) = [rule for rule in policy(model(VARIANTS["tracing"]))["egress"] if rule["ports"][0]["port"] == 4317]
    assert rule["to"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}}]


def test_quota_counts_devices_by_requests() -> None:
    hard = model(VARIANTS["quota"]).one("ResourceQuota")["spec"]["hard"]
    assert hard == {"requests.nvidia.com/gpu": "16", "requests.memory": "256Gi"}


def test_helm_test_asks_through_the_service() -> None:
    body = model({"service": {"port": 80}}).one("Pod")
    assert body["metadata"]["annotations"]["helm.sh/hook"] == "test"
    variables = {entry["name"]: entry.get("value") for entry in body["spec"]["containers"][0]["env"]}
    assert variables["URL"] == "http://demo:80"
    assert variables["MODEL"] == "org/model"


def test_helm_test_asks_a_pooling_model_for_an_embedding() -> None:
    tasks = [
        {entry["name"]: entry.get("value") for entry in model(values).one("Pod")["spec"]["containers"][0]["env"]}[
            "TASK"
        ]
        for values in ({}, {"engine": {"flags": {"runner": "pooling"}}})
    ]
    assert tasks == ["chat", "embedding"]


def test_helm_test_holds_no_gpu() -> None:
    container = model().one("Pod")["spec"]["containers"][0]
    assert "limits" not in container["resources"]
