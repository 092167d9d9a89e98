"""Every knob does something: turned alone, in some setting, it changes what Helm renders or is refused.

``schema check`` looks for the names of knobs in the templates. This is the proof by doing it.
"""

from typing import Any

import pytest

from scripts.schema import values
from scripts.schema.generate import ChartSchema
from scripts.schema.lockstep import Knob, knobs
from tests.render.chart import MODEL
from tests.render.platform import TINY
from tests.render.test_platform_objects import VARIANTS as PLATFORM_VARIANTS
from tests.render.variants import VARIANTS
from tests.schema.knobs import PLATFORM, made, renders, set_at, turned, unread


def knobs_of_chart(chart: str) -> list[Knob]:
    """The knobs of a chart that are its own, and not those of a chart that it embeds or depends on."""
    schema = ChartSchema(chart)
    own = [knob for knob in knobs(schema.source, schema.defaults) if not FOREIGN & knob.schema.keys()]
    return [knob for knob in own if knob.path != ("models",)]


FOREIGN = {"x-embed", "x-dependency"}
KNOBS = knobs_of_chart("vllm-model")
PLATFORM_KNOBS = knobs_of_chart("llm-platform")
ALONE = "alone"
"""Stands for all knobs that are in no group."""


def group_of(knob: Knob) -> str:
    return knob.path[0] if len(knob.path) > 1 else ALONE


GROUPS = sorted({group_of(knob) for knob in KNOBS})
PLATFORM_GROUPS = sorted({group_of(knob) for knob in PLATFORM_KNOBS})

WIDE = (
    *("token of a gated model", "download job", "adapters", "chat template", "tracing", "key", "placed"),
    *("keda with every trigger", "ingress of nginx", "route", "callers", "watched", "quota", "labels"),
)
"""Variants that go together: with all of them most of what a model can have is there."""


def settings(group: str) -> list[dict[str, Any]]:
    """Values under which the knobs of a group are turned: the least, the widest, and each variant about the group."""
    wide = dict(MODEL)
    for name in WIDE:
        wide = values.coalesce(wide, VARIANTS[name])
    about = [variant for variant in VARIANTS.values() if group in variant]
    return [dict(MODEL), wide, *(values.coalesce(dict(MODEL), variant) for variant in about)]


def knobs_of(group: str) -> list[Knob]:
    return [knob for knob in KNOBS if group_of(knob) == group]


@pytest.mark.exhaustive
@pytest.mark.parametrize("group", GROUPS)
def test_every_knob_changes_what_is_rendered_or_is_refused(group: str) -> None:
    left = knobs_of(group)
    for setting in settings(group):
        left = unread(left, setting) if left else []
    assert [knob.dotted for knob in left] == []


SLEEPER: dict[str, Any] = {**TINY, "autoscaling": {"type": "keda", "minReplicas": 0}}
PLATFORM_SETTINGS: list[dict[str, Any]] = [
    {"models": {"tiny": TINY}, "tenants": {"team-a": {"models": ["tiny"], "namespace": {"create": True}}}},
    {"models": {"tiny": SLEEPER}, "tenants": {"team-a": {}}},
    PLATFORM_VARIANTS["everything of the gateway"],
    {"models": {"tiny": TINY}, **PLATFORM_VARIANTS["inference extension by none"]},
    {
        "models": {"tiny": TINY},
        "gateway": {"type": "inference-extension", "inferenceExtension": {"gatewayRef": {"name": "public"}}},
    },
    {"models": {"tiny": TINY}, **PLATFORM_VARIANTS["ingress by nginx"]},
    {"models": {"tiny": TINY}, **PLATFORM_VARIANTS["route"]},
    {"models": {"tiny": TINY, "other": TINY}, "gateway": {"autoscaling": {"enabled": True}}},
    {
        "models": {"tiny": TINY},
        "tenants": {"team-a": {"limits": {"requestsPerSecond": 5}}},
        "monitoring": {"cost": {"budgetPerHour": 100, "prices": {"NVIDIA-L4": 1}}},
    },
    {"models": {"tiny": TINY}, "monitoring": {"enabled": False}},
]
"""Settings of the umbrella that together bring out all of its own objects."""


@pytest.mark.exhaustive
@pytest.mark.parametrize("group", PLATFORM_GROUPS)
def test_every_knob_of_the_platform_changes_what_is_rendered_or_is_refused(group: str) -> None:
    left = [knob for knob in PLATFORM_KNOBS if group_of(knob) == group]
    for setting in PLATFORM_SETTINGS:
        left = unread(left, setting, PLATFORM) if left else []
    assert [knob.dotted for knob in left] == []


def test_a_value_that_nobody_reads_is_found() -> None:
    before, after = renders([MODEL, set_at(MODEL, ("nobodyReadsThis",), 1)])
    assert before == after


def test_a_knob_is_turned_away_from_its_default() -> None:
    stuck = [knob.dotted for knob in KNOBS + PLATFORM_KNOBS if not [*turned(knob)]]
    assert stuck == []


@pytest.mark.parametrize(
    ("schema", "default", "value"),
    [
        ({"type": "boolean"}, True, False),
        ({"type": ["integer", "null"], "minimum": 5}, None, 6),
        ({"type": "number", "maximum": 1}, 1, 0.5),
        ({"type": "array", "items": {"type": "string"}}, [], ["probe"]),
        ({"type": "object", "properties": {"name": {"type": "string"}}}, {}, {"name": "probe"}),
    ],
)
def test_values_are_made_by_their_schema(schema: dict[str, Any], default: Any, value: Any) -> None:
    assert value in made(schema, default)
