"""Another cluster instead of the local one: kind, minikube, a cloud's; named by a kubeconfig."""

import os
from pathlib import Path

from scripts.cluster.kubernetes import Kubernetes
from scripts.console import UserError, console
from scripts.paths import CACHE


def external_kubeconfig() -> Path | None:
    """The kubeconfig that was given, or ``None`` for the local cluster.

    ``VLLM_CHARTS_KUBECONFIG`` counts first, then ``KUBECONFIG``. A kubeconfig of a local cluster of this tooling is not
    another cluster.

    Raises:
        UserError: the file does not exist.
    """
    for variable in ("VLLM_CHARTS_KUBECONFIG", "KUBECONFIG"):
        if given := os.environ.get(variable):
            path = Path(given).expanduser()
            if path.is_relative_to(CACHE):
                return None
            if not path.is_file():
                raise UserError(f"{variable} names {given}, and there is no such file", fix=f"unset {variable}")
            return path
    return None


def report(kubeconfig: Path) -> None:
    """Says which cluster is used and whether it answers.

    Raises:
        UserError: it does not answer.
    """
    console.print(f"Using the cluster of {kubeconfig}, not the local one.")
    console.print(Kubernetes(kubeconfig).kubectl("get", "nodes", "--output=wide", seconds=20))
