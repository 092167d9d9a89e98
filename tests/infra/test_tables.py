"""The tables that others read, and values of a chart without a schema: a key that is typed wrong is refused."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.node_pools import TABLE
from scripts.paths import SCHEMAS
from scripts.schema import values
from scripts.schema.validate import validator
from tests.infra.pools import INFRA
from tests.schema.misspelling import Misspelling, misspellings

TABLES = {
    INFRA / "pools.yaml": "pools",
    TABLE: "node-pools",
    INFRA / "eks" / "cluster-autoscaler-values.yaml": "cluster-autoscaler-values",
}

NAMED = {("pools",), ("gpus",), ("instances",), ("expanderPriorities",)}
"""Maps whose keys are names that the table gives."""


def schema_path(table: Path) -> Path:
    return SCHEMAS / "tables" / f"{TABLES[table]}.schema.yaml"


def check_of(table: Path) -> Any:
    return validator(yaml.safe_load(schema_path(table).read_text(encoding="utf-8")))


def shortened(table: dict[str, Any]) -> dict[str, Any]:
    """A table with three rows of each kind: all rows of a kind are held to the same."""
    return {key: dict(itertools.islice(rows.items(), 3)) if (key,) in NAMED else rows for key, rows in table.items()}


def is_name(wrong: Misspelling) -> bool:
    """Whether a key is a name that the table gives, or a label of a cloud."""
    return wrong.path[:-1] in NAMED or "capacity" in wrong.path[:-2]


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_a_table_has_the_form_of_its_schema(table: Path) -> None:
    assert [error.message for error in check_of(table).iter_errors(values.read(table))] == []


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_a_misspelt_key_of_a_table_is_refused(table: Path) -> None:
    check = check_of(table)
    wrong = [each for each in misspellings(shortened(values.read(table))) if not is_name(each)]
    assert len(wrong) > 20
    assert [str(each) for each in wrong if check.is_valid(each.document)] == []


@pytest.mark.parametrize("table", TABLES, ids=lambda path: path.stem)
def test_editors_find_the_schema_of_a_table_in_its_first_line(table: Path) -> None:
    first = table.read_text(encoding="utf-8").splitlines()[0]
    assert (table.parent / first.removeprefix("# yaml-language-server: $schema=")).resolve() == schema_path(table)
