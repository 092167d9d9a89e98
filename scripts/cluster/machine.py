"""The first process inside the namespaces of a local cluster: it stands for the machine that the cluster runs on.

It runs as process 1 of its own PID, mount, network, UTS and IPC namespaces, so its end is the end of everything: the
kernel kills every process of a PID namespace with its first, and the last process takes mounts and network along.

It lays the file system out, configures the network, starts the components of the plan and starts them again when they
die. It uses the standard library only and runs apart from the rest of the package: ``python -I machine.py PLAN``.
"""

import ctypes
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

RESTART_PAUSE = 1.0
"""Seconds between the end of a component and its next start."""

WATCH_PAUSE = 0.5
"""Seconds between two looks at the processes; each look reads all of /proc."""

MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
libc = ctypes.CDLL(None, use_errno=True)


def say(text: str) -> None:
    """One line for the log."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2); makes the target folder if it is missing."""
    Path(target).mkdir(parents=True, exist_ok=True)
    arguments = [value.encode() for value in (source, target, kind)]
    if libc.mount(*arguments, ctypes.c_ulong(flags), options.encode()) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount {source} on {target}: {os.strerror(code)}")


def lay_out_file_system(plan: dict[str, Any]) -> None:
    """Gives the cluster folders of its own wherever its programs write to a fixed place. The host's stay untouched."""
    mount("tmpfs", "/var/lib", "tmpfs", options="mode=755")
    mount(plan["cache"], plan["inside"], flags=MS_BIND | MS_REC)
    for folder in ("/run", "/var/log"):
        mount("tmpfs", folder, "tmpfs", options="mode=755")
    for source, target in plan["binds"]:
        Path(source).mkdir(parents=True, exist_ok=True)
        mount(source, target, flags=MS_BIND)
    Path("/tmp").chmod(0o1777)  # noqa: S108 (the cluster's own /tmp)


def configure_network(commands: list[list[str]]) -> None:
    """Runs the commands that bring the interfaces up."""
    for command in commands:
        subprocess.run(command, check=True)


def wait_for_link(interface: str) -> None:
    """The host moves one end of a link in here right after the start."""
    deadline = time.monotonic() + 20
    while interface not in interfaces():
        if time.monotonic() > deadline:
            sys.exit(f"the host never moved {interface} into this network namespace")
        time.sleep(0.02)


def interfaces() -> list[str]:
    """Names of the interfaces of this network namespace; /sys still shows those of the host."""
    lines = Path("/proc/net/dev").read_text().splitlines()[2:]
    return [line.split(":")[0].strip() for line in lines]


class Component:
    """A program that runs as long as the machine does."""

    def __init__(self, spec: dict[str, Any], logs: Path) -> None:
        self.name: str = spec["name"]
        self.command: list[str] = spec["command"]
        self.log = logs / f"{self.name}.log"
        self.pid = 0

    def start(self) -> None:
        with self.log.open("a") as log:
            process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.pid = process.pid
        process.returncode = 0  # reaped by the main loop, not by this object
        say(f"{self.name} started as process {self.pid}")


class Machine:
    """Starts what the plan says, in its order, and keeps it running."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.logs = Path(plan["logs"])
        self.components: dict[str, Component] = {}
        self.lock = threading.Lock()

    def start(self, stage: str) -> None:
        """Starts the components of a stage."""
        for spec in self.plan["components"]:
            if spec["stage"] == stage:
                with self.lock:
                    component = Component(spec, self.logs)
                    self.components[component.name] = component
                    component.start()

    def bring_up(self) -> None:
        """Control plane and container runtime first; the node when images are there and the API server answers."""
        try:
            self.start("first")
            self.import_images()
            wait_for_api(self.plan["readyz"], self.plan["ca"])
            say("the API server answers")
            self.start("node")
        except BaseException as error:  # the thread must not die unseen: without a node there is no cluster
            say(f"bringing up failed: {error!r}")
            os.kill(os.getpid(), signal.SIGTERM)
            raise

    def import_images(self) -> None:
        """Hands the prepared image archives to the container runtime."""
        address, deadline = self.plan["containerd"], time.monotonic() + 60
        while self.quiet("ctr", "--address", address, "version") != 0:
            if time.monotonic() > deadline:
                raise TimeoutError("containerd does not answer: see containerd.log")
            time.sleep(0.1)
        for archive in self.plan["images"]:
            with (self.logs / "images.log").open("a") as log:
                command = ["ctr", "--address", address, "--namespace", "k8s.io", "images", "import", archive]
                subprocess.run(command, stdout=log, stderr=log, check=True)
        say(f"{len(self.plan['images'])} images imported")

    @staticmethod
    def quiet(*command: str) -> int:
        """Runs a command and gives its status."""
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

    def restart(self, component: Component) -> None:
        """Starts a component again after a pause, outside the main loop, which must go on reaping."""

        def later() -> None:
            time.sleep(RESTART_PAUSE)
            with self.lock:
                component.start()

        threading.Thread(target=later, daemon=True).start()

    def watch(self) -> None:
        """Notices the end of components and reaps orphans, for ever."""
        while True:
            with self.lock:
                ended = [component for component in self.components.values() if component.pid and gone(component.pid)]
                for component in ended:
                    say(f"{component.name} (process {component.pid}) ended: starting it again")
                    component.pid = 0
            for component in ended:
                self.restart(component)
            reap_orphans()
            time.sleep(WATCH_PAUSE)


def gone(pid: int) -> bool:
    """Whether a child has ended; reaps it."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def reap_orphans() -> None:
    """Reaps ended processes that were handed to process 1 by their parent's end (shims and what they ran).

    Children that a thread of this process waits for must be left alone. They share the session of this process, while
    every component leads a session of its own, and what it leaves behind is in that one or a later one.
    """
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or entry.name == "1":
            continue
        try:
            state, parent, _group, session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if state == "Z" and parent == "1" and session != str(os.getsid(0)):
            gone(int(entry.name))


def wait_for_api(url: str, ca: str) -> None:
    """Waits until the API server says that it is ready; gives up after two minutes."""
    context = ssl.create_default_context(cafile=ca)
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(url, context=context, timeout=2) as answer:  # noqa: S310 (https, from the plan)
                if answer.read() == b"ok":
                    return
        except OSError as error:
            if time.monotonic() > deadline:
                raise TimeoutError(f"the API server is not ready: {error}") from error
        time.sleep(0.1)


def main() -> None:
    """Never returns while the machine runs."""
    plan = json.loads(Path(sys.argv[1]).read_text())
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    lay_out_file_system(plan)
    wait_for_link(plan["interface"])
    socket.sethostname(plan["node"])
    configure_network(plan["network"])
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    # The kernel may leave out an error that it owes to a pod ("unreachable"); a program would hang for want of it.
    Path("/proc/sys/net/ipv4/icmp_ratemask").write_text("0")
    machine = Machine(plan)
    threading.Thread(target=machine.bring_up, daemon=True).start()
    machine.watch()


main()
