"""Values of the operators' charts: recorded keys close the umbrella's schema, near misses are refused elsewhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.platform_chart import dependencies
from scripts.schema import values
from scripts.schema.dependencies import Tree, charts, distance, near_misses, nearest, recorded
from scripts.schema.generate import ChartSchema
from scripts.schema.validate import problems, schema_of, validator
from tests.schema import probe

SPEC = ("kube-prometheus-stack", "prometheus", "prometheusSpec")


def refused(stated: dict[str, Any]) -> dict[str, str]:
    """What is refused of values of the umbrella, and the way out, by path."""
    whole = values.coalesce(ChartSchema("llm-platform").defaults, stated)
    return {problem.where: problem.fix for problem in problems(schema_of("llm-platform"), whole, "llm-platform")}


def leaves(tree: Tree, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The paths of a tree that have nothing below them."""
    if isinstance(tree, dict):
        for name, below in tree.items():
            yield from leaves(below, (*path, name))
    elif tree is None:
        yield path


def stated(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return dict(value)


def test_the_keys_of_every_operator_are_recorded_at_the_version_that_is_pinned() -> None:
    pinned = {dependency.name: dependency.version for dependency in dependencies() if not dependency.is_local}
    assert {chart: recorded(chart).version for chart in charts()} == pinned


@pytest.mark.parametrize("chart", charts())
def test_every_recorded_key_is_taken_whatever_it_is_set_to(chart: str) -> None:
    schema = schema_of("llm-platform")
    check = validator(schema["properties"][chart] | {"definitions": schema["definitions"]})
    paths = [path for path in leaves(recorded(chart).keys, ()) if path != ("enabled",)]
    values_of_all_kinds: list[Any] = [None, 1, "text", [], {"any": {"thing": 1}}]
    wrong = [path for path in paths for value in values_of_all_kinds if not check.is_valid(stated(path, value))]
    assert wrong == []


@pytest.mark.parametrize("helm", probe.HELMS)
def test_helm_takes_every_recorded_key(helm: str, tmp_path: Path) -> None:
    """Laid over the defaults as a subchart's own defaults are."""
    whole: dict[str, Any] = {}
    for chart in charts():
        for path in leaves(recorded(chart).keys, (chart,)):
            if path[1:] != ("enabled",):
                whole = values.coalesce(stated(path, 1), whole)
    typed = tmp_path / "typed.yaml"
    typed.write_text(probe.as_text(whole))
    assert probe.takes(probe.make(tmp_path / "llm-platform", of="llm-platform"), [typed], helm)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        (("gpu-operator", "drivers"), "driver"),
        (("keda", "prometheus", "operator", "enable"), "enabled"),
        ((*SPEC, "podMonitorSelectorNilUsesHelmValue"), "podMonitorSelectorNilUsesHelmValues"),
        (("kube-prometheus-stack", "grafana", "side_car"), "sidecar"),
        (("gpu-operator", "daemonsets", "toleration"), "tolerations"),
    ],
)  # fmt: skip
def test_a_misspelt_key_is_refused_with_the_one_that_was_meant(path: tuple[str, ...], meant: str) -> None:
    assert refused(stated(path, {})) == {".".join(path): f"Did you mean {meant}?"}


def test_a_misspelt_key_within_a_claim_of_an_operator_is_refused() -> None:
    claim = {"spec": {"storageClasName": "gp3"}}
    found = refused(stated((*SPEC, "storageSpec", "volumeClaimTemplate"), claim))
    assert [*found.values()] == ["Did you mean storageClassName?"]


def test_a_key_like_no_other_is_refused_where_all_are_known_with_the_way_round() -> None:
    assert "--skip-schema-validation" in refused({"keda": {"fromMars": 1}})["keda.fromMars"]


def test_an_open_map_takes_what_is_no_near_miss() -> None:
    assert refused({"gpu-operator": {"daemonsets": {"hostPID": True}}}) == {}


@pytest.mark.parametrize(
    "path", [("grafana",), ("grafana", "sidecar", "dashboards"), ("kube-state-metrics", "prometheus")]
)
def test_a_chart_within_an_operators_may_have_keys_that_are_new(path: tuple[str, ...]) -> None:
    """Its defaults are held against the umbrella's schema too, and its version follows a range."""
    assert refused(stated(("kube-prometheus-stack", *path), {"brandNew": 1})) == {}


def test_a_slip_in_a_chart_within_an_operators_is_refused() -> None:
    slip = stated(("kube-prometheus-stack", "grafana", "sidecar", "dashboards"), {"enable": True})
    assert [*refused(slip).values()] == ["Did you mean enabled?"]


def test_maps_of_the_user_are_free() -> None:
    assert refused({"keda": {"podAnnotations": {"keda": {"any": "thing"}}}, "gpu-operator": {"global": {"x": 1}}}) == {}


def test_a_key_of_ours_is_not_sent_to_an_operator() -> None:
    """`retention` stands in the values of Prometheus, and nowhere else."""
    assert "prometheusSpec" not in refused({"gateway": {"retention": 1}})["gateway.retention"]


@pytest.mark.parametrize(
    ("left", "right", "slips"),
    [("abc", "abc", 0), ("abc", "ab", 1), ("abcd", "abdc", 1), ("abc", "xbz", 2), ("", "ab", 2)],
)
def test_slips_are_letters_lost_added_changed_or_swapped(left: str, right: str, slips: int) -> None:
    assert distance(left, right) == distance(right, left) == slips


def test_a_short_name_is_no_near_miss_of_another() -> None:
    known = {"tag": 1, "port": 1, "replicas": 1}
    assert (nearest("tax", known), nearest("ports", known), nearest("pord", known)) == ("", "port", "port")
    assert (nearest("replcia", known), nearest("container", known)) == ("replicas", "")


def test_values_of_other_charts_are_no_near_misses() -> None:
    assert [*near_misses({"grafana": {"sidecarr": 1}, "gpu-operator": None})] == []
