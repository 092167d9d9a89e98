"""Null takes a default away: where the schema lets it, the templates bear it."""

from typing import Any

import pytest

from scripts.render import RenderError, render
from scripts.schema.bundle import may_be_null
from scripts.schema.generate import ChartSchema
from scripts.schema.lockstep import Knob, knobs
from tests.schema import probe

NEEDED = {"model.id", "ingress.hosts", "route.parentRefs", "autoscaling.prometheus.serverAddress", "tracing.endpoint"}
"""What the base below must have for its objects to be rendered; the validator says so, in its own tests."""

BASE: dict[str, Any] = {
    "model": {"id": "org/model"},
    "replicas": 2,
    "ingress": {"enabled": True, "hosts": ["llm.example.com"], "controller": "traefik"},
    "route": {"enabled": True, "parentRefs": [{"name": "public"}]},
    "monitoring": {"podMonitor": {"enabled": True}, "rules": {"enabled": True}, "dashboard": {"enabled": True}},
    "autoscaling": {"type": "keda", "prometheus": {"serverAddress": "http://prometheus:9090"}},
    "tracing": {"endpoint": "http://collector.observability.svc:4317"},
    "resourceQuota": {"enabled": True},
    "availability": {"imagePrePull": True},
    "spot": {"enabled": True},
}

WAYS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "from a bucket": {"weights": {"source": "s3", "s3": {"uri": "s3://bucket/model", "mode": "copy"}}},
    "by a job": {"weights": {"downloader": "job", "cache": {"type": "claim", "existingClaim": "models"}}},
    "over two nodes": {"parallelism": {"nodes": 2, "tensor": 2}},
    "with an HPA": {"autoscaling": {"type": "hpa"}},
    "as a Rollout": {"workload": {"kind": "Rollout"}},
    "as an InferenceService": {"workload": {"kind": "InferenceService"}, "autoscaling": {"type": "none"}},
}
"""Objects of every kind, so that every template meets the nulls."""


def nullable_knobs() -> list[Knob]:
    """Every knob of the defaults that may be null and is not needed."""
    schema = ChartSchema("vllm-model")
    found = [knob for knob in knobs(schema.source, schema.defaults) if not knob.optional]
    return [knob for knob in found if may_be_null(knob.schema, knob.default) and knob.dotted not in NEEDED]


def put(values: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Sets a value deep in a document."""
    for key in path[:-1]:
        values = values.setdefault(key, {})
    values[path[-1]] = value


@pytest.mark.parametrize("helm", probe.HELMS)
@pytest.mark.parametrize("way", WAYS)
def test_everything_that_may_be_null_is_null_at_once(way: str, helm: str) -> None:
    nulls: dict[str, Any] = {}
    for knob in nullable_knobs():
        put(nulls, knob.path, None)
    assert len(nullable_knobs()) > 100
    rendered = render("vllm-model", [BASE, nulls, WAYS[way]], helm=helm)
    assert len(rendered.objects) > 10
    assert "<nil>" not in rendered.text


@pytest.mark.parametrize(
    "entry",
    [
        {"model": {"adapters": {"sql": None}}},
        {"engine": {"env": {"NCCL_DEBUG": None}}},
        {"engine": {"flags": {"dtype": None}}},
        {"gpu": {"nodeLabels": {"gpu-type": None}}},
        {"podLabels": {"team": None}},
        {"podAnnotations": {"team": None}},
        {"commonLabels": {"team": None}},
        {"commonAnnotations": {"team": None}},
        {"resources": {"requests": {"ephemeral-storage": None}}},
        {"scheduling": {"nodeSelector": {"pool": None}}},
        {"service": {"annotations": {"team": None}}},
        {"serviceAccount": {"annotations": {"team": None}}},
        {"autoscaling": {"triggers": {"cron": {"office": None}}}},
        {"autoscaling": {"prometheus": {"matchLabels": {"cluster": None}}}},
        {"autoscaling": {"keda": {"annotations": {"team": None}}}},
        {"rdma": {"enabled": True, "resources": {"rdma/ib": 1, "rdma/eth": None}}},
        {"resourceQuota": {"hard": {"pods": None}}},
        {"monitoring": {"rules": {"labels": {"team": None}}}},
    ],
    ids=str,
)
def test_an_entry_of_a_map_that_is_null_leaves_no_trace(entry: dict[str, Any]) -> None:
    """A second file takes an entry of a first away; Helm hands the null on, as the chart has no default for it."""
    rendered = render("vllm-model", [BASE, entry])
    without = render(
        "vllm-model", [BASE, {"rdma": {"enabled": True, "resources": {"rdma/ib": 1}}} if "rdma" in entry else {}]
    )
    assert rendered.text == without.text


@pytest.mark.parametrize("helm", probe.HELMS)
def test_a_number_with_a_default_may_not_be_taken_away(helm: str) -> None:
    with pytest.raises(RenderError, match=r"parallelism.*tensor"):
        render("vllm-model", [BASE, {"parallelism": {"tensor": None}}], helm=helm)
