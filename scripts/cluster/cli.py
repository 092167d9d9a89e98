"""``vllm-charts cluster``: the local Kubernetes from the command line."""

import os
import subprocess
from typing import Annotated

import typer
from rich.table import Table

from scripts.cluster import demo as demonstration
from scripts.cluster import processes
from scripts.cluster.cluster import Cluster
from scripts.cluster.external import external_kubeconfig, report
from scripts.cluster.settings import Settings
from scripts.console import UserError, console
from scripts.node_pools import instance_types
from scripts.paths import BIN

app = typer.Typer()

Name = Annotated[str, typer.Option(envvar="VLLM_CHARTS_CLUSTER_NAME", help="Clusters of two names run side by side.")]


def running(name: str) -> Cluster:
    """The cluster of that name.

    Raises:
        UserError: it does not run.
    """
    cluster = Cluster(Settings(name=name))
    processes.require_machine(cluster.settings)
    return cluster


@app.command()
def up(
    name: Name = "demo",
    gpus: Annotated[int, typer.Option(min=0, max=64, help="Simulated GPUs of the real node.")] = 8,
    engine: Annotated[bool, typer.Option(help="Bring the CPU build of vLLM too (6 GB).")] = False,
) -> None:
    """Start the cluster. One that runs already is left as it is."""
    if kubeconfig := external_kubeconfig():
        report(kubeconfig)
        return
    cluster = Cluster(Settings(name=name, gpus=gpus))
    cluster.up()
    if engine:
        cluster.ensure_engine()
    console.print(f"The cluster [bold]{name}[/] runs. To use it:")
    console.print(f"  export KUBECONFIG={cluster.kubeconfig} PATH={BIN}:$PATH")


@app.command()
def down(name: Name = "demo") -> None:
    """End the cluster and remove everything of it, also what a crash left behind."""
    if external_kubeconfig():
        console.print("Another cluster is in use (KUBECONFIG): nothing to end here.")
        return
    cluster = Cluster(Settings(name=name))
    was_running = cluster.down()
    if left := cluster.remains():
        raise UserError(f"something of the cluster {name} is left: {', '.join(left)}", fix="make cluster-down again")
    console.print(f"The cluster {name} {'is gone' if was_running else 'did not run'}; nothing of it is left.")


@app.command()
def status(name: Name = "demo") -> None:
    """Show whether the cluster runs, its nodes, and what the host sees of it."""
    if kubeconfig := external_kubeconfig():
        report(kubeconfig)
        return
    cluster = Cluster(Settings(name=name))
    if not cluster.is_running:
        console.print(f"The cluster {name} does not run. Start it: make cluster-up")
        if left := cluster.remains():
            console.print(f"A crash left behind: {', '.join(left)}. Remove it: make cluster-down")
        raise typer.Exit(1)
    console.print(f"The cluster {name} runs; kubeconfig: {cluster.kubeconfig}; logs: {cluster.settings.logs}")
    console.print(cluster.kubectl("get", "nodes", "--output=wide"))


@app.command()
def kubeconfig(name: Name = "demo") -> None:
    """Print the path of the kubeconfig."""
    print(running(name).kubeconfig)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def inside(context: typer.Context, name: Name = "demo") -> None:
    """Run a command on the node, inside the cluster's namespaces: crictl, ctr, ip, nft. Without one, a shell."""
    pid = processes.require_machine(Settings(name=name))
    command = context.args or [os.environ.get("SHELL", "/bin/sh")]
    raise typer.Exit(subprocess.run(processes.entering(pid, command)).returncode)


@app.command()
def add_pool(
    instance: Annotated[str, typer.Argument(help="Instance type: g6.xlarge, a3-highgpu-8g ... (see pools).")],
    count: Annotated[int, typer.Option(min=1, max=500)] = 1,
    spot: Annotated[bool, typer.Option(help="Nodes that the provider may take back.")] = False,
    name: Name = "demo",
) -> None:
    """Add simulated GPU nodes of an instance type."""
    nodes = running(name).pools.add(instance, count, capacity="spot" if spot else "on-demand")
    console.print(f"Ready: {', '.join(nodes)}")


@app.command()
def pools() -> None:
    """Show the instance types that can be simulated."""
    table = Table("instance type", "cloud", "GPUs", "CPU for pods", "memory for pods")
    for kind in instance_types().values():
        left = kind.allocatable
        gpus = f"{kind.gpus} x {kind.gpu}"
        table.add_row(
            kind.name, kind.cloud, gpus, f"{left.cpu_millicores / 1000:.1f}", f"{left.memory_mib / 1024:.0f} GiB"
        )
    console.print(table)


@app.command()
def demo(
    values: Annotated[str, typer.Option(help="Values file of the model.")] = demonstration.VALUES,
    name: Name = "demo",
) -> None:
    """Install a model with Helm and stream an answer from it."""
    demonstration.run(Settings(name=name), values)
