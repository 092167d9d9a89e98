"""``vllm-charts schema``: write, check and use the schemas of the charts' values."""

import sys

import typer

from scripts.console import UserError, console
from scripts.paths import REPO
from scripts.schema import generate as generator
from scripts.schema import kubernetes

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
