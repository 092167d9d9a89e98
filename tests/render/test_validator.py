"""Every refusal of the chart, both ways: it fires on what is wrong, and stays silent one step beside it."""

import re
from dataclasses import dataclass, field
from typing import Any

import pytest

from scripts.paths import CHARTS
from scripts.render import RenderError
from tests.render.chart import Values, model
from tests.render.variants import GATEWAY, GROUP, KEDA, SHARED

TEMPLATES = CHARTS / "vllm-model" / "templates"


@dataclass(frozen=True)
class Rule:
    """One refusal.

    Attributes:
        says: the message in the template, from its start; what is filled in there stands as a pattern here.
        wrong: values that it refuses.
        right: the nearest values that it lets through.
        fix: what the message tells to set or do.
        options: arguments of the render.
    """

    says: str
    wrong: Values
    right: Values
    fix: str
    options: dict[str, Any] = field(default_factory=dict)


def scaled(**values: Any) -> Values:
    return {"autoscaling": {**KEDA, **values}}


CLAIM = {"type": "claim"}
PROMETHEUS = {"prometheus": {"serverAddress": "http://prometheus-operated.monitoring.svc:9090"}}
RECREATE = {"availability": {"strategy": {"type": "recreate"}}}
OFF = {"waitingRequests": {"enabled": False}}

RULES = [
    # Scaling
    Rule(
        "autoscaling.minReplicas: %d is more than maxReplicas %d.",
        scaled(minReplicas=5, maxReplicas=4),
        scaled(minReplicas=4, maxReplicas=4),
        "maxReplicas: 5",
    ),
    Rule(
        "autoscaling.triggers: no trigger is on",
        scaled(triggers=OFF),
        scaled(triggers={**OFF, "kvCacheUsage": {"enabled": True}}),
        "waitingRequests",
    ),
    Rule(
        "autoscaling.triggers.demand: demand is counted by a gateway",
        scaled(triggers={"demand": {"enabled": True}}),
        scaled(triggers={"demand": {"enabled": True}}, wake=GATEWAY),
        "service: llm-gateway",
    ),
    Rule(
        "autoscaling.prometheus.serverAddress: %s ask Prometheus",
        {"autoscaling": {"type": "keda"}},
        {"autoscaling": {"type": "keda", "wake": GATEWAY}},
        "serverAddress: http",
    ),
    Rule(
        "autoscaling.minReplicas: 0, and nothing can wake the model",
        scaled(minReplicas=0),
        scaled(minReplicas=0, wake=GATEWAY),
        "service: llm-gateway",
    ),
    Rule(
        "autoscaling.keda.cooldownPeriod: %d s is shorter than a start may take (%d s)",
        scaled(minReplicas=0, wake=GATEWAY, keda={"cooldownPeriod": 300}),
        scaled(minReplicas=0, wake=GATEWAY, keda={"cooldownPeriod": 3600}),
        "cooldownPeriod:",
    ),
    Rule(
        "autoscaling.minReplicas: a HorizontalPodAutoscaler does not scale to zero",
        {"autoscaling": {"type": "hpa", "minReplicas": 0}},
        {"autoscaling": {"type": "hpa", "minReplicas": 1}},
        "autoscaling.type: keda",
    ),
    Rule(
        "autoscaling.triggers: %s are KEDA's",
        {
            "autoscaling": {
                "type": "hpa",
                "triggers": {
                    "cron": {"a": {"timezone": "UTC", "start": "0 8 * * *", "end": "0 9 * * *", "replicas": 1}}
                },
            }
        },
        {"autoscaling": {"type": "hpa", "triggers": {"runningRequests": {"enabled": True}}}},
        "autoscaling.type: keda",
    ),
    # Engine
    Rule(
        "engine.image.tag: %q names no version",
        {"engine": {"image": {"tag": "latest"}}},
        {"engine": {"image": {"tag": "v0.33.0"}}},
        "tag: v0.",
    ),
    Rule(
        "engine.version: neither the tag nor the digest tells",
        {"engine": {"image": {"tag": "nightly"}}},
        {"engine": {"image": {"tag": "nightly"}, "version": "0.33.0"}},
        "version:",
    ),
    Rule(
        "shutdown.drainSeconds: vLLM %s cannot drain",
        {"engine": {"image": {"tag": "v0.17.0"}}, "shutdown": {"drainSeconds": 30}},
        {"engine": {"image": {"tag": "v0.18.0"}}, "shutdown": {"drainSeconds": 30}},
        "newer engine",
    ),
    Rule(
        "engine.flags.%s: vLLM %s does not know it",
        {"engine": {"image": {"tag": "v0.15.0"}, "flags": {"disableAccessLogForEndpoints": "/ping"}}},
        {"engine": {"image": {"tag": "v0.16.0"}, "flags": {"disableAccessLogForEndpoints": "/ping"}}},
        "",
    ),
    Rule(
        "engine.extraArgs: %s is set by the chart",
        {"engine": {"extraArgs": ["--tensor-parallel-size=2"]}},
        {"engine": {"extraArgs": ["--seed=2"]}},
        "parallelism.tensor",
    ),
    Rule(
        "engine.env.%s: a secret in values",
        {"engine": {"env": {"HF_TOKEN": "hf_x"}}},
        {"engine": {"env": {"HF_TOKEN": {"valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}}}},
        "kubectl create secret generic",
    ),
    # Replicas
    Rule(
        "parallelism.nodes: tensor x pipeline x data = %d GPUs do not divide over %d nodes.",
        {**GROUP, "parallelism": {"tensor": 3, "nodes": 2}},
        {**GROUP, "parallelism": {"tensor": 4, "nodes": 2}},
        "multiple of parallelism.nodes",
    ),
    Rule(
        "gpu.count: the pod would get %d GPUs",
        {"gpu": {"count": 2}},
        {"gpu": {"count": 2}, "parallelism": {"tensor": 2}},
        "count: 1",
    ),
    Rule(
        "parallelism.data: %d copies do not divide over %d nodes.",
        {**GROUP, "parallelism": {"tensor": 2, "data": 3, "nodes": 2}},
        {**GROUP, "parallelism": {"tensor": 2, "data": 4, "nodes": 2}},
        "data: 2",
    ),
    Rule(
        "gpu.memoryGiB: %.1f GiB of weights a GPU do not fit",
        {"weights": {"sizeGiB": 131}, "gpu": {"memoryGiB": 79}},
        {"weights": {"sizeGiB": 131}, "gpu": {"memoryGiB": 79}, "parallelism": {"tensor": 2}},
        "parallelism.tensor: 2",
    ),
    Rule(
        "workload.kind: %s cannot run one replica on %d nodes",
        {**GROUP, "workload": {"kind": "Rollout"}},
        {**GROUP, "workload": {"kind": "Deployment"}},
        "kind: Deployment",
    ),
    Rule(
        "rdma.resources: rdma is on, and no device is asked for.",
        {"rdma": {"enabled": True}},
        {"rdma": {"enabled": True, "resources": {"rdma/ib": 1}}},
        "rdma/ib: 1",
    ),
    Rule(
        "shutdown: %d s (preStop) + %d s (drain) + margin = %d s do not fit",
        {"spot": {"enabled": True, "noticeSeconds": 30}, "shutdown": {"drainSeconds": 60}},
        {"spot": {"enabled": True, "noticeSeconds": 120}, "shutdown": {"drainSeconds": 60}},
        "leave them unset",
    ),
    Rule(
        "availability.strategy: with maxSurge 0 and maxUnavailable 0",
        {"availability": {"strategy": {"maxSurge": 0, "maxUnavailable": 0}}},
        {"availability": {"strategy": {"maxSurge": 0, "maxUnavailable": 1}}},
        "maxSurge: 1",
    ),
    Rule(
        "availability.strategy.type: a %s knows no recreate.",
        {**RECREATE, "workload": {"kind": "Rollout"}},
        RECREATE,
        "maxUnavailable: 1",
    ),
    Rule(
        "workload.analysis: a %s has no canary that could be judged.",
        {"workload": {"analysis": {"enabled": True}}, "autoscaling": PROMETHEUS},
        {"workload": {"kind": "Rollout", "analysis": {"enabled": True}}, "autoscaling": PROMETHEUS},
        "kind: Rollout",
    ),
    Rule(
        "autoscaling.prometheus.serverAddress: workload.analysis asks Prometheus",
        {"workload": {"kind": "Rollout", "analysis": {"enabled": True}}},
        {"workload": {"kind": "Rollout", "analysis": {"enabled": True}}, "autoscaling": PROMETHEUS},
        "serverAddress: http://prometheus-operated",
    ),
    Rule(
        "ingress.hosts: an Ingress without a host",
        {"ingress": {"enabled": True}},
        {"ingress": {"enabled": True, "hosts": ["llm.example.com"]}},
        "llm.example.com",
    ),
    Rule(
        "route.parentRefs: an HTTPRoute without a Gateway",
        {"route": {"enabled": True}},
        {"route": {"enabled": True, "parentRefs": [{"name": "public"}]}},
        "parentRefs:",
    ),
    # Weights
    *(
        Rule("weights.%s.%s: weights.source is %s, and nothing says where they are.", wrong, right, fix)
        for wrong, right, fix in [
            ({"weights": {"source": "claim"}}, {"weights": {"source": "claim", "claim": {"name": "w"}}}, "name:"),
            ({"weights": {"source": "s3"}}, {"weights": {"source": "s3", "s3": {"uri": "s3://b/m"}}}, "uri: s3://"),
            ({"weights": {"source": "gcs"}}, {"weights": {"source": "gcs", "gcs": {"uri": "gs://b/m"}}}, "uri: gs://"),
            (
                {"weights": {"source": "image"}},
                {"weights": {"source": "image", "image": {"reference": "registry.example.com/m:1"}}},
                "reference:",
            ),
            (
                {"weights": {"source": "hostPath"}},
                {"weights": {"source": "hostPath", "hostPath": {"path": "/models"}}},
                "path: /models",
            ),
        ]
    ),
    Rule(
        "weights.downloader: a Job cannot fill an emptyDir",
        {"weights": {"downloader": "job"}},
        {"weights": {"downloader": "job", "cache": SHARED}},
        "type: claim",
    ),
    Rule(
        "weights.cache.accessModes: %d pods share the claim",
        {"replicas": 2, "weights": {"cache": CLAIM}, **RECREATE},
        {"replicas": 2, "weights": {"cache": SHARED}, **RECREATE},
        "ReadWriteMany",
    ),
    Rule(
        "availability.strategy.type: a rolling update starts the new pod beside the old one",
        {"weights": {"cache": CLAIM}},
        {"weights": {"cache": CLAIM}, **RECREATE},
        "availability.strategy.type: recreate",
    ),
    Rule(
        "model.chatTemplate: inline and configMap are both set",
        {"model": {"chatTemplate": {"inline": "x", "configMap": "y"}}},
        {"model": {"chatTemplate": {"inline": "x"}}},
        "leave one of them empty",
    ),
    Rule(
        "model.adapters.%s.source: %q would be downloaded",
        {"model": {"adapters": {"a": {"source": "org/a"}}}, "weights": {"downloader": "initContainer"}},
        {"model": {"adapters": {"a": {"source": "/cache/a"}}}, "weights": {"downloader": "initContainer"}},
        "path in the pod",
    ),
    Rule(
        "model.adapters.%s: the base model is served under that name already",
        {"model": {"servedNames": ["a"], "adapters": {"a": {"source": "org/a"}}}},
        {"model": {"servedNames": ["b"], "adapters": {"a": {"source": "org/a"}}}},
        "name the adapter otherwise",
    ),
    Rule(
        "weights.source: image volumes need Kubernetes 1.33",
        {"weights": {"source": "image", "image": {"reference": "registry.example.com/m:1"}}},
        {"weights": {"source": "claim", "claim": {"name": "w"}}},
        "another source",
        {"kube_version": "1.32.0"},
    ),
    # Objects of the user
    Rule(
        "extraObjects[%d] is not YAML of one object",
        {"extraObjects": ["a: [b"]},
        {"extraObjects": ["{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"]},
        "",
    ),
    Rule(
        "extraObjects[%d] has no apiVersion and kind",
        {"extraObjects": ["metadata: {name: a}"]},
        {"extraObjects": ["{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"]},
        "set both",
    ),
    # Names
    *(
        Rule(
            "fullnameOverride: the model's Service would be called %q",
            {},
            {"fullnameOverride": f"model-{release.replace('.', '-')}"},
            f"fullnameOverride: model-{release.replace('.', '-')}, or give the release another name",
            {"release": release},
        )
        for release in ("70b", "llama.v2")
    ),
    # Quota
    Rule(
        "resourceQuota.hard: %d replicas and %d more",
        {"replicas": 8, "parallelism": {"tensor": 2}, "resourceQuota": {"enabled": True}},
        {"replicas": 7, "parallelism": {"tensor": 2}, "resourceQuota": {"enabled": True}},
        'requests.nvidia.com/gpu: "18"',
    ),
    Rule(
        "resourceQuota.hard: the API server takes %s and counts nothing by it",
        {"resourceQuota": {"enabled": True, "hard": {"limits.nvidia.com/gpu": 16}}},
        {"resourceQuota": {"enabled": True, "hard": {"limits.cpu": 16}}},
        'requests.nvidia.com/gpu: "16"',
    ),
]

each = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.says[:60])


def pattern(says: str) -> str:
    """A message of a template as a regular expression: what printf fills in may be anything."""
    return re.sub(r"%(\\\.1)?[sdqf]", ".*?", re.escape(says))


@each
def test_wrong_values_are_refused_with_the_reason_and_the_fix(rule: Rule) -> None:
    with pytest.raises(RenderError) as error:
        model(rule.wrong, **rule.options)
    assert re.search(pattern(rule.says), error.value.message), error.value.message
    assert rule.fix in error.value.message


@each
def test_values_one_step_beside_are_accepted(rule: Rule) -> None:
    assert model(rule.right, **rule.options).objects


def messages() -> list[str]:
    """What the templates can say: the first text of each problem and each fail, as it stands there."""
    text = "\n".join(path.read_text() for path in sorted(TEMPLATES.glob("_*.tpl")))
    found = re.findall(r'vllm-model\.problem" \(list \(?(?:printf )?"((?:[^"\\]|\\.)*)"', text)
    found += re.findall(r'fail \(printf "((?:[^"\\]|\\.)*)"', text)
    passed_on = ("\\n\\nvllm-model cannot render", "vllm-model.%s is not YAML", "vllm-model.alert.%s is not YAML")
    return [message for message in found if not message.startswith(passed_on)]


@pytest.mark.parametrize("message", messages())
def test_every_refusal_of_the_templates_has_a_case_here(message: str) -> None:
    assert [rule for rule in RULES if message.startswith(rule.says)], "add a Rule for it"


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(RenderError) as error:
        model({"gpu": {"count": 2}, "ingress": {"enabled": True}, "weights": {"downloader": "job"}})
    for number, key in enumerate(("weights.downloader", "gpu.count", "ingress.hosts"), start=1):
        assert re.search(rf"(?m)^\s*{number}\. {re.escape(key)}", error.value.message), error.value.message


def test_problems_name_the_model() -> None:
    """In the umbrella there are many."""
    with pytest.raises(RenderError, match='vllm-model cannot render "llama"'):
        model({"gpu": {"count": 2}}, release="llama")


def test_a_model_that_is_switched_off_is_not_checked() -> None:
    assert model({"enabled": False, "gpu": {"count": 2}}).objects == []


CUSTOM = {
    "keda.sh/v1alpha1/ScaledObject": (scaled(), "autoscaling.type: keda needs KEDA"),
    "monitoring.coreos.com/v1/PodMonitor": (
        {"monitoring": {"podMonitor": {"enabled": True}}},
        "monitoring.podMonitor.enabled: true needs the Prometheus operator",
    ),
    "monitoring.coreos.com/v1/PrometheusRule": (
        {"monitoring": {"rules": {"enabled": True}}},
        "monitoring.rules.enabled: true needs the Prometheus operator",
    ),
    "gateway.networking.k8s.io/v1/HTTPRoute": (
        {"route": {"enabled": True, "parentRefs": [{"name": "public"}]}},
        "route.enabled: true needs Gateway API",
    ),
    "leaderworkerset.x-k8s.io/v1/LeaderWorkerSet": (GROUP, "parallelism.nodes: 2 needs the LeaderWorkerSet controller"),
    "argoproj.io/v1alpha1/Rollout": ({"workload": {"kind": "Rollout"}}, "workload.kind: Rollout needs Argo Rollouts"),
    "serving.kserve.io/v1beta1/InferenceService": (
        {"workload": {"kind": "InferenceService"}},
        "workload.kind: InferenceService needs KServe",
    ),
    "traefik.io/v1alpha1/Middleware": (
        {"ingress": {"enabled": True, "hosts": ["a.example.com"], "controller": "traefik"}},
        "ingress.controller: traefik needs Traefik",
    ),
    "cloud.google.com/v1/BackendConfig": (
        {"ingress": {"enabled": True, "hosts": ["a.example.com"], "controller": "gce"}},
        "ingress.controller: gce needs GKE",
    ),
}
LIVE = ["apps/v1/Deployment"]
"""What a live cluster lists and an offline render does not: kinds."""


@pytest.mark.parametrize("api", CUSTOM)
def test_kind_that_a_live_cluster_does_not_know_is_refused(api: str) -> None:
    values, message = CUSTOM[api]
    with pytest.raises(RenderError, match=re.escape(message)):
        model(values, api_versions=LIVE)


@pytest.mark.parametrize("api", CUSTOM)
def test_kind_that_a_live_cluster_knows_is_accepted(api: str) -> None:
    assert model(CUSTOM[api][0], api_versions=[*LIVE, api]).objects


@pytest.mark.parametrize("api", CUSTOM)
def test_offline_render_never_fails_for_a_kind(api: str) -> None:
    assert model(CUSTOM[api][0]).objects
