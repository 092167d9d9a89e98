"""What the header of a values file says, read back."""

import re
from dataclasses import dataclass
from pathlib import Path

from scripts.kubernetes_yaml import load
from scripts.paths import VALUES
from tests.render.variants import Values

FILES = sorted((VALUES / "models").glob("*.yaml"))
LOCAL = "tiny-cpu"
"""The file for the local cluster: no machine that can be rented."""

INSTANCE = re.compile(r"\b(?:[a-z]\w*\.\w+|[agn]\d-[a-z]+-\w+|Standard_\w+)")
"""Names of instance types: g6.2xlarge, a2-ultragpu-2g, Standard_NC48ads_A100_v4."""


@dataclass(frozen=True)
class Header:
    """The rows of a header by their title, each as one line."""

    rows: dict[str, str]

    def number(self, row: str, expression: str) -> float:
        """The first number of a row that an expression with one group finds."""
        found = re.search(expression, self.rows[row])
        assert found, f"{row}: no {expression!r} in {self.rows[row]!r}"
        return float(found[1].replace(",", ""))

    @property
    def instances(self) -> list[str]:
        """The smallest machines, one a cloud."""
        return INSTANCE.findall(self.rows["Instances"])


def header(path: Path) -> Header:
    """Reads the comment above the values."""
    rows: dict[str, str] = {}
    title = ""
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        if found := re.match(r"^# ([A-Z]\w*(?: cache)?) {2,}(\S.*)$", line):
            title = found[1]
            rows[title] = found[2]
        elif title and (more := re.match(r"^# {4,}(\S.*)$", line)):
            rows[title] += f" {more[1]}"
        else:
            title = ""
    return Header(rows)


def values(path: Path) -> Values:
    """The values themselves."""
    found: Values = load(path.read_text())
    return found
