"""The umbrella's own objects: valid for Kubernetes, the same with Helm 3, and as the gateway and tenants need them."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from scripts.gateway.process import check, write_files
from scripts.kubernetes_modules import HIGHEST_KUBERNETES, LOWEST_KUBERNETES
from scripts.kubernetes_schemas import problems
from scripts.paths import VALUES as VALUES_FOLDER
from scripts.platform_chart import stubbed
from scripts.render import Object, Render, render
from tests.render.platform import QUIET, TINY, Values, haproxy_config, platform

PLATFORMS = sorted((VALUES_FOLDER / "platforms").glob("*.yaml"))

TENANT: Values = {
    "models": ["tiny"],
    "limits": {"requestsPerSecond": 5, "concurrentRequests": 8, "tokensPerMinute": 100000},
    "namespace": {"create": True},
    "quota": {"requests.nvidia.com/gpu": "16", "requests.memory": "256Gi"},
    "access": {"view": [{"kind": "Group", "name": "team-a"}], "edit": [{"kind": "ServiceAccount", "name": "ci"}]},
}
SCALED: Values = {**TINY, "autoscaling": {"type": "keda", "minReplicas": 0}}

VARIANTS: dict[str, Values] = {
    "least": {},
    "everything of the gateway": {
        "models": {"tiny": {**SCALED, "auth": {"apiKeySecret": {"name": "engine-key"}}}},
        "tenants": {"team-a": TENANT},
        "gateway": {
            "tls": {"secret": "tls"},
            "auth": {"jwt": {"enabled": True, "issuer": "https://login"}, "clientCertificates": {"enabled": True}},
            "tracing": {"enabled": True, "endpoint": "http://otel-collector.observability.svc:4318"},
            "service": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["192.0.2.0/24"]},
            "externalModels": {"other": {"servedNames": ["other"], "balance": "prefixHash"}},
            "networkPolicy": {"from": [{"namespaceSelector": {}}], "egress": [{"ports": [{"port": 443}]}]},
            "priorityClassName": "llm-online",
        },
    },
    "route": {
        "gateway": {"route": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["llm.example.com"]}}
    },
    "gateway that is scaled": {"gateway": {"autoscaling": {"enabled": True}}},
    "no gateway": {"gateway": {"enabled": False}},
    "two names shared": {"models": {"stable": TINY, "canary": TINY}},
    "a name shared by twelve": {"models": {f"version-{number}": TINY for number in range(12)}},
    "scalers of two namespaces": {"models": {"a": SCALED, "b": {**SCALED, "namespace": "team-b"}}},
    **{
        f"ingress by {controller}": {
            "gateway": {"ingress": {"enabled": True, "controller": controller, "hosts": ["a.b"]}}
        }
        for controller in ("none", "nginx", "traefik", "haproxy", "alb", "gce")
    },
    **{
        f"ingress by {controller} to TLS": {
            "gateway": {
                "tls": {"secret": "tls"},
                "ingress": {"enabled": True, "controller": controller, "hosts": ["a.b"]},
            }
        }
        for controller in ("nginx", "traefik", "haproxy", "alb", "gce")
    },
    **{
        f"inference extension by {provider}": {
            "gateway": {
                "type": "inference-extension",
                "inferenceExtension": {
                    "provider": provider,
                    "gatewayRef": {"name": "public", "namespace": "gateways"},
                    "endpointPicker": {"replicas": 1 + (provider == "istio"), "flowControl": True},
                },
            },
            "monitoring": {"enabled": True},
            "kube-prometheus-stack": {"enabled": False},
        }
        for provider in ("none", "agentgateway", "nginx")
    },
}

each = pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS.keys())

NO_SCHEMA = {"BackendConfig"}
"""Kinds whose schema is in no module."""


def made(values: Values, **options: Any) -> Render:
    return platform({"models": {"tiny": TINY}}, values, **options)


def wrong(objects: list[Object], kubernetes: str = "kubernetes") -> list[str]:
    return [text for body in objects if body["kind"] not in NO_SCHEMA for text in problems(body, kubernetes)]


@each
def test_every_object_meets_the_schema_of_its_kind(values: Values) -> None:
    assert wrong(made(values).objects) == []


@each
def test_helm_3_renders_the_same(values: Values) -> None:
    assert made(values, helm="helm3").objects == made(values).objects


@each
@pytest.mark.parametrize(
    ("kubernetes", "version"), [("kubernetes-lowest", LOWEST_KUBERNETES), ("kubernetes-highest", HIGHEST_KUBERNETES)]
)
def test_every_kubernetes_that_is_let_in_knows_every_field(values: Values, kubernetes: str, version: str) -> None:
    assert wrong(made(values, kube_version=version).objects, kubernetes) == []


@each
def test_haproxy_takes_the_configuration_without_a_warning(values: Values, tmp_path: Path) -> None:
    rendered = made(values)
    config = next((body for body in rendered.all("ConfigMap") if body["metadata"]["name"] == "llm-gateway"), None)
    if config is None:
        assert values["gateway"].get("enabled") is False or values["gateway"]["type"] == "inference-extension"
        return
    secrets = {"keys": {"keys.map": ""}, "jwt": {"public.pem": PUBLIC_KEY}, "client-ca": {"ca.crt": CERTIFICATE}}
    secrets["tls"] = {"tls.pem": CERTIFICATE, "tls.pem.key": PRIVATE_KEY}
    path = write_files(tmp_path, config["data"], secrets)
    said = [line for line in check(path).splitlines() if "could not resolve address" not in line]
    assert [line for line in said if "WARNING" in line or "ALERT" in line] == []


def _identity() -> tuple[str, str, str]:
    from tests.gateway.test_identity import RSA_KEY, certificate, pem, public

    own, key = certificate("gateway", authority=True)
    return public(RSA_KEY), pem(own), pem(key)


PUBLIC_KEY, CERTIFICATE, PRIVATE_KEY = _identity()


@pytest.mark.parametrize("path", PLATFORMS, ids=lambda path: path.stem)
def test_a_file_for_a_platform_renders_valid_objects(path: Path) -> None:
    rendered = platform(path, {"models": {"tiny": TINY}, "tenants": {"team-a": TENANT}})
    assert wrong(rendered.objects) == []


@pytest.mark.parametrize("path", PLATFORMS, ids=lambda path: path.stem)
def test_a_file_for_a_platform_renders_without_models_and_tenants(path: Path) -> None:
    assert platform(path).objects


def gateway_pod(*values: Values) -> Object:
    deployment = platform({"models": {"tiny": TINY}}, *values).one("Deployment", "llm-gateway")
    pod: Object = deployment["spec"]["template"]
    return pod


@pytest.mark.parametrize(
    ("controller", "kind", "annotation", "value"),
    [
        ("nginx", "Ingress", "nginx.ingress.kubernetes.io/backend-protocol", "HTTPS"),
        ("haproxy", "Ingress", "haproxy.org/server-ssl", "true"),
        ("alb", "Ingress", "alb.ingress.kubernetes.io/backend-protocol", "HTTPS"),
        ("alb", "Ingress", "alb.ingress.kubernetes.io/healthcheck-protocol", "HTTPS"),
        ("traefik", "Service", "traefik.ingress.kubernetes.io/service.serversscheme", "https"),
        (
            *("traefik", "Service", "traefik.ingress.kubernetes.io/service.serverstransport"),
            "llm-llm-gateway@kubernetescrd",
        ),
        ("gce", "Service", "cloud.google.com/app-protocols", '{"api":"HTTPS"}'),
    ],
)
def test_an_ingress_speaks_tls_to_a_gateway_that_does(controller: str, kind: str, annotation: str, value: str) -> None:
    def annotations(variant: str) -> dict[str, str]:
        return made(VARIANTS[variant]).one(kind, "llm-gateway")["metadata"].get("annotations") or {}

    assert annotations(f"ingress by {controller} to TLS")[annotation] == value
    assert annotation not in annotations(f"ingress by {controller}")


@pytest.mark.parametrize(("variant", "protocol"), [("ingress by gce", "HTTP"), ("ingress by gce to TLS", "HTTPS")])
def test_google_asks_for_health_in_the_protocol_of_the_gateway(variant: str, protocol: str) -> None:
    assert made(VARIANTS[variant]).one("BackendConfig")["spec"]["healthCheck"]["type"] == protocol


def test_traefik_does_not_hold_a_pods_address_against_the_certificate() -> None:
    assert made(VARIANTS["ingress by traefik to TLS"]).one("ServersTransport")["spec"] == {"insecureSkipVerify": True}
    assert made(VARIANTS["ingress by traefik"]).all("ServersTransport") == []


def test_a_change_of_models_rolls_the_gateway_and_a_change_of_its_labels_does_not_touch_its_selector() -> None:
    before, after = gateway_pod(), gateway_pod({"models": {"more": TINY}})
    key = "checksum/config"
    assert before["metadata"]["annotations"][key] != after["metadata"]["annotations"][key]
    plain = platform().one("Deployment", "llm-gateway")["spec"]["selector"]
    labelled = platform({"commonLabels": {"team": "x"}, "gateway": {"podLabels": {"a": "b"}}})
    assert labelled.one("Deployment", "llm-gateway")["spec"]["selector"] == plain


def test_the_gateways_grace_covers_its_stop_hook_and_its_longest_stream() -> None:
    pod = gateway_pod({"gateway": {"shutdown": {"endpointSeconds": 20, "drainSeconds": 300}}})
    assert pod["spec"]["terminationGracePeriodSeconds"] == 335
    assert pod["spec"]["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1] == "20"
    assert "hard-stop-after 300s" in haproxy_config(platform({"gateway": {"shutdown": {"drainSeconds": 300}}}))


def test_the_gateway_starts_the_new_pod_first_and_never_loses_two() -> None:
    made_ = platform()
    assert made_.one("Deployment", "llm-gateway")["spec"]["strategy"]["rollingUpdate"] == {
        "maxSurge": 1,
        "maxUnavailable": 0,
    }
    assert made_.one("PodDisruptionBudget", "llm-gateway")["spec"]["maxUnavailable"] == 1


def upgraded(live: Object, folder: Path, values: Values) -> Object:
    """The gateway's Deployment where the cluster has this one: an offline render looks nothing up."""
    chart = shutil.copytree(stubbed(), folder / "llm-platform")
    file = chart / "charts" / "vllm-model" / "templates" / "_workload.tpl"
    text, count = re.subn(r"lookup \.apiVersion .* -}}", f"fromJson `{json.dumps(live)}` -}}}}", file.read_text())
    assert count == 1
    file.write_text(text)
    return render(chart, [values], release="llm", namespace="llm").one("Deployment", "llm-gateway")


SCALED_GATEWAY: Values = {"gateway": {"autoscaling": {"enabled": True}}}


def test_a_running_gateway_keeps_its_pods_when_an_autoscaler_takes_over(tmp_path: Path) -> None:
    before = platform({"gateway": {"replicas": 5}}).one("Deployment", "llm-gateway")
    after = upgraded(before, tmp_path, SCALED_GATEWAY)
    assert (before["spec"]["replicas"], after["spec"]["replicas"]) == (5, 5)


def test_replicas_of_a_gateway_that_was_always_scaled_are_the_autoscalers(tmp_path: Path) -> None:
    before = platform(SCALED_GATEWAY).one("Deployment", "llm-gateway")
    assert "replicas" not in before["spec"]
    assert "replicas" not in upgraded({**before, "spec": {"replicas": 5}}, tmp_path, SCALED_GATEWAY)["spec"]


def test_no_secret_is_ever_rendered() -> None:
    assert made(VARIANTS["everything of the gateway"]).all("Secret") == []


def test_a_key_of_an_engine_reaches_the_gateway_by_reference() -> None:
    container = gateway_pod({"models": {"tiny": {"auth": {"apiKeySecret": {"name": "engine-key"}}}}})["spec"][
        "containers"
    ][0]
    reference = {"secretKeyRef": {"name": "engine-key", "key": "api-key"}}
    assert container["env"] == [{"name": "ENGINE_KEY_TINY", "valueFrom": reference}]


def test_without_secrets_there_is_nothing_to_reload() -> None:
    auth = {
        "gateway": {"auth": {"apiKeys": {"enabled": False}, "anonymousTenant": "all"}},
        "tenants": {"all": {"models": ["*"]}},
    }
    names = [container["name"] for container in gateway_pod(auth)["spec"]["containers"]]
    assert (names, [c["name"] for c in gateway_pod()["spec"]["containers"]]) == (["haproxy"], ["haproxy", "reloader"])


def test_a_tenants_namespace_is_guarded_and_kept() -> None:
    rendered = platform({"models": {"tiny": TINY}, "tenants": {"team-a": TENANT}})
    space = rendered.one("Namespace")
    assert space["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert "namespace" not in space["metadata"]
    assert rendered.one("ResourceQuota")["spec"]["hard"] == TENANT["quota"]
    [limits] = rendered.one("LimitRange")["spec"]["limits"]
    assert set(limits) == {"type", "defaultRequest"}
    policy = rendered.one("NetworkPolicy", "tenant")
    assert policy["spec"]["podSelector"] == {}
    assert policy["spec"]["ingress"] == []
    assert {body["roleRef"]["name"] for body in rendered.all("RoleBinding")} == {"view", "edit"}


def test_a_tenant_without_a_namespace_makes_none() -> None:
    rendered = platform({"models": {"tiny": TINY}, "tenants": {"team-a": {"models": ["tiny"]}}})
    assert rendered.all("Namespace") == []
    assert rendered.all("ResourceQuota") == []


def test_batch_never_takes_the_place_of_online() -> None:
    online, batch = platform().one("PriorityClass", "llm-online"), platform().one("PriorityClass", "llm-batch")
    assert online["value"] > batch["value"]
    assert (online["preemptionPolicy"], batch["preemptionPolicy"]) == ("PreemptLowerPriority", "Never")


def test_scalers_are_removed_before_keda() -> None:
    job = made(VARIANTS["scalers of two namespaces"]).one("Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    commands = [container["args"] for container in job["spec"]["template"]["spec"]["containers"]]
    assert [(args[3], args[-1]) for args in commands] == [("llm", "a"), ("team-b", "b")]


@pytest.mark.parametrize(
    "values",
    [
        {"models": {"a": TINY}},
        {"models": {"a": SCALED}, "keda": {"enabled": False}},
        {"models": {"a": SCALED}, "uninstall": {"enabled": False}},
    ],
)
def test_where_nothing_would_hang_there_is_no_step_before_uninstall(values: Values) -> None:
    assert platform(values).all("Job") == []


def test_a_model_behind_an_endpoint_picker_has_a_pool_that_selects_its_pods() -> None:
    rendered = made(VARIANTS["inference extension by none"])
    pool, pods = rendered.one("InferencePool", "tiny"), rendered.one("Deployment", "tiny")["spec"]["template"]
    assert pool["spec"]["selector"]["matchLabels"].items() <= pods["metadata"]["labels"].items()
    assert pool["spec"]["endpointPickerRef"]["name"] == "tiny-epp"
    route = rendered.one("HTTPRoute", "tiny")["spec"]
    assert route["rules"][0]["matches"][0]["headers"][0]["value"] == "org/tiny"
    assert route["rules"][0]["backendRefs"][0]["kind"] == "InferencePool"


@pytest.mark.parametrize(
    ("provider", "proxies"), [("none", {"gateways"}), ("envoy-ai-gateway", {"gateways", "envoy-gateway-system"})]
)
def test_a_models_network_policy_lets_in_its_picker_and_the_gateways_proxies(provider: str, proxies: set[str]) -> None:
    reference = {"provider": provider, "gatewayRef": {"name": "public", "namespace": "gateways"}}
    rendered = made(
        {"gateway": {"type": "inference-extension", "inferenceExtension": reference}, "monitoring": {"enabled": False}}
    )
    (rule,) = rendered.one("NetworkPolicy", "tiny")["spec"]["ingress"]
    named = [
        peer["namespaceSelector"]["matchLabels"].popitem()[1] for peer in rule["from"] if "namespaceSelector" in peer
    ]
    assert proxies <= set(named)
    picker = rendered.one("Deployment", "tiny-epp")["spec"]["template"]["metadata"]["labels"]
    selectors = [peer["podSelector"]["matchLabels"] for peer in rule["from"] if "podSelector" in peer]
    assert any(selector.items() <= picker.items() for selector in selectors)


def test_a_picker_shows_its_metrics_to_the_prometheus_that_watches_the_platform() -> None:
    extension = {"models": {"tiny": TINY}, **VARIANTS["inference extension by none"]}
    labels = {"podMonitor": {"labels": {"release": "prometheus"}}}
    watched = platform(extension, {"monitoring": {"enabled": True}, "gateway": labels})
    monitor = watched.one("PodMonitor", "tiny-epp")
    picker = watched.one("Deployment", "tiny-epp")["spec"]["template"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["selector"]["matchLabels"].items() <= picker["metadata"]["labels"].items()
    (container,) = picker["spec"]["containers"]
    assert monitor["spec"]["podMetricsEndpoints"][0]["port"] in {port["name"] for port in container["ports"]}
    assert "--metrics-endpoint-auth=false" in container["args"]
    unwatched = platform(extension, {"monitoring": {"enabled": False}})
    assert unwatched.all("PodMonitor") == []


@pytest.mark.parametrize(
    ("provider", "kinds"),
    [("istio", {"DestinationRule"}), ("gke", {"HealthCheckPolicy", "GCPBackendPolicy"}), ("none", set())],
)
def test_each_gateway_gets_what_it_needs_beside_the_common_objects(provider: str, kinds: set[str]) -> None:
    extension = {"provider": provider, "gatewayRef": {"name": "public"}}
    rendered = made({"gateway": {"type": "inference-extension", "inferenceExtension": extension}})
    every = {"DestinationRule", "HealthCheckPolicy", "GCPBackendPolicy"}
    assert {body["kind"] for body in rendered.objects} & every == kinds


def test_a_quiet_platform_renders_nothing() -> None:
    assert platform(QUIET).objects == []


def test_one_registry_and_its_secret_reach_every_image_of_ours() -> None:
    shared = {"global": {"imageRegistry": "mirror.example.com", "imagePullSecrets": [{"name": "mirror"}]}}
    rendered = platform({"models": {"tiny": SCALED}}, shared)
    for kind in ("Deployment", "Job"):
        for body in rendered.all(kind):
            pod = body["spec"]["template"]["spec"]
            assert {image["image"].partition("/")[0] for image in pod["containers"]} == {"mirror.example.com"}
            assert pod["imagePullSecrets"] == [{"name": "mirror"}]


@pytest.mark.parametrize(
    ("endpoint", "url", "port"),
    [
        ("http://otel.watch.svc:4318", "http://otel.watch.svc.cluster.local:4318/v1/traces", 4318),
        ("http://otel.watch.svc/", "http://otel.watch.svc.cluster.local/v1/traces", 80),
        ("https://otel.example.com/otlp", "https://otel.example.com/otlp/v1/traces", 443),
        ("http://otel.watch.svc.cluster.local:4318", "http://otel.watch.svc.cluster.local:4318/v1/traces", 4318),
    ],
)
def test_spans_go_to_the_whole_name_of_the_collector_and_the_policy_lets_them(
    endpoint: str, url: str, port: int
) -> None:
    rendered = platform({"gateway": {"tracing": {"enabled": True, "endpoint": endpoint}}})
    assert f"/spans.lua {url}\n" in haproxy_config(rendered)
    egress = rendered.one("NetworkPolicy", "llm-gateway")["spec"]["egress"]
    assert {"ports": [{"port": port, "protocol": "TCP"}]} in egress


def test_without_a_collector_the_policy_lets_nothing_more_out() -> None:
    rendered = platform({"gateway": {"tracing": {"enabled": True}}})
    assert all("to" in rule or rule["ports"][0]["port"] == 53
               for rule in rendered.one("NetworkPolicy", "llm-gateway")["spec"]["egress"])  # fmt: skip
