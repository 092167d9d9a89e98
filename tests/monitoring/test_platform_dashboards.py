"""The platform's dashboards as the chart renders them, and what the documentation tells Alertmanager."""

import json
import re
from pathlib import Path

import pytest
import yaml

from scripts.dashboards import DASHBOARDS, PLATFORM_DASHBOARDS
from scripts.paths import REPO
from scripts.render import Object
from tests.monitoring.platform import BASE, alerts
from tests.render.platform import Values, given, platform

BOARDS = [path for path in DASHBOARDS if path.parent == PLATFORM_DASHBOARDS]
PAGE = REPO / "docs" / "monitoring.md"


def rendered(values: Values | None = None) -> dict[str, Object]:
    """The ConfigMaps of the dashboards by the dashboard's name."""
    found = [
        body for body in platform(BASE, values or {}).all("ConfigMap") if "-dashboard-" in body["metadata"]["name"]
    ]
    return {body["metadata"]["name"].removeprefix("llm-dashboard-"): body for body in found}


def test_five_dashboards_carry_the_label_that_grafanas_sidecar_is_told_to_look_for() -> None:
    made = rendered()
    assert set(made) == {"gateway", "autoscaling", "gpus", "cost", "model"}
    sidecar = given(platform(BASE), "kube-prometheus-stack")["grafana"]["sidecar"]["dashboards"]
    assert sidecar["searchNamespace"] == "ALL"
    for body in made.values():
        assert body["metadata"]["labels"][sidecar["label"]] == sidecar["labelValue"]


def test_a_configmap_holds_one_dashboard_whole_and_under_a_uid_of_its_own() -> None:
    uids = set()
    for name, body in rendered().items():
        ((file, text),) = body["data"].items()
        assert file == f"llm-platform-{name}.json"
        path = next(path for path in DASHBOARDS if path.name == f"{name}.json")
        assert json.loads(text) == json.loads(path.read_text())
        uids.add(json.loads(text)["uid"])
    assert len(uids) == 5


def test_models_share_one_dashboard_instead_of_bringing_one_each() -> None:
    whole = platform(BASE).all("ConfigMap")
    assert [body["metadata"]["name"] for body in whole if "llama" in body["metadata"]["name"]] == []


def test_labels_annotations_and_the_switch_are_values() -> None:
    said: Values = {
        "monitoring": {"dashboards": {"labels": {"my": "grafana"}, "annotations": {"grafana_folder": "LLM"}}}
    }
    for body in rendered(said).values():
        assert body["metadata"]["labels"]["my"] == "grafana"
        assert body["metadata"]["annotations"] == {"grafana_folder": "LLM"}
    assert rendered({"monitoring": {"dashboards": {"enabled": False}}}) == {}


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_every_variable_that_a_query_uses_can_be_chosen(path: Path) -> None:
    board = json.loads(path.read_text())
    variables = board["templating"]["list"]
    asked = " ".join(target["expr"] for panel in board["panels"] for target in panel.get("targets", []))
    asked += " ".join(str(variable.get("query", "")) for variable in variables)
    used = set(re.findall(r"\$([a-z]\w*)", asked))
    assert used
    assert used <= {variable["name"] for variable in variables}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_no_two_panels_share_an_id_or_a_place(path: Path) -> None:
    board = json.loads(path.read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def documented() -> list[Values]:
    """The values that docs/monitoring.md shows."""
    return [yaml.safe_load(block) for block in re.findall(r"^```yaml.*?\n(.*?)^```", PAGE.read_text(), re.S | re.M)]


def test_the_documented_values_render() -> None:
    assert len(documented()) == 2
    for values in documented():
        assert platform(BASE, values).one("PrometheusRule", "llm")


def test_the_documented_routes_name_receivers_and_alerts_that_exist() -> None:
    stack = documented()[1]["kube-prometheus-stack"]["alertmanager"]
    config = stack["config"]
    receivers = {receiver["name"]: receiver for receiver in config["receivers"]}
    assert {config["route"]["receiver"], *(route["receiver"] for route in config["route"]["routes"])} == set(receivers)
    for receiver in receivers.values():
        for kind in ("slack_configs", "msteamsv2_configs"):
            for target in receiver.get(kind, []):
                file = target.get("api_url_file") or target["webhook_url_file"]
                assert file.split("/")[4] in stack["alertmanagerSpec"]["secrets"]
    named = set(re.findall(r"Llm\w+", json.dumps(config["inhibit_rules"])))
    assert all(any(alert.startswith(name) for alert in alerts()) for name in named), named


def test_every_series_that_the_page_tells_of_is_recorded_and_the_other_way_round() -> None:
    rules = [rule for group in platform(BASE).one("PrometheusRule", "llm")["spec"]["groups"] for rule in group["rules"]]
    made = {rule["record"] for rule in rules if "record" in rule}
    table = PAGE.read_text().partition("## Recording rules")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(\w+:\w+:\w+)`", table)) == made
