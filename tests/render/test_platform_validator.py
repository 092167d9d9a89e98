"""Every refusal of the umbrella, both ways: it fires on what is wrong, and stays silent one step beside it."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from scripts.paths import CHARTS
from scripts.render import RenderError
from tests.render.platform import TINY, Values, platform

LIVE = ["apps/v1/Deployment"]
"""What tells a cluster from an offline render: kinds are listed."""

MONITORING = ["monitoring.coreos.com/v1/PodMonitor", "monitoring.coreos.com/v1/PrometheusRule"]


@dataclass(frozen=True)
class Rule:
    """One refusal.

    Attributes:
        says: a part of the message.
        wrong: values that it refuses.
        right: the nearest values that it lets through.
        fix: what the message tells to set or do.
        wrong_options, right_options: arguments of the renders.
    """

    says: str
    wrong: Values
    right: Values
    fix: str
    wrong_options: dict[str, Any] = field(default_factory=dict)
    right_options: dict[str, Any] = field(default_factory=dict)


def gateway(**values: Any) -> Values:
    return {"gateway": values}


def tenant(**values: Any) -> Values:
    return {"tenants": {"team-a": {"models": ["tiny"], **values}}}


def quota(gpus: str) -> Values:
    return {
        **tenant(namespace={"create": True}, quota={"requests.nvidia.com/gpu": gpus}),
        "models": {"tiny": {"namespace": "team-a", "replicas": 3}},
    }


SLEEPS = {"models": {"tiny": {"autoscaling": {"type": "keda", "minReplicas": 0}}}}
NO_WAY = {"apiKeys": {"enabled": False}}
ROUTE = {"enabled": True, "parentRefs": [{"name": "public"}]}
EXTENSION = gateway(type="inference-extension", inferenceExtension={"gatewayRef": {"name": "public"}})

RULES = [
    Rule(
        "models.nameless.model.id is not set",
        {"models": {"nameless": {"model": {"id": None}}}},
        {"models": {"nameless": None}},
        "models.nameless: null",
    ),
    Rule(
        "has the name of an entry of models",
        gateway(externalModels={"tiny": {"servedNames": ["x"]}}),
        gateway(externalModels={"other": {"servedNames": ["x"]}}),
        "service: tiny",
    ),
    Rule(
        "which the gateway cannot route",
        {"models": {"tiny": {"model": {"servedNames": ["my|model"]}}}},
        {"models": {"tiny": {"model": {"servedNames": ["my-model"]}}}},
        'set models.tiny.model.servedNames: ["my-model"]',
    ),
    Rule(
        "refuses one that starts with a digit",
        {},
        {},
        "helm install llm-1st",
        {"release": "1st"},
        {"release": "st1"},
    ),
    Rule(
        'models.g and models.tiny are both "tiny" to the scaler',
        {"models": {"g": {**TINY, "namespace": "team-b", "fullnameOverride": "tiny"}, "tiny": {"namespace": "team-a"}}},
        {"models": {"g": {**TINY, "namespace": "team-b"}, "tiny": {"namespace": "team-a"}}},
        "models.tiny.fullnameOverride: tiny-team-a",
    ),
    Rule(
        "models.large and models.tiny both make the Service llm/shared",
        {"models": {"large": {**TINY, "fullnameOverride": "shared"}, "tiny": {"fullnameOverride": "shared"}}},
        {"models": {"large": {**TINY, "fullnameOverride": "shared"}, "tiny": {"fullnameOverride": "own"}}},
        "models.tiny.fullnameOverride: tiny",
    ),
    Rule(
        "both make the HTTPRoute llm/tiny",
        {**EXTENSION, "models": {"tiny": {"route": {"enabled": True, "parentRefs": [{"name": "public"}]}}}},
        EXTENSION,
        "models.tiny.route.enabled: false",
    ),
    Rule(
        "which is also the entry of another model",
        {"models": {"tiny": {"model": {"servedNames": ["large"]}}, "large": TINY}},
        {"models": {"tiny": {"model": {"servedNames": ["tiny"]}}, "large": TINY}},
        "rename the entry models.large",
    ),
    Rule(
        "no span would be sent",
        gateway(tracing={"endpoint": "http://otel:4318"}),
        gateway(tracing={"enabled": True, "endpoint": "http://otel:4318"}),
        "gateway.tracing.enabled: true",
    ),
    Rule(
        "4317 is the port of OTLP over gRPC",
        gateway(tracing={"enabled": True, "endpoint": "http://otel:4317"}),
        gateway(tracing={"enabled": True, "endpoint": "http://otel:4318"}),
        "gateway.tracing.endpoint: http://otel:4318",
    ),
    Rule(
        "makes the engine speak TLS, and the gateway speaks plain HTTP",
        {"models": {"tiny": {"engine": {"flags": {"sslKeyfile": "/tls/tls.key"}}}}},
        {"models": {"tiny": {"engine": {"flags": {"sslKeyfile": None}}}}},
        "gateway.tls.secret",
    ),
    Rule(
        "gateway.auth has no way in",
        gateway(auth=NO_WAY),
        {**gateway(auth={**NO_WAY, "anonymousTenant": "team-a"}), **tenant()},
        "gateway.auth.apiKeys.enabled: true",
    ),
    Rule(
        "there is no such tenant",
        {**gateway(auth={"anonymousTenant": "all"}), **tenant()},
        {**gateway(auth={"anonymousTenant": "team-a"}), **tenant()},
        "tenants.all",
    ),
    Rule(
        "clientCertificates needs TLS",
        gateway(auth={"clientCertificates": {"enabled": True}}),
        gateway(auth={"clientCertificates": {"enabled": True}}, tls={"secret": "tls"}),
        "gateway.tls.secret",
    ),
    Rule(
        "an Ingress without a host has no rules",
        gateway(ingress={"enabled": True}),
        gateway(ingress={"enabled": True, "hosts": ["llm.example.com"]}),
        "gateway.ingress.hosts: [llm.example.com]",
    ),
    Rule(
        "an HTTPRoute without a Gateway is attached to nothing",
        gateway(route={"enabled": True}),
        gateway(route=ROUTE),
        "gateway.route.parentRefs: [{name:",
    ),
    Rule(
        "an HTTPRoute sends plain HTTP",
        gateway(route=ROUTE, tls={"secret": "tls"}),
        gateway(route=ROUTE),
        'gateway.tls.secret: ""',
    ),
    Rule(
        "nothing tells the ingress controller",
        gateway(tls={"secret": "tls"}, ingress={"enabled": True, "hosts": ["llm.example.com"]}),
        gateway(tls={"secret": "tls"}, ingress={"enabled": True, "hosts": ["llm.example.com"], "controller": "nginx"}),
        "gateway.ingress.controller (nginx",
    ),
    Rule(
        "hangs routes on a Gateway of yours",
        gateway(type="inference-extension"),
        EXTENSION,
        "gatewayRef: {name:",
    ),
    Rule(
        "the pod would be killed under load",
        gateway(maxConnections=5000),
        gateway(maxConnections=5000, resources={"limits": {"memory": "3Gi"}}),
        "gateway.resources.limits.memory:",
    ),
    Rule(
        "each pod counts alone and allows its share",
        {**gateway(autoscaling={"enabled": True}), **tenant(limits={"requestsPerSecond": 5})},
        {**gateway(autoscaling={"enabled": True}), **tenant(limits={"requestsPerSecond": 0})},
        "gateway.autoscaling.enabled: false",
    ),
    Rule(
        "less than the 2 pods of the gateway",
        tenant(limits={"concurrentRequests": 1}),
        tenant(limits={"concurrentRequests": 2}),
        "gateway.replicas: 1",
    ),
    Rule(
        "would end in 503 before it is up",
        {**SLEEPS, **gateway(hold={"seconds": 60})},
        {**SLEEPS, **gateway(hold={"seconds": 900})},
        "gateway.hold.seconds:",
    ),
    Rule(
        "there is no such model here",
        {"tenants": {"team-a": {"models": ["tinny"]}}},
        {"tenants": {"team-a": {"models": ["tiny", "org/tiny", "*"]}}},
        "org/tiny, tiny",
    ),
    Rule(
        "both make the namespace team-a",
        {
            "tenants": {
                "team-a": {"namespace": {"create": True}},
                "b": {"namespace": {"create": True, "name": "team-a"}},
            }
        },
        {
            "tenants": {
                "team-a": {"namespace": {"create": True}},
                "b": {"namespace": {"create": False, "name": "team-a"}},
            }
        },
        "namespace.create: false",
    ),
    Rule("some pods would never start", quota("3"), quota("4"), 'requests.nvidia.com/gpu: "4"'),
    Rule(
        "takes limits.nvidia.com/gpu and counts nothing by it",
        tenant(namespace={"create": True}, quota={"limits.nvidia.com/gpu": "16"}),
        tenant(namespace={"create": True}, quota={"limits.memory": "16Gi"}),
        'requests.nvidia.com/gpu: "16"',
    ),
    Rule(
        "both would serve external.metrics.k8s.io",
        {"prometheus-adapter": {"enabled": True, "rules": {"external": [{"seriesQuery": "x"}]}}},
        {"prometheus-adapter": {"enabled": True, "rules": {"custom": [{"seriesQuery": "x"}]}}},
        "keda.enabled: false",
    ),
    Rule(
        "Helm could not map a ScaledObject",
        {},
        {},
        "vllm-charts deps",
        {"api_versions": [*LIVE, *MONITORING]},
        {"api_versions": [*LIVE, *MONITORING, "keda.sh/v1alpha1/ScaledObject"]},
    ),
]

each = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.says)


@each
def test_it_refuses_and_says_what_to_set(rule: Rule) -> None:
    with pytest.raises(RenderError) as refused:
        platform({"models": {"tiny": TINY}}, rule.wrong, **rule.wrong_options)
    assert rule.says in refused.value.message
    assert rule.fix in refused.value.message


@each
def test_it_lets_the_nearest_right_values_through(rule: Rule) -> None:
    assert platform({"models": {"tiny": TINY}}, rule.right, **rule.right_options).objects


@pytest.mark.parametrize(
    ("entry", "needs"),
    [
        ({"gpu": {"count": 0}}, 0),
        ({"availability": {"strategy": {"maxSurge": "100%"}}}, 6),
        ({"availability": {"strategy": {"maxSurge": "34%"}}}, 5),
        ({"availability": {"strategy": {"type": "recreate"}}}, 3),
        ({"parallelism": {"nodes": 2, "tensor": 4}}, 16),
        ({"autoscaling": {"type": "keda", "maxReplicas": 9}}, 10),
    ],
    ids=str,
)
def test_a_quota_is_held_against_the_gpus_that_pods_and_an_update_ask_for(entry: Values, needs: int) -> None:
    model = {"models": {"tiny": {**TINY, **entry}}}
    assert platform(model, quota(str(needs))).objects
    if needs:
        with pytest.raises(RenderError, match=f"its models may ask for {needs} "):
            platform(model, quota(str(needs - 1)))


def test_a_quota_of_no_gpus_is_a_quota() -> None:
    none = tenant(namespace={"create": True}, quota={"requests.nvidia.com/gpu": 0})
    with pytest.raises(RenderError, match="its models may ask for 2 "):
        platform({"models": {"tiny": {**TINY, "namespace": "team-a"}}}, none)


def test_all_that_is_wrong_is_said_at_once() -> None:
    wrong = {"tenants": {"team-a": {"models": ["a", "b"]}}, "gateway": {"maxConnections": 5000}}
    with pytest.raises(RenderError) as refused:
        platform({"models": {"tiny": TINY}}, wrong)
    assert all(f"\n{number}. " in refused.value.message for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("one", "other", "values"),
    [
        ("models.a", "models.tiny", {"models": {"a": TINY}, "vllm-model": {"nameOverride": "engine"}}),
        ("gateway", "models.llm-gateway", {"models": {"llm-gateway": TINY}}),
        ("gateway", "models.llm-gateway-internal", {"models": {"llm-gateway-internal": TINY}}),
        ("monitoring.rules", "models.llm", {"models": {"llm": TINY}, "monitoring": {"enabled": True}}),
        ("models.tiny", "models.tiny-pods", {"models": {"tiny-pods": TINY}}),
        ("models.tiny", "models.tiny-test", {"models": {"tiny-test": TINY}}),
        (
            "tenants.team-a",
            "models.tenant",
            {"models": {"tenant": {**TINY, "namespace": "team-a"}}, **tenant(namespace={"create": True})},
        ),
        (
            "models.a",
            "models.tiny",
            {"models": {"a": TINY}, "vllm-model": {"serviceAccount": {"create": True, "name": "engine"}}},
        ),
    ],
)
def test_two_that_make_one_object_are_named_once(one: str, other: str, values: Values) -> None:
    with pytest.raises(RenderError, match=f"{one} and {other} both make") as refused:
        platform({"models": {"tiny": TINY}}, values)
    assert refused.value.message.count("both make") == 1
    assert f"Please set {other}." in refused.value.message


@pytest.mark.parametrize(
    "values",
    [
        {"models": {"tiny": {"namespace": "team-a"}, "other": {**TINY, "fullnameOverride": "tiny-pods"}}},
        {"models": {"tiny-pods": TINY, "tiny": {"service": {"headless": False}}}},
        {"models": {"tiny-test": TINY, "tiny": {"test": {"enabled": False}}}},
        {"models": {"tiny-chat": TINY, "tiny-stable": TINY, "tiny-cache": TINY}},
        {"models": {"llm-gateway": TINY}, **gateway(enabled=False)},
        {"models": {"tenant": TINY}, **tenant(namespace={"create": True})},
    ],
    ids=str,
)
def test_names_alike_of_other_kinds_or_namespaces_are_let_through(values: Values) -> None:
    rendered = platform({"models": {"tiny": TINY}}, values)
    keys = [(body["kind"], body["metadata"].get("namespace"), body["metadata"]["name"]) for body in rendered.objects]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("values", "fix"),
    [
        (gateway(externalModels={"ext": {"servedNames": ["ok", "[x/y]", "--"]}}),
         'gateway.externalModels.ext.servedNames: ["ok","x/y","ext"]'),
        ({"models": {"tiny": {"model": {"id": "org/[tiny]"}}}}, 'models.tiny.model.servedNames: ["org/-tiny"]'),
        ({"models": {"tiny": {"model": {"adapters": {"s|q": {"source": "org/sql"}}}}}},
         'Please rename the key "s|q" of models.tiny.model.adapters to s-q.'),
    ],
)  # fmt: skip
def test_names_that_cannot_be_routed_are_mended_where_they_stand(values: Values, fix: str) -> None:
    with pytest.raises(RenderError, match="cannot route") as refused:
        platform({"models": {"tiny": TINY}}, values)
    assert fix in refused.value.message
    assert refused.value.message.count("Please") == 1


def test_an_external_model_with_the_service_of_another_is_told_to_take_another_name() -> None:
    shared = {"servedNames": ["other"], "namespace": "team-b", "service": "tiny"}
    with pytest.raises(RenderError, match=r"models\.tiny and gateway\.externalModels\.other are both") as refused:
        platform({"models": {"tiny": TINY}}, gateway(externalModels={"other": shared}))
    assert "gateway.externalModels.other.service" in refused.value.message


def test_an_offline_render_never_fails_for_crds() -> None:
    scaled = {"tiny": {**TINY, "autoscaling": {"type": "keda"}}}
    assert platform({"models": scaled}).all("ScaledObject")


def test_crds_that_come_with_the_release_are_not_missing() -> None:
    """A GitOps tool hands in the kinds of a cluster before anything is installed on it."""
    scaled = {"tiny": {**TINY, "autoscaling": {"type": "keda"}}}
    made = platform({"models": scaled, "keda": {"crds": {"install": True}}}, api_versions=LIVE)
    assert made.all("ScaledObject")


def test_every_refusal_has_a_rule_here() -> None:
    text = "".join(path.read_text() for path in (CHARTS / "llm-platform" / "templates").glob("_validate-*.tpl"))
    live_only = 1  # a KEDA of another release: it needs a cluster to look at
    assert text.count('include "llm-platform.problem"') == len(RULES) + live_only
