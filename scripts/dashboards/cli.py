"""The command ``vllm-charts dashboards``."""

from pathlib import Path
from typing import Annotated

import typer

from scripts.console import UserError, console
from scripts.dashboards import DASHBOARDS, text
from scripts.paths import REPO

app = typer.Typer()


@app.command()
def generate(
    check: Annotated[bool, typer.Option(help="Write nothing; fail if a file is not what would be written.")] = False,
) -> None:
    """Write the dashboards of the charts."""
    stale: list[Path] = []
    for path, build in DASHBOARDS.items():
        new = text(build())
        if path.is_file() and path.read_text() == new:
            continue
        stale.append(path)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(new)
            console.print(f"wrote {path.relative_to(REPO)}")
    if check and stale:
        names = ", ".join(str(path.relative_to(REPO)) for path in stale)
        raise UserError(
            f"{names} is not what scripts/dashboards makes",
            why="Generated files are never edited by hand.",
            fix="vllm-charts dashboards generate",
        )
