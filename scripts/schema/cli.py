"""``vllm-charts schema``: write, check and use the schemas of the charts' values."""

from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from scripts.console import UserError, console
from scripts.paths import CHARTS, REPO
from scripts.schema import generate as generator
from scripts.schema import kubernetes, lockstep, meta, values
from scripts.schema import validate as validation
from scripts.schema.explain import Problem

app = typer.Typer(no_args_is_help=True)


@app.command()
def generate(
    check: bool = typer.Option(False, "--check", help="Write nothing; fail if a file is out of date."),
) -> None:
    """Write values.schema.json, the overlay schemas for editors and the READMEs' tables of values."""
    stale = generator.stale()
    names = ", ".join(str(path.relative_to(REPO)) for path in stale)
    if check and stale:
        raise UserError(f"out of date: {names}", why="schemas/ or a values.yaml changed", fix="make generate")
    generator.write(stale)
    console.print(f"written: {names}" if stale else "all schemas are up to date")


@app.command("kubernetes")
def kubernetes_definitions() -> None:
    """Make schemas/kubernetes.definitions.json anew from the pinned Kubernetes module (needs Go)."""
    kubernetes.DEFINITIONS_FILE.write_text(kubernetes.render(kubernetes.from_module()))
    kubernetes.committed.cache_clear()
    console.print(f"written: {kubernetes.DEFINITIONS_FILE.relative_to(REPO)}")


@app.command()
def check() -> None:
    """Hold sources, values.yaml and templates against each other."""
    found: list[str] = []
    for chart in generator.charts():
        found += [f"{chart}: {problem}" for problem in chart_problems(chart)]
    if found:
        raise UserError("\n".join(found), why="schema, values.yaml and templates must say the same")
    console.print(f"schemas, values and templates agree: {', '.join(generator.charts())}")


def chart_problems(chart: str) -> list[str]:
    """What is out of step in a chart, in words."""
    schema = generator.ChartSchema(chart)
    source, defaults = schema.source, schema.defaults
    missing = [f"{path} has no default in values.yaml" for path in lockstep.missing_defaults(source, defaults)]
    unknown = [f"{path} stands in values.yaml and in no schema" for path in lockstep.unknown_keys(source, defaults)]
    unread = [f"no template reads {path}" for path in lockstep.unread_knobs(source, defaults, CHARTS / chart)]
    return meta.meta_problems(chart) + missing + unknown + unread


@app.command("free-maps")
def free_maps(chart: str = typer.Option("vllm-model", help="Which chart.")) -> None:
    """List the maps whose keys the schema cannot know, and why."""
    for entry in lockstep.free_maps(generator.ChartSchema(chart).source):
        held = "values are checked" if entry.values else "values are free"
        console.print(escape(f"{entry.path}: {entry.reason} ({held})"), soft_wrap=True)


@app.command()
def validate(
    files: list[Path] = typer.Argument(help="Values files, in the order of helm's -f."),
    chart: str = typer.Option("", help="vllm-model or llm-platform. Without it: by the folder of the first file."),
    partial: bool = typer.Option(False, "--partial", help="The files say only some of it: nothing must be set."),
) -> None:
    """Check values files as helm install would, with the nearest key that exists."""
    chart = chart or ("llm-platform" if files[0].resolve().parent.name == "platforms" else "vllm-model")
    stated: dict[str, Any] = {}
    for file in files:
        stated = values.coalesce(stated, values.read(file))
    if not partial:
        stated = values.coalesce(generator.ChartSchema(chart).defaults, stated)
    found = validation.problems(validation.schema_of(chart, partial=partial), stated, chart)
    if found:
        raise UserError("\n".join(located(problem, files) for problem in found))
    console.print(f"{', '.join(str(file) for file in files)}: good values for {chart}")


def located(problem: Problem, files: list[Path]) -> str:
    """A problem with file and line, the last file that states the path first."""
    lines = [(file, validation.line_of(file.read_text(), problem.path)) for file in reversed(files)]
    file, line = next(((file, line) for file, line in lines if line), (files[-1], None))
    fix = "".join(f"\n    {text}" for text in problem.fix.splitlines())
    return f"{file}{f':{line}' if line else ''}: {problem.where}: {problem.what}.{fix}"
