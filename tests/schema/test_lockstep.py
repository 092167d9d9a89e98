"""Sources, values.yaml, templates and everything generated say the same."""

import copy
import json
import re
import shutil
from pathlib import Path

import pytest

from scripts.json_schema import Draft7Validator
from scripts.kubernetes_modules import MODULES
from scripts.paths import CHARTS
from scripts.schema import generate, kubernetes, lockstep, meta
from scripts.schema.generate import ChartSchema
from scripts.schema.validate import schema_of

CHART_NAMES = generate.charts()

LARGEST_SCHEMA = 450_000
"""Bytes of a chart's schema. It lies in the Secret of every release, which may hold 1 MiB in all, compressed."""


def test_both_charts_have_a_schema() -> None:
    assert CHART_NAMES == ["llm-platform", "vllm-model"]


@pytest.mark.parametrize("chart", CHART_NAMES)
def test_generated_files_are_up_to_date(chart: str) -> None:
    assert list(generate.stale([chart])) == [], "make generate"


@pytest.mark.parametrize("chart", CHART_NAMES)
def test_generating_twice_gives_the_same(chart: str) -> None:
    assert ChartSchema(chart).files() == ChartSchema(chart).files()


def test_the_kubernetes_definitions_are_those_of_the_pinned_module() -> None:
    assert kubernetes.DEFINITIONS_FILE.read_text() == kubernetes.render(kubernetes.from_module())


def test_the_definitions_name_the_version_they_come_from() -> None:
    assert MODULES["kubernetes"].version in json.loads(kubernetes.DEFINITIONS_FILE.read_text())["$comment"]


@pytest.mark.parametrize("chart", CHART_NAMES)
def test_the_source_keeps_the_rules_of_the_meta_schema(chart: str) -> None:
    assert meta.meta_problems(chart) == []


@pytest.mark.parametrize("chart", CHART_NAMES)
def test_every_knob_has_a_default(chart: str) -> None:
    schema = ChartSchema(chart)
    assert lockstep.missing_defaults(schema.source, schema.defaults) == []


@pytest.mark.parametrize("chart", CHART_NAMES)
def test_every_default_has_a_knob(chart: str) -> None:
    schema = ChartSchema(chart)
    assert lockstep.unknown_keys(schema.source, schema.defaults) == []


@pytest.mark.parametrize("chart", CHART_NAMES)
def test_every_knob_is_read_by_a_template(chart: str) -> None:
    schema = ChartSchema(chart)
    assert lockstep.unread_knobs(schema.source, schema.defaults, CHARTS / chart) == []


def test_every_key_of_the_defaults_is_explained_where_it_stands() -> None:
    assert lockstep.unexplained_keys((CHARTS / "vllm-model" / "values.yaml").read_text()) == []


def test_a_key_without_a_comment_is_found() -> None:
    text = "# -- A group.\nprobes:\n  startup:\n    enabled: true\n    patience: 1\nname: x\nodd: 1\n"
    assert lockstep.unexplained_keys(text) == ["probes.startup.patience", "odd"]


def test_a_default_that_is_missing_is_found() -> None:
    schema = ChartSchema("vllm-model")
    defaults = copy.deepcopy(schema.defaults)
    del defaults["probes"]["startup"]["periodSeconds"]
    assert lockstep.missing_defaults(schema.source, defaults) == ["probes.startup.periodSeconds"]


def test_a_default_that_nobody_describes_is_found() -> None:
    schema = ChartSchema("vllm-model")
    defaults = copy.deepcopy(schema.defaults)
    defaults["probes"]["startup"]["patience"] = 1
    assert lockstep.unknown_keys(schema.source, defaults) == ["probes.startup.patience"]


@pytest.mark.parametrize(
    "knob", ["spot.noticeSeconds", "probes.startup.periodSeconds", "service.headless", "commonLabels"]
)
def test_a_knob_that_no_template_reads_is_found(knob: str, tmp_path: Path) -> None:
    """The chart as it is, but for the templates' use of one knob."""
    schema = ChartSchema("vllm-model")
    chart = shutil.copytree(CHARTS / "vllm-model" / "templates", tmp_path / "templates").parent
    last = knob.rsplit(".", 1)[-1]
    for template in (chart / "templates").rglob("*.*"):
        template.write_text(re.sub(rf"\b{last}\b", "nothing", template.read_text()))
    assert knob in lockstep.unread_knobs(schema.source, schema.defaults, chart)


@pytest.mark.parametrize("chart", CHART_NAMES)
@pytest.mark.parametrize("partial", [False, True], ids=["strict", "overlay"])
def test_the_generated_schema_is_draft_07(chart: str, partial: bool) -> None:
    schema = schema_of(chart, partial=partial)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    Draft7Validator.check_schema(schema)


@pytest.mark.parametrize("chart", CHART_NAMES)
def test_the_generated_schema_needs_no_other_file(chart: str) -> None:
    """Helm knows no relative file in a packaged chart and would fetch an address at install."""
    text = (CHARTS / chart / "values.schema.json").read_text()
    assert set(re.findall(r'"\$ref": "(.)', text)) <= {"#"}
    assert re.findall(r'"x-[a-z-]+": ', text) == []


@pytest.mark.parametrize("chart", CHART_NAMES)
def test_the_chart_stays_small_enough_for_a_release(chart: str) -> None:
    assert (CHARTS / chart / "values.schema.json").stat().st_size < LARGEST_SCHEMA


def test_the_overlay_demands_nothing_outside_lists() -> None:
    overlay = schema_of("vllm-model", partial=True)
    assert "if" not in overlay
    assert Draft7Validator(overlay).is_valid(
        {"model": {"adapters": {"sql": {}}}, "autoscaling": {"triggers": {"cron": {"a": {}}}}}
    )
    assert not Draft7Validator(overlay).is_valid({"extraVolumeMounts": [{"name": "a"}]})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"description": None}, "description"),
        ({"type": None}, "not valid|type"),
        ({"minimum": None}, "not valid"),
        ({"minimun": 1}, "minimun"),
        ({"default": 1}, "default"),
        ({"additionalProperties": True}, "x-free-map|not valid"),
        ({"pattern": "a(?=b)"}, "read differently by Go"),
        ({"pattern": "abc"}, "anchored"),
    ],
    ids=str,
)
def test_a_source_that_breaks_a_rule_is_refused(
    change: dict[str, object], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One knob of the source, with one rule broken."""
    source = copy.deepcopy(ChartSchema("vllm-model").source)
    knob = source["properties"]["replicas"]
    for key, value in change.items():
        if value is None:
            del knob[key]
        else:
            knob[key] = value
    monkeypatch.setattr(meta, "load", lambda _: source)
    found = meta.meta_problems("vllm-model")
    assert [problem for problem in found if problem.startswith("replicas") and re.search(complaint, problem)], found
