"""What a release changes in the default values: what belongs into CHANGELOG.md before the version is raised."""

import subprocess
from collections.abc import Iterator
from typing import Any

from scripts.console import UserError
from scripts.kubernetes_yaml import load
from scripts.paths import REPO

Flat = dict[str, str]

LONGEST = 100
"""Characters of a value that a table shows: a list of rules would be wider than any page."""


def flatten(values: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every leaf by its path (``probes.startup.periodSeconds``), its value as YAML shows it. Lists are leaves."""
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from flatten(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, shown(values)


def shown(value: Any) -> str:
    """A value on one line."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return value if value else '""'
    return str(value)


def at_revision(revision: str, path: str) -> Flat:
    """The values of a chart as they were at a tag, branch or commit; none where the file was not there yet.

    Raises:
        UserError: Git does not know the revision.
    """
    known = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"], cwd=REPO, capture_output=True
    )
    if known.returncode != 0:
        raise UserError(f"Git does not know {revision}", fix="a tag, branch or commit: git tag --list")
    found = subprocess.run(["git", "show", f"{revision}:{path}"], cwd=REPO, capture_output=True, text=True, check=False)
    return dict(flatten(load(found.stdout))) if found.returncode == 0 else {}


def now(path: str) -> Flat:
    """The values of a chart as they are in the tree."""
    return dict(flatten(load((REPO / path).read_text(encoding="utf-8"))))


def difference(before: Flat, after: Flat) -> list[tuple[str, str, str]]:
    """Path, old and new value of every leaf that is not the same; an empty text where there was or is none."""
    paths = sorted(before.keys() | after.keys())
    return [(path, before.get(path, ""), after.get(path, "")) for path in paths if before.get(path) != after.get(path)]


def as_markdown(changes: list[tuple[str, str, str]]) -> str:
    """The table for CHANGELOG.md."""

    def cell(text: str) -> str:
        short = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
        return f"`{short}`".replace("|", "\\|") if text else "-"

    rows = [f"| `{path}` | {cell(old)} | {cell(new)} |" for path, old, new in changes]
    return "\n".join(["| key | before | now |", "|---|---|---|", *rows])
