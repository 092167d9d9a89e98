"""``vllm-charts doctor``: look at a cluster, and at a model on it, before an install does."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from scripts.console import console
from scripts.doctor import cluster_checks, model_checks
from scripts.doctor.facts import read
from scripts.doctor.findings import Finding, Level
from scripts.render import release_name, render

app = typer.Typer(invoke_without_command=True, no_args_is_help=False, rich_markup_mode=None)

MARKS = {
    Level.OK: "[green]✓[/]",
    Level.NOTE: "[blue]i[/]",
    Level.WARNING: "[yellow]![/]",
    Level.PROBLEM: "[bold red]✗[/]",
}


@app.callback()
def doctor(
    values: Annotated[
        list[Path] | None,
        typer.Option(
            "--values", "-f", help="Values of charts/vllm-model, as with helm: check that model, too.", exists=True
        ),
    ] = None,
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Where the model would go.")] = "default",
    context: Annotated[str | None, typer.Option(help="Context of the kubeconfig.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print findings as JSON.")] = False,
) -> None:
    """Check that a cluster has what the charts need: GPUs, labels, taints, driver, storage, metrics, rights.

    With --values also that a model's pods would find a node, and that its Secrets and claims are there. Reads only.
    Example: vllm-charts doctor --namespace llm -f values/models/llama-3.1-8b-instruct-l4.yaml
    """
    made = render("vllm-model", values, release=release_name(values[0]), namespace=namespace) if values else None
    facts = read(namespace, context)
    findings = list(cluster_checks.all_checks(facts))
    if made is not None:
        findings += model_checks.all_checks(facts, made)
    if as_json:
        typer.echo(json.dumps([finding.as_dict() for finding in findings], indent=2))
    else:
        show(findings)
    raise typer.Exit(1 if any(finding.level is Level.PROBLEM for finding in findings) else 0)


def show(findings: Iterable[Finding]) -> None:
    """A line a finding, its fix below it, and a last line that says how it stands."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    counts: dict[Level, int] = {}
    for finding in findings:
        counts[finding.level] = counts.get(finding.level, 0) + 1
        fix = f"\n[dim]fix:[/] {escape(finding.fix)}" if finding.fix else ""
        table.add_row(MARKS[finding.level], finding.topic, f"{escape(finding.text)}{fix}")
    console.print(table)
    problems, warnings = counts.get(Level.PROBLEM, 0), counts.get(Level.WARNING, 0)
    console.print(f"{problems} problems, {warnings} warnings")
