"""Reading values files as Helm reads them. That Helm agrees is shown in tests/schema/test_helm_agrees.py."""

from pathlib import Path

import pytest

from scripts.console import UserError
from scripts.schema.values import coalesce, parse, read, scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e3", 1000.0),
        ("1:30", "1:30"),
        ("y", True),
        ("off", False),
        ("~", None),
        ("0x1F", 31),
        ("017", 15),
        ("09", 9.0),
        ("1_000", 1000),
        ("16Gi", "16Gi"),
        ("1e400", "1e400"),
        ("2026-01-01", "2026-01-01"),
        ("-0b11", -3),
    ],
)
def test_a_plain_scalar_is_what_go_yaml_makes_of_it(text: str, value: object) -> None:
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


def test_quoted_scalars_are_texts() -> None:
    assert parse("a: 'y'\nb: \"1\"\nc: !!str 2\n", "x") == {"a": "y", "b": "1", "c": "2"}


def test_keys_become_texts() -> None:
    assert parse("on: 1\n2: 1\n1e3: 1\n'n': 1\n", "x") == {"true": 1, "2": 1, "1000": 1, "n": 1}


def test_merge_keys_are_taken_in() -> None:
    text = "base: &base {a: 1, b: {c: 2}}\nnext: {<<: *base, a: 3}\n"
    assert parse(text, "x")["next"] == {"a": 3, "b": {"c": 2}}


def test_an_empty_file_says_nothing() -> None:
    assert parse("# nothing\n", "x") == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\na: 2\n", "the key a stands twice"),
        ("a: {b: 1, b: 2}\n", "the key b stands twice"),
        ("a: 1\n---\nb: 2\n", "2 YAML documents"),
        ("- a\n", "no map of values"),
        ("a: [1\n", "cannot be read"),
        ("a: .inf\n", "not a number that JSON"),
        ("~: 1\n", "a key must be a text"),
    ],
)
def test_what_helm_would_misread_or_refuse_is_said(text: str, complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        parse(text, "values.yaml")


def test_an_error_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("a: 1\nb: [1\n")
    with pytest.raises(UserError, match=r"wrong\.yaml.*line 2"):
        read(path)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no file"):
        read(tmp_path / "none.yaml")


def test_maps_are_merged_and_all_else_replaced() -> None:
    default = {"map": {"a": 1, "b": 2}, "list": [1, 2], "text": "x"}
    stated = {"map": {"b": 3}, "list": [9], "new": True}
    expected = {"map": {"a": 1, "b": 3}, "list": [9], "text": "x", "new": True}
    assert coalesce(default, stated) == expected


@pytest.mark.parametrize("value", [False, 0, "", [], {}])
def test_empty_values_win_over_defaults(value: object) -> None:
    assert coalesce({"a": 1}, {"a": value}) == {"a": value}


def test_null_takes_a_default_away_and_stays_where_there_is_none() -> None:
    assert coalesce({"a": 1, "m": {"b": 2}}, {"a": None, "m": {"b": None, "c": None}}) == {"m": {"c": None}}


def test_coalescing_changes_nothing_in_place() -> None:
    default, stated = {"m": {"a": 1}}, {"m": {"b": 2}}
    coalesce(default, stated)
    assert (default, stated) == ({"m": {"a": 1}}, {"m": {"b": 2}})
