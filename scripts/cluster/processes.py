"""Finding, entering and ending the machine of a cluster.

The first process of a cluster is recognised by its command line, never by a stored process id: an id on disk may be
out of date, or missing because the command that would have written it was killed.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from scripts.cluster.host import PATH
from scripts.cluster.settings import Settings
from scripts.console import UserError

T = TypeVar("T")


def wait_until(what: str, condition: Callable[[], T | None], *, seconds: float, pause: float = 0.1) -> T:
    """Asks again and again until the condition gives something true, and returns that.

    Raises:
        UserError: it did not within the time; names what was waited for.
    """
    deadline = time.monotonic() + seconds
    while True:
        if result := condition():
            return result
        if time.monotonic() > deadline:
            raise UserError(f"{what}: not so after {seconds:g} s")
        time.sleep(pause)


def _command_line(pid: int) -> list[str]:
    """Arguments of a process; empty if it is gone or may not be looked at."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def _is_first_of_namespace(pid: int) -> bool:
    """Whether a process is number 1 of a PID namespace below this one."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    return len(numbers) > 1 and numbers[-1] == "1"


def find_machine(settings: Settings) -> int | None:
    """The process id, as the host sees it, of the first process of the running cluster."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            command = _command_line(int(entry.name))
            if command and command[-1] == str(settings.plan) and _is_first_of_namespace(int(entry.name)):
                return int(entry.name)
    return None


def require_machine(settings: Settings) -> int:
    """The process id of the first process of the cluster.

    Raises:
        UserError: the cluster does not run.
    """
    pid = find_machine(settings)
    if pid is None:
        fix = f"vllm-charts cluster up --name {settings.name}"
        raise UserError(f"the cluster {settings.name} does not run", fix=fix)
    return pid


def start_machine(settings: Settings) -> int:
    """Starts the first process in namespaces of its own, apart from this terminal, and gives its process id.

    ``unshare`` stays as its parent; if that is killed, the kernel ends the machine too (``--kill-child``).
    """
    namespaces = ["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--mount-proc", "--kill-child"]
    machine = Path(__file__).with_name("machine.py")
    python = [str(Path(sys.executable).resolve()), "-I"]  # the interpreter itself: no launcher stays in between
    with (settings.logs / "machine.log").open("w") as log:
        child = subprocess.Popen(
            ["unshare", *namespaces, "--propagation", "private", *python, machine, settings.plan],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env={"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"},
        )

    def started() -> int | None:
        if child.poll() is not None:
            raise UserError(
                "the namespaces of the cluster could not be made",
                why=(settings.logs / "machine.log").read_text()[-1000:],
                fix="root with CAP_SYS_ADMIN and CAP_NET_ADMIN is needed; or name another cluster with KUBECONFIG",
            )
        return find_machine(settings)

    return wait_until("the first process of the cluster runs", started, seconds=10, pause=0.02)


def kill_machine(settings: Settings) -> bool:
    """Ends a running cluster at once and waits until its last process is gone. Says whether there was one."""
    pid = find_machine(settings)
    if pid is None:
        return False
    namespace = _namespace(pid)
    os.kill(pid, signal.SIGKILL)
    wait_until("every process of the cluster is gone", lambda: not _members(namespace), seconds=30, pause=0.05)
    return True


def _namespace(pid: int) -> str:
    """Identity of the PID namespace of a process."""
    try:
        return str(Path(f"/proc/{pid}/ns/pid").readlink())
    except OSError:
        return ""


def _members(namespace: str) -> list[int]:
    """Processes of a PID namespace (those of containers live in namespaces below it and go before it does)."""
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if namespace and _namespace(pid) == namespace]


def entering(pid: int, command: Sequence[str | Path]) -> list[str]:
    """A command line that runs a command inside the namespaces of the cluster."""
    return ["nsenter", "--target", str(pid), "--all", "--", *map(str, command)]


def run_inside(settings: Settings, command: Sequence[str | Path], *, seconds: float = 60) -> str:
    """Runs a command inside the cluster's namespaces and gives what it printed.

    Raises:
        UserError: the cluster does not run, or the command failed.
    """
    result = subprocess.run(
        entering(require_machine(settings), command), capture_output=True, text=True, timeout=seconds
    )
    if result.returncode != 0:
        raise UserError(f"{' '.join(map(str, command))} failed inside the cluster", why=result.stderr.strip()[-2000:])
    return result.stdout
