"""Talking to a cluster with kubectl and Helm, whichever cluster it is."""

import json
import os
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from scripts import tools
from scripts.cluster.processes import wait_until
from scripts.console import UserError


class CommandError(UserError):
    """A command against the cluster failed. ``output`` has all that it printed."""

    def __init__(self, command: Sequence[str], output: str) -> None:
        super().__init__(f"{' '.join(command)} failed", why=output.strip()[-4000:])
        self.output = output


class Kubernetes:
    """A cluster reached through a kubeconfig.

    Attributes:
        kubeconfig: the file that every command uses.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig

    def environment(self) -> dict[str, str]:
        """The environment of every command: this cluster, and nothing of the user's own Helm set-up."""
        return os.environ | tools.helm_folders() | {"KUBECONFIG": str(self.kubeconfig)}

    def run(self, *command: str | Path, stdin: str | None = None, seconds: float = 120, check: bool = True) -> str:
        """Runs a command against the cluster and gives what it printed.

        Args:
            stdin: text for its standard input.
            seconds: time limit.
            check: whether a failure is an error; without it the output of the failed command is returned.

        Raises:
            CommandError: the command failed or took too long.
        """
        words = [str(word) for word in command]
        try:
            result = subprocess.run(
                words, input=stdin, capture_output=True, text=True, env=self.environment(), timeout=seconds
            )
        except subprocess.TimeoutExpired as expired:
            said = f"no end after {seconds:g} s: {expired.stderr or ''!s}"
            if not check:
                return said
            raise CommandError(words, said) from None
        if result.returncode != 0 and check:
            raise CommandError(words, result.stderr + result.stdout)
        return result.stdout if result.returncode == 0 else result.stdout + result.stderr

    def kubectl(
        self, *arguments: str | Path, stdin: str | None = None, seconds: float = 120, check: bool = True
    ) -> str:
        """Runs kubectl; see :meth:`run`."""
        return self.run(tools.ensure("kubectl"), *arguments, stdin=stdin, seconds=seconds, check=check)

    def helm(self, *arguments: str | Path, seconds: float = 600, check: bool = True, version: int = 4) -> str:
        """Runs Helm 4, or Helm 3 with ``version=3``; see :meth:`run`."""
        return self.run(tools.ensure("helm" if version == 4 else "helm3"), *arguments, seconds=seconds, check=check)

    def get(self, *arguments: str) -> Any:
        """What ``kubectl get ARGUMENTS -o json`` gives; for a list, its items."""
        answer = json.loads(self.kubectl("get", *arguments, "--output=json"))
        return answer["items"] if answer.get("kind", "").endswith("List") else answer

    def apply(self, objects: list[dict[str, Any]] | Path, *arguments: str) -> str:
        """Applies objects, or a file of them, server-side: the server owns nothing it was not given."""
        text = objects.read_text() if isinstance(objects, Path) else yaml.safe_dump_all(objects)
        return self.kubectl("apply", "--server-side", "--force-conflicts", "--filename=-", *arguments, stdin=text)

    def wait(self, *arguments: str, seconds: float = 60) -> str:
        """``kubectl wait`` with a time limit."""
        return self.kubectl("wait", f"--timeout={seconds:g}s", *arguments, seconds=seconds + 10)

    @contextmanager
    def namespace(self, prefix: str = "test", *, labels: dict[str, str] | None = None) -> Iterator[str]:
        """A namespace of a unique name that is deleted afterwards (without waiting for the end of its pods)."""
        name = f"{prefix}-{secrets.token_hex(3)}"
        metadata = {"name": name, "labels": labels or {}}
        self.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}])
        try:
            wait_until(
                f"the namespace {name} has its service account",
                lambda: "default" in self.kubectl("get", "serviceaccount", "-n", name, "-o", "name"),
                seconds=30,
            )
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false", check=False)

    @contextmanager
    def port_forward(self, target: str, port: int, *, namespace: str, seconds: float = 30) -> Iterator[str]:
        """Forwards a free local port to ``pod/NAME`` or ``service/NAME`` and gives the base URL."""
        command = [str(tools.ensure("kubectl")), "port-forward", "--namespace", namespace, target, f":{port}"]
        forward = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.environment()
        )
        try:
            assert forward.stdout is not None
            said = forward.stdout.readline()
            if not said.startswith("Forwarding from 127.0.0.1:"):
                raise CommandError(command, said + (forward.stdout.read() or ""))
            yield f"http://127.0.0.1:{said.split(':')[1].split()[0]}"
        finally:
            forward.terminate()
            forward.wait(seconds)
