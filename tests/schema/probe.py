"""Charts that are nothing but a schema and its defaults, to hear Helm's judgement of values and nothing else."""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scripts.console import UserError
from scripts.paths import CHARTS
from scripts.render import RenderError, render

HELMS = ("helm", "helm3")

CHART_YAML = "apiVersion: v2\nname: {name}\nversion: 0.1.0\n"
TEMPLATE = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: values}
data: {json: {{ toJson .Values | quote }}}
"""


def make(folder: Path, *, schema: bool = True, of: str = "vllm-model") -> Path:
    """Writes a chart whose one template prints the values that Helm hands to templates.

    Args:
        folder: where; its name is the chart's.
        schema: with the schema and defaults of a chart, or without any.
        of: that chart.
    """
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text(CHART_YAML.format(name=folder.name))
    (folder / "templates" / "values.yaml").write_text(TEMPLATE)
    if schema:
        for name in ("values.yaml", "values.schema.json"):
            shutil.copy(CHARTS / of / name, folder / name)
    return folder


def understood(chart: Path, layers: Sequence[Path], helm: str) -> Any:
    """The values as Helm hands them to templates."""
    return json.loads(render(chart, layers, helm=helm).one("ConfigMap")["data"]["json"])


def takes(chart: Path, layers: Sequence[Path], helm: str) -> bool:
    """Whether Helm takes the values files: it can read them, and the schema finds nothing."""
    try:
        render(chart, layers, helm=helm)
    except UserError:
        return False
    return True


def refused(folder: Path, cases: Mapping[str, str], helm: str, *, below: str = "model: {id: org/model}") -> set[str]:
    """Which cases Helm refuses, asked in one call: a chart with a subchart a case, each with the schema of vllm-model.

    Helm validates every subchart's values with the subchart's schema and names each that fails. One call for many cases
    takes a tenth of the time of a call for each.

    Args:
        folder: an empty folder to write the chart into.
        cases: YAML of the values by name of the case (a name that a chart may have).
        helm: ``helm`` or ``helm3``.
        below: YAML that is laid under each case.
    """
    parent = make(folder / "cases", schema=False)
    for name in cases:
        make(parent / "charts" / name)
    lower, upper = folder / "below.yaml", folder / "cases.yaml"
    lower.write_text("".join(f"{name}: {{{below}}}\n" if below else f"{name}: {{}}\n" for name in cases))
    upper.write_text("".join(f"{name}:\n{indented(text)}" for name, text in cases.items()))
    try:
        render(parent, [lower, upper], helm=helm)
    except RenderError as error:
        if found := set(re.findall(r"(?m)^([a-z0-9-]+):$", error.message)) & set(cases):
            return found
        raise
    return set()


def indented(text: str) -> str:
    """YAML moved under a key; nothing at all is an empty map."""
    return "".join(f"  {line}\n" for line in text.splitlines()) or "  {}\n"


def as_text(values: Mapping[str, Any]) -> str:
    """Values as YAML."""
    return yaml.dump(dict(values), Dumper=yaml.CSafeDumper, sort_keys=False)
