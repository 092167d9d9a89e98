"""What the generator makes of a source."""

from pathlib import Path
from typing import Any

import pytest

from scripts.console import UserError
from scripts.schema import sources
from scripts.schema.bundle import Form, bundle
from scripts.schema.kubernetes import closure, first_sentence, strict
from scripts.schema.sources import Schema, load

SOURCE: Schema = {
    "title": "Values of a test",
    "type": "object",
    "description": "A chart.",
    "properties": {
        "count": {"type": "integer", "minimum": 0, "description": "How many."},
        "limit": {"type": "integer", "minimum": 0, "description": "At most. Unset: none."},
        "size": {"type": "string", "enum": ["small", "large"], "description": "How large."},
        "labels": {
            "type": "object",
            "x-free-map": "label names are the user's",
            "additionalProperties": {"type": "string"},
            "description": "Labels.",
        },
        "group": {
            "type": "object",
            "description": "A group.",
            "properties": {
                "names": {"type": "array", "items": {"type": "string"}, "description": "Names."},
                "paths": {"type": "array", "minItems": 1, "items": {"type": "string"}, "description": "Paths."},
            },
        },
        "mounts": {
            "type": "array",
            "items": {"$ref": "#/definitions/io.k8s.api.core.v1.VolumeMount"},
            "description": "Mounts.",
        },
        "affinity": {"$ref": "#/definitions/io.k8s.api.core.v1.Affinity", "description": "Where pods may run."},
    },
    "if": {"properties": {"count": {"const": 1}}},
    "then": {"required": ["size"]},
}
DEFAULTS: dict[str, Any] = {
    "count": 1,
    "limit": None,
    "size": "small",
    "labels": {},
    "group": {"names": ["a"], "paths": ["/"]},
    "mounts": [],
    "affinity": {},
}


@pytest.fixture
def strict_form() -> Schema:
    return bundle(SOURCE, DEFAULTS, Form.STRICT)


@pytest.fixture
def overlay_form() -> Schema:
    return bundle(SOURCE, DEFAULTS, Form.OVERLAY)


def test_objects_are_closed(strict_form: Schema) -> None:
    assert strict_form["additionalProperties"] is False
    assert strict_form["properties"]["group"]["additionalProperties"] is False
    assert strict_form["properties"]["affinity"]["additionalProperties"] is False


def test_a_free_map_stays_open_and_its_entries_may_be_null(strict_form: Schema) -> None:
    assert strict_form["properties"]["labels"]["additionalProperties"] == {"type": ["string", "null"]}


def test_defaults_come_from_the_values(strict_form: Schema) -> None:
    assert strict_form["properties"]["count"]["default"] == 1
    assert strict_form["properties"]["group"]["properties"]["names"]["default"] == ["a"]
    assert "default" not in strict_form["properties"]["group"]


def test_what_is_unset_or_may_be_empty_may_be_null(strict_form: Schema) -> None:
    assert strict_form["properties"]["limit"]["type"] == ["integer", "null"]
    assert strict_form["properties"]["labels"]["type"] == ["object", "null"]
    assert strict_form["properties"]["group"]["properties"]["names"]["type"] == ["array", "null"]


def test_what_has_a_default_that_is_needed_may_not_be_null(strict_form: Schema) -> None:
    assert strict_form["properties"]["count"]["type"] == "integer"
    assert strict_form["properties"]["size"]["enum"] == ["small", "large"]
    assert strict_form["required"] == ["count", "size", "group"]
    assert strict_form["properties"]["group"]["required"] == ["paths"]


def test_the_overlay_demands_nothing(overlay_form: Schema) -> None:
    assert "required" not in overlay_form
    assert "required" not in overlay_form["properties"]["group"]
    assert "if" not in overlay_form


def test_the_strict_form_keeps_its_conditions(strict_form: Schema) -> None:
    assert strict_form["then"] == {"required": ["size"]}


def test_definitions_of_kubernetes_are_taken_along_and_no_others(strict_form: Schema) -> None:
    names = set(strict_form["definitions"])
    assert "io.k8s.api.core.v1.VolumeMount" in names
    assert "io.k8s.api.core.v1.NodeSelectorTerm" in names
    assert "io.k8s.api.core.v1.Toleration" not in names


def test_prose_of_kubernetes_is_for_editors_only(strict_form: Schema, overlay_form: Schema) -> None:
    mount = "io.k8s.api.core.v1.VolumeMount"
    assert "description" not in strict_form["definitions"][mount]["properties"]["mountPath"]
    assert "description" in overlay_form["definitions"][mount]["properties"]["mountPath"]


def test_a_field_of_a_kubernetes_object_may_be_null(strict_form: Schema) -> None:
    assert strict_form["properties"]["affinity"]["properties"]["nodeAffinity"]["type"] == ["object", "null"]


def test_keywords_of_our_own_are_left_out(strict_form: Schema) -> None:
    assert "x-free-map" not in strict_form["properties"]["labels"]
    assert not [key for key in strict_form["properties"]["affinity"] if key.startswith("x-")]


def write(folder: Path, **files: str) -> Path:
    """Writes sources; returns the one called root."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder / "root.yaml"


def test_references_to_files_and_to_parts_of_files_are_taken_in(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        root="a: {$ref: other.yaml#/part}\nb: {$ref: '#/here'}\nhere: {type: string}\n",
        other="part: {type: integer, description: A part.}\n",
    )
    assert load(root)["a"] == {"type": "integer", "description": "A part."}
    assert load(root)["b"] == {"type": "string"}


def test_keys_beside_a_reference_win(tmp_path: Path) -> None:
    root = write(tmp_path, root="a: {$ref: '#/definitions/port', description: The port., maximum: 10}\n")
    assert load(root)["a"] == {"type": "integer", "minimum": 1, "maximum": 10, "description": "The port."}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: {$ref: none.yaml}", "leads to no file"),
        ("a: {$ref: '#/nothing'}", "has no nothing"),
        ("a: {$ref: '#/definitions/nothing'}", "no definition nothing"),
        ("a: b: c", "is not YAML"),
    ],
)
def test_a_reference_that_leads_nowhere_is_said(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=complaint):
        load(write(tmp_path, root=text))


def test_a_name_that_is_defined_twice_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "definitions").mkdir()
    for name in ("one", "two"):
        (tmp_path / "definitions" / f"{name}.yaml").write_text("port: {type: integer}\n")
    monkeypatch.setattr(sources, "SCHEMAS", tmp_path)
    with pytest.raises(UserError, match="port exists twice"):
        sources.definitions.__wrapped__()


def test_a_kubernetes_object_is_closed_and_keeps_what_validates() -> None:
    api = {
        "type": "object",
        "description": "A thing. More about it.",
        "required": ["name"],
        "x-kubernetes-group-version-kind": [],
        "properties": {"name": {"type": "string", "format": "int32", "default": ""}},
    }
    assert strict("io.k8s.Thing", api) == {
        "type": "object",
        "description": "A thing.",
        "required": ["name"],
        "properties": {"name": {"type": "string"}},
        "additionalProperties": False,
    }


def test_int_or_string_and_quantity_are_what_they_are_in_yaml() -> None:
    assert strict("io.k8s.apimachinery.pkg.util.intstr.IntOrString", {})["type"] == ["integer", "string"]
    assert strict("io.k8s.apimachinery.pkg.api.resource.Quantity", {})["type"] == ["string", "number"]


def test_a_closure_follows_references() -> None:
    reference = {"$ref": "#/definitions/io.k8s.b"}
    available = {"io.k8s.a": {"items": reference}, "io.k8s.b": {}, "io.k8s.c": {}}
    assert list(closure({"io.k8s.a"}, available)) == ["io.k8s.a", "io.k8s.b"]


def test_a_description_ends_with_its_first_sentence() -> None:
    assert first_sentence("One. Two.") == "One."
    assert first_sentence("What is e.g.this: and more\nlines") == "What is e.g.this"
    assert len(first_sentence("word " * 100)) <= 160
