"""Null takes an entry of a file below away, as Helm's users know it: of what it named, nothing is rendered."""

from typing import Any

import pytest

from scripts.schema.bundle import may_be_null
from scripts.schema.generate import ChartSchema
from scripts.schema.lockstep import Knob, knobs
from scripts.schema.validate import schema_of, validator
from tests.render.platform import TINY, Values, platform

BASE: Values = {
    "models": {"tiny": {**TINY, "autoscaling": {"type": "keda"}}},
    "tenants": {"team-a": {"models": ["tiny"], "namespace": {"create": True}}},
    "gateway": {
        "externalModels": {"other": {"servedNames": ["other"]}},
        "ingress": {"enabled": True, "hosts": ["llm.example.com"]},
        "service": {"type": "LoadBalancer"},
    },
    "monitoring": {"enabled": True, "cost": {"pricePerGpuHour": 1}},
}

ENTRIES: list[Values] = [
    {"models": {"gone": None}},
    {"models": {"tiny": {"model": {"adapters": {"sql": None}}}}},
    {"tenants": {"gone": None}},
    {"tenants": {"team-a": {"quota": {"requests.nvidia.com/gpu": None}}}},
    {"tenants": {"team-a": {"defaultRequests": {"ephemeral-storage": None}}}},
    {"tenants": {"team-a": {"namespace": {"labels": {"cost-center": None}}}}},
    {"tenants": {"team-a": {"namespace": {"annotations": {"owner": None}}}}},
    {"commonLabels": {"team": None}},
    {"commonAnnotations": {"team": None}},
    {"gateway": {"externalModels": {"gone": None}}},
    {"gateway": {"podLabels": {"team": None}}},
    {"gateway": {"podAnnotations": {"team": None}}},
    {"gateway": {"nodeSelector": {"pool": None}}},
    {"gateway": {"resources": {"requests": {"ephemeral-storage": None}}}},
    {"gateway": {"service": {"annotations": {"team": None}}}},
    {"gateway": {"ingress": {"annotations": {"team": None}}}},
    {"gateway": {"podMonitor": {"labels": {"team": None}}}},
    {"monitoring": {"rules": {"labels": {"team": None}, "alertLabels": {"team": None}}}},
    {"monitoring": {"dashboards": {"labels": {"team": None}, "annotations": {"team": None}}}},
    {"monitoring": {"cost": {"prices": {"NVIDIA-L4": None}}}},
    {"monitoring": {"cost": {"namespaceBudgetsPerHour": {"team-a": None}}}},
    {"monitoring": {"cost": {"gpuResources": {"nvidia.com/gpu": 1, "nvidia.com/mig-1g.10gb": None}}}},
]

OPERATORS = {"gpu-operator", "keda", "kube-prometheus-stack", "prometheus-adapter"}


@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_an_entry_that_is_null_leaves_no_trace(entry: Values) -> None:
    assert platform(BASE, entry).text == platform(BASE).text


@pytest.mark.parametrize("entry", ENTRIES, ids=str)
def test_the_python_validator_takes_an_entry_that_is_null(entry: Values) -> None:
    defaults = ChartSchema("llm-platform").defaults
    assert list(validator(schema_of("llm-platform")).iter_errors(laid(defaults, entry))) == []


def laid(base: Any, over: Any) -> Any:
    """One tree over another, without a meaning of null."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return {**base, **{key: laid(base.get(key), value) for key, value in over.items()}}


def of_ours() -> list[Knob]:
    """Knobs of the platform itself that may be null, without those of models and of the operators' charts."""
    schema = ChartSchema("llm-platform")
    found = [knob for knob in knobs(schema.source, schema.defaults) if not knob.optional]
    return [
        knob
        for knob in found
        if knob.path[0] not in {*OPERATORS, "vllm-model", "models"} and may_be_null(knob.schema, knob.default)
    ]


def test_every_knob_that_may_be_null_is_null_at_once() -> None:
    needed = {"gateway.ingress.hosts"}
    nulls: Values = {}
    for knob in of_ours():
        if knob.dotted not in needed:
            group = nulls
            for key in knob.path[:-1]:
                group = group.setdefault(key, {})
            group[knob.path[-1]] = None
    rendered = platform(BASE, nulls)
    assert len(of_ours()) > 50
    assert len(rendered.objects) > 10
    assert "<nil>" not in rendered.text
