"""The command line: ``vllm-charts <group> <command>``.

Each group lives in a module of its own with an ``app``. Only the group that is called is imported, so ``vllm-charts
schema`` starts without the weight of the others, and a group that cannot be imported breaks nothing but itself.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

import typer

from scripts.console import UserError

GROUPS = {
    "schema": "Write and check the JSON schemas of the charts' values.",
    "dashboards": "Write the charts' Grafana dashboards.",
    "render": "Render a chart with a values file and check what comes out.",
    "deps": "Fetch the dependencies of the umbrella chart.",
    "tenants": "Make and take away API keys of the gateway's tenants.",
    "plan": "Size replicas, GPUs and cost for a load.",
    "cluster": "Run the local Kubernetes of the demo and the cluster tests.",
    "bench": "Send traffic that tells the fate of every request, and write what was proven.",
    "tools": "Build and locate the pinned Go tools.",
    "doctor": "Check that a cluster has what the charts need, and that a model fits on it.",
    "release": "Package the charts, list their images, show what a release changes.",
}


def find_module(group: str) -> str | None:
    """The module that has the ``app`` of a group: ``scripts.<group>.cli`` if there is one, else ``scripts.<group>``."""
    spec = importlib.util.find_spec(f"scripts.{group}")
    if spec is None:
        return None
    if spec.submodule_search_locations is None:  # a module, not a package
        return f"scripts.{group}"
    # Looked for on disk: find_spec of a submodule would import the package.
    locations = map(Path, spec.submodule_search_locations)
    return f"scripts.{group}.cli" if any((location / "cli.py").is_file() for location in locations) else None


def unloaded() -> typer.Typer:
    """Stands for a group that is listed in the help but not called."""
    app = typer.Typer()
    app.callback()(lambda: None)
    return app


def build(arguments: list[str]) -> typer.Typer:
    """The application for a command line: all groups by name, the called one for real."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)

    @app.callback()
    def root() -> None:
        """Helm charts for vLLM on Kubernetes: the tooling."""

    called = next((argument for argument in arguments if not argument.startswith("-")), None)
    for group, text in GROUPS.items():
        module = find_module(group)
        if module is None:
            continue
        loaded = importlib.import_module(module).app if group == called else unloaded()
        # A function named `command` (render) is the whole group: options may then follow its arguments.
        whole = [entry.callback for entry in loaded.registered_commands if entry.callback]
        if [function.__name__ for function in whole] == ["command"]:
            app.command(group, help=text)(whole[0])
            continue
        # A group that is one command (doctor) speaks for itself, and may say that it needs no argument.
        own = loaded.registered_callback and loaded.registered_callback.callback
        app.add_typer(
            loaded,
            name=group,
            help=own.__doc__ if own and own.__doc__ else text,
            no_args_is_help=loaded.info.no_args_is_help is not False,
        )
    return app


def main() -> None:
    """Runs the command line. A UserError is printed as what, why and fix, without a traceback."""
    try:
        build(sys.argv[1:])(prog_name="vllm-charts")
    except UserError as error:
        error.print()
        sys.exit(1)
