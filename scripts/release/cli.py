"""``vllm-charts release``: package, list images, show what changed."""

from pathlib import Path
from typing import Annotated

import typer

from scripts.console import UserError, console, step
from scripts.paths import CHARTS, REPO, VALUES
from scripts.release import images as image_lists
from scripts.release import values_diff as diffs
from scripts.release.package import SUMS, Signing, package_all

app = typer.Typer()


@app.command()
def package(
    destination: Annotated[Path, typer.Option("--destination", "-d", help="Folder for the archives.")] = REPO / "dist",
    key: Annotated[str, typer.Option(help="Name of the PGP key to sign with. Empty: not signed.")] = "",
    keyring: Annotated[Path, typer.Option(help="Keyring that has it.")] = Path("~/.gnupg/secring.gpg"),
) -> None:
    """Package both charts, the umbrella with its dependencies and CRDs inside, and print how to push them."""
    signing = Signing(key, keyring.expanduser()) if key else None
    with step("Package the charts"):
        archives = package_all(destination, signing)
    shown = [path.relative_to(REPO) if path.is_relative_to(REPO) else path for path in archives]
    for path in shown:
        console.print(f"  {path}")
    console.print(f"\nChecksums: {SUMS}. To publish, with your registry:\n")
    for path in shown:
        console.print(f"  helm push {path} oci://registry.example.com/charts")
    console.print("\nTo sign what was pushed: cosign sign registry.example.com/charts/NAME@DIGEST")


@app.command()
def images(
    values: Annotated[
        list[Path] | None, typer.Option("--values", "-f", help="Models' values files. Default: all.", exists=True)
    ] = None,
    platform: Annotated[Path | None, typer.Option(help="Values of the umbrella.", exists=True)] = None,
    models_only: Annotated[bool, typer.Option(help="Leave the umbrella and its operators out.")] = False,
) -> None:
    """List every image that the charts use, one a line: to mirror them, or to scan them."""
    found: set[str] = set()
    for path in values or sorted((VALUES / "models").glob("*.yaml")):
        found |= image_lists.of_model(path)
    if not models_only:
        if not image_lists.has_dependencies():
            raise UserError(
                "the operators' charts are not there, so their images are not known",
                fix="make deps first, or only the models: vllm-charts release images --models-only",
            )
        found |= image_lists.of_platform(platform)
    for image in sorted(found):
        typer.echo(image)


@app.command(name="values-diff")
def values_diff(
    since: Annotated[str, typer.Argument(help="Tag, branch or commit to compare with: v0.1.0.")],
) -> None:
    """Show, as the table for CHANGELOG.md, which default values have changed since a release."""
    for chart in sorted(path for path in CHARTS.iterdir() if (path / "values.yaml").is_file()):
        name = f"charts/{chart.name}/values.yaml"
        changes = diffs.difference(diffs.at_revision(since, name), diffs.now(name))
        typer.echo(f"### {chart.name}\n")
        typer.echo(diffs.as_markdown(changes) + "\n" if changes else "No default has changed.\n")
