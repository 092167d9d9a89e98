"""The user's own objects: in both charts a text is a template, and a map is taken as it is."""

from collections.abc import Callable
from typing import Any

import pytest

from scripts.render import Object, RenderError
from tests.render.chart import model
from tests.render.platform import QUIET, platform

Extra = Callable[..., list[Object]]


def of_model(*entries: Any) -> list[Object]:
    made = model({"extraObjects": list(entries)})
    return [body for source, body in made.documents if source.endswith("/extra-objects.yaml")]


def of_platform(*entries: Any) -> list[Object]:
    made = platform(QUIET, {"extraObjects": list(entries)})
    return [body for source, body in made.documents if source.endswith("/extra-objects.yaml")]


each = pytest.mark.parametrize("extra", [of_model, of_platform])

ALERT: Object = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "PrometheusRule",
    "metadata": {"name": "own"},
    "spec": {"groups": [{"name": "own", "rules": [{"alert": "A", "annotations": {"summary": "{{ $labels.pod }}"}}]}]},
}


def config(name: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n"


@each
def test_map_keeps_the_braces_of_an_alert(extra: Extra) -> None:
    assert extra(ALERT) == [ALERT]


@each
def test_text_is_a_template(extra: Extra) -> None:
    (made,) = extra(config('"{{ .Release.Namespace }}-own"'))
    assert made["metadata"]["name"] == "llm-own"


@each
def test_text_may_hold_several_documents(extra: Extra) -> None:
    """The second was lost in silence otherwise: a reader of one document stops there."""
    made = extra(f"# Two.\n---\n{config('one')}---\n{config('two')}")
    assert [body["metadata"]["name"] for body in made] == ["one", "two"]


@each
def test_line_of_dashes_inside_a_value_ends_no_document(extra: Extra) -> None:
    (made,) = extra(config("one") + "data:\n  text: |\n    ---\n    more\n")
    assert made["data"]["text"] == "---\nmore\n"


@each
def test_text_may_come_out_empty(extra: Extra) -> None:
    assert extra("{{ if false }}" + config("one") + "{{ end }}") == []


@each
@pytest.mark.parametrize("text", ["a: [b", "metadata: {name: a}", "[a]", "just words"])
def test_text_that_is_no_object_is_refused_with_its_position(extra: Extra, text: str) -> None:
    with pytest.raises(RenderError, match=r"extraObjects\[1\] "):
        extra(config("one"), text)
