"""Which keys a foreign chart's values have, as they are read from an archive made on the spot."""

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import dependency_keys
from scripts.console import UserError
from scripts.schema.dependencies import Tree

VALUES = """\
# A sentence that ends like a key:
image:
  repository: x
  # -- Prose about the tag: it may be unset
  # tag: v1
  # pull:
  #   policy: Always
podLabels:
  a: b
ingress: {}
  # className: nginx
resources:
  limits: {cpu: 1}
affinity: {}
tolerations: []
config: |
  key: value
  # comment: in a text
empty:
prometheusSpec:
  storageSpec: {}
  podDisruptionBudget:
    enabled: true
"""

TEMPLATE = """\
{{- if .Values.image.digest }}{{ .Values.image.digest.value }}{{ end }}
{{- include "x" .Values.prometheusSpec }}
spec: {{ toYaml (omit .Values.prometheusSpec.podDisruptionBudget "enabled") }}
{{ (.Values.serviceAccount).name }}
"""


def archive(folder: Path, files: dict[str, str], name: str = "outer") -> Path:
    """An archive of the files given."""
    path = folder / f"{name}.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for file, text in files.items():
            member = tarfile.TarInfo(f"{name}/{file}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def recorded(folder: Path, files: dict[str, str]) -> dict[str, Any]:
    """What is written down of a chart ``outer``."""
    chart = {"Chart.yaml": "{name: outer, version: 1.2.3}"}
    return dependency_keys.record(dependency_keys.read(archive(folder, chart | files), "outer"))


def test_keys_of_the_defaults_are_known_and_maps_of_the_user_are_free(tmp_path: Path) -> None:
    keys = recorded(tmp_path, {"values.yaml": VALUES})["keys"]
    assert keys["image"]["repository"] is None
    assert [keys[name] for name in ("podLabels", "ingress", "config", "empty", "global")] == [None] * 5


def test_keys_in_comments_are_known_and_prose_is_none(tmp_path: Path) -> None:
    keys = recorded(tmp_path, {"values.yaml": VALUES})["keys"]
    assert set(keys["image"]) == {"repository", "tag", "pull"}
    assert not {"comment", "className", "policy", "A"} & keys.keys()


def test_what_goes_to_kubernetes_has_a_shape(tmp_path: Path) -> None:
    keys = recorded(tmp_path, {"values.yaml": VALUES})["keys"]
    assert (keys["resources"], keys["affinity"], keys["tolerations"]) == ("resources", "affinity", "tolerations")
    assert keys["prometheusSpec"]["storageSpec"] == "storage"


def test_keys_that_only_templates_read_are_known(tmp_path: Path) -> None:
    keys = recorded(tmp_path, {"values.yaml": VALUES, "templates/a.yaml": TEMPLATE})["keys"]
    assert keys["image"]["digest"] is None
    assert "serviceAccount" in keys


def test_a_map_that_a_template_hands_over_whole_is_open(tmp_path: Path) -> None:
    found = recorded(tmp_path, {"values.yaml": VALUES, "templates/a.yaml": TEMPLATE})
    assert found["open"] == ["prometheusSpec.podDisruptionBudget"]
    assert found["keys"]["prometheusSpec"]["podDisruptionBudget"] == {"enabled": None}


INNER = {
    "Chart.yaml": "{name: outer, version: 1.2.3, dependencies: [{name: inner}, {name: away}]}",
    "values.yaml": "inner: {a: 1}\naway: {b: 1}\n",
    "charts/inner/Chart.yaml": "{name: inner, version: 1.0.0}",
    "charts/inner/values.yaml": "c: {d: 1}\n",
}


def test_a_chart_within_has_the_keys_of_both_and_is_open(tmp_path: Path) -> None:
    found = recorded(tmp_path, INNER)
    assert found["keys"]["inner"] == {"a": None, "c": {"d": None}, "global": None}
    assert found["keys"]["away"] == {"b": None}
    assert found["open"] == ["away", "inner"]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    found = recorded(tmp_path, INNER)
    text = dependency_keys.text_of("outer", found)
    assert yaml.safe_load(text) == found
    assert "null" not in text


def test_another_chart_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, {"Chart.yaml": "{name: other, version: 1.2.3}"}, name="other")
    with pytest.raises(UserError, match="not the archive of outer"):
        dependency_keys.read(path, "outer")


def test_a_tree_has_more_where_the_other_is_closed_and_lacks_a_key() -> None:
    known: Tree = {"a": {"b": None}, "free": None}
    assert dependency_keys.more({"a": {"c": None}}, known)
    assert not dependency_keys.more({"a": {"b": {"x": None}}, "free": {"y": None}}, known)


def test_what_is_new_in_an_open_map_is_nothing_more() -> None:
    known: Tree = {"a": {"b": {"c": None}}}
    fresh: Tree = {"a": {"b": {"new": None}}}
    assert dependency_keys.more(fresh, known)
    assert not dependency_keys.more(fresh, known, free={"a"})
    assert not dependency_keys.more(fresh, known, free={"a.b"})
