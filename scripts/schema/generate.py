"""Writes what follows from the sources and from values.yaml, or says which of it is out of date."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.paths import CHARTS, SCHEMAS
from scripts.schema import readme
from scripts.schema.bundle import Form, bundle
from scripts.schema.sources import Schema, load, read_yaml, source_path

GENERATED = SCHEMAS / "generated"


def charts() -> list[str]:
    """The charts that have a schema source, by name."""
    return sorted(path.name.removesuffix(".schema.yaml") for path in SCHEMAS.glob("*-*.schema.yaml"))


@dataclass(frozen=True)
class ChartSchema:
    """The source of a chart's schema and the defaults that belong to it."""

    chart: str

    @property
    def source(self) -> Schema:
        return load(source_path(self.chart))

    @property
    def defaults(self) -> dict[str, Any]:
        values: dict[str, Any] = read_yaml(CHARTS / self.chart / "values.yaml")
        return values

    @property
    def strict_path(self) -> Path:
        return CHARTS / self.chart / "values.schema.json"

    @property
    def overlay_path(self) -> Path:
        return GENERATED / f"{self.chart}.overlay.schema.json"

    @property
    def readme_path(self) -> Path:
        return CHARTS / self.chart / "README.md"

    def form(self, form: Form) -> Schema:
        """The bundled schema in one of its forms."""
        return bundle(self.source, self.defaults, form)

    def files(self) -> dict[Path, str]:
        """What is generated for this chart, as text by path."""
        return {
            self.strict_path: to_json(self.form(Form.STRICT)),
            self.overlay_path: to_json(self.form(Form.OVERLAY)),
            self.readme_path: readme.updated(self.readme_path, self.source, self.defaults),
        }


def to_json(schema: Schema) -> str:
    """JSON with a line a key, so that a change is a readable diff; indented by one, as it lies in every release."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def stale(only: list[str] | None = None) -> dict[Path, str]:
    """Generated files that are not what they should be, with the text that they should have."""
    wanted: dict[Path, str] = {}
    for chart in only or charts():
        wanted |= ChartSchema(chart).files()
    return {path: text for path, text in wanted.items() if not path.is_file() or path.read_text() != text}


def write(files: dict[Path, str]) -> None:
    """Writes files, making their folders."""
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
