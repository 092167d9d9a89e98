"""The difference of default values between two revisions."""

import pytest

from scripts.console import UserError
from scripts.release.values_diff import as_markdown, at_revision, difference, flatten


def test_leaves_are_named_by_their_path_and_lists_are_leaves() -> None:
    values = {"a": {"b": True, "c": [1, 2]}, "d": None, "e": "", "f": {}}
    assert dict(flatten(values)) == {"a.b": "true", "a.c": "[1, 2]", "d": "null", "e": '""', "f": "{}"}


def test_what_came_went_and_changed_is_told_apart() -> None:
    assert difference({"went": "1", "stayed": "2", "changed": "3"}, {"stayed": "2", "changed": "4", "came": "5"}) == [
        ("came", "", "5"),
        ("changed", "3", "4"),
        ("went", "1", ""),
    ]


def test_the_table_survives_a_pipe_in_a_value() -> None:
    assert as_markdown([("a", "x|y", "")]).splitlines()[-1] == "| `a` | `x\\|y` | - |"


def test_the_table_shows_the_beginning_of_a_long_value() -> None:
    assert as_markdown([("a", "", "x" * 5000)]).splitlines()[-1] == f"| `a` | - | `{'x' * 100}...` |"


def test_an_unknown_revision_is_an_error() -> None:
    with pytest.raises(UserError, match="Git does not know"):
        at_revision("no-such-tag", "charts/vllm-model/values.yaml")


def test_a_file_that_was_not_there_yet_had_no_values() -> None:
    assert at_revision("HEAD", "charts/none/values.yaml") == {}
