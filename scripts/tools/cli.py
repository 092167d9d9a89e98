"""``vllm-charts tools``: build, list and locate the pinned Go tools."""

from typing import Annotated

import typer
from rich.table import Table

from scripts.console import UserError, console
from scripts.paths import BIN, CACHE
from scripts.tools.build import ensure, helm_environment, is_built, prune
from scripts.tools.catalog import GROUPS, TOOLS
from scripts.tools.pin import pin_version

app = typer.Typer()


@app.command()
def build(
    names: Annotated[
        list[str] | None, typer.Argument(help="Tools or groups (charts, cluster, scaling). Default: all.")
    ] = None,
) -> None:
    """Build tools that are not in the cache yet."""
    wanted: list[str] = []
    for name in names or list(GROUPS):
        wanted += [tool.name for tool in GROUPS[name]] if name in GROUPS else [name]
    for name in wanted:
        ensure(name)
    console.print(f"{len(wanted)} tools are in {BIN}")


@app.command(name="list")
def list_tools() -> None:
    """Show every tool with its pinned version and whether it is built."""
    table = Table("tool", "version", "built", "also called")
    for tool in TOOLS.values():
        table.add_row(tool.name, tool.version, "yes" if is_built(tool) else "no", ", ".join(tool.links))
    console.print(table)


@app.command()
def path(name: Annotated[str, typer.Argument(help="A tool, or a name it is called by: kubectl.")]) -> None:
    """Print the path of a tool; build it first if need be."""
    print(ensure(name))


@app.command()
def env() -> None:
    """Print shell lines that put the tools on PATH: eval "$(vllm-charts tools env)"."""
    print(f'export PATH="{BIN}:$PATH"')
    for name, value in helm_environment().items():
        print(f'export {name}="{value}"')


@app.command()
def lint_charts() -> None:
    """Lint both charts with chart-testing: style, Chart.yaml, helm lint, helm unittest."""
    from scripts.chart_lint import lint  # loads the umbrella's tooling, which the other commands do not need

    lint()


@app.command()
def pin(
    name: Annotated[str, typer.Argument(help="The tool to move.")],
    version: Annotated[str, typer.Argument(help="Its new version, as the Go module names it: v4.3.2.")],
) -> None:
    """Pin a tool to another version: rewrites go.mod and go.sum of its module."""
    if name not in TOOLS:
        raise UserError(f"there is no tool named {name}", fix=f"one of: {', '.join(TOOLS)}")
    pin_version(TOOLS[name], version)


@app.command(name="prune")
def prune_builds() -> None:
    """Remove builds of versions that are no longer pinned."""
    removed = prune()
    for home in removed:
        console.print(f"removed {home.relative_to(CACHE)}")
    console.print(f"{len(removed)} builds removed")
