"""Every knob does something: turned alone, in some setting, it changes what Helm renders or is refused.

``schema check`` looks for the names of knobs in the templates. This is the proof by doing it.
"""

from typing import Any

import pytest

from scripts.schema import values
from scripts.schema.generate import ChartSchema
from scripts.schema.lockstep import Knob, knobs
from tests.render.chart import MODEL
from tests.render.variants import VARIANTS
from tests.schema.knobs import made, renders, set_at, turned, unread

SCHEMA = ChartSchema("vllm-model")
KNOBS = list(knobs(SCHEMA.source, SCHEMA.defaults))
ALONE = "alone"
"""Stands for all knobs that are in no group."""


def group_of(knob: Knob) -> str:
    return knob.path[0] if len(knob.path) > 1 else ALONE


GROUPS = sorted({group_of(knob) for knob in KNOBS})

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


@pytest.mark.parametrize("group", GROUPS)
def test_every_knob_changes_what_is_rendered_or_is_refused(group: str) -> None:
    left = knobs_of(group)
    for setting in settings(group):
        left = unread(left, setting) if left else []
    assert [knob.dotted for knob in left] == []


def test_a_value_that_nobody_reads_is_found() -> None:
    before, after = renders([MODEL, set_at(MODEL, ("nobodyReadsThis",), 1)])
    assert before == after


def test_a_knob_is_turned_away_from_its_default() -> None:
    stuck = [knob.dotted for knob in KNOBS if not [*turned(knob)]]
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
