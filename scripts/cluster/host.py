"""What the local cluster needs of the machine it runs on: checked first, installed where that is possible."""

import ctypes
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from scripts.console import UserError, step
from scripts.locks import locked

PACKAGES = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ps": "procps",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "lscpu": "util-linux",
    "mount": "mount",
}
"""Programs of the node and the Debian packages that carry them."""

CNI_PACKAGE = "containernetworking-plugins"
POLICY = Path("/usr/sbin/policy-rc.d")
"""What Debian asks before it starts the service of a package that is being installed."""

WAY_ROUND = "use any other cluster (kind, minikube, EKS ...): VLLM_CHARTS_KUBECONFIG=/path/to/kubeconfig make ..."
CLUSTER = "the local cluster"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where programs of the node are looked for, whatever the user's own PATH says."""


def require_host() -> None:
    """Makes sure that the local cluster can run here; installs missing Debian packages.

    Raises:
        UserError: not Linux, not root, or something missing that cannot be installed from here.
    """
    if platform.system() != "Linux":
        raise UserError(f"the local cluster runs on Linux, and this is {platform.system()}", fix=WAY_ROUND)
    if os.geteuid() != 0:
        raise UserError(
            "the local cluster needs root",
            why="it makes namespaces, mounts and a network of its own, as a container runtime does",
            fix=f"run it as root; or {WAY_ROUND}",
        )
    if missing := missing_packages():
        install(missing)
    require_kernel()


def missing_packages() -> list[str]:
    """Debian packages whose programs are not on this machine."""
    missing = {package for program, package in PACKAGES.items() if not shutil.which(program, path=PATH)}
    if not any((Path(folder) / "ptp").exists() for folder in ("/usr/lib/cni", "/opt/cni/bin")):
        missing.add(CNI_PACKAGE)
    return sorted(missing)


def require_libraries(libraries: Mapping[str, str]) -> None:
    """Makes sure that shared libraries are on this machine; installs the Debian packages of those that are not.

    Args:
        libraries: name of the library and of its package.

    Raises:
        UserError: something is missing that cannot be installed from here.
    """
    if missing := sorted({package for library, package in libraries.items() if not is_loadable(library)}):
        install(missing, purpose="the CPU build of vLLM")


def is_loadable(library: str) -> bool:
    """Whether the dynamic loader finds a library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def install(packages: list[str], *, purpose: str = CLUSTER) -> None:
    """Installs Debian packages without starting any of their services.

    Args:
        packages: their names.
        purpose: what needs them, for messages.

    Raises:
        UserError: there is no apt here, no right to use it, or it failed.
    """
    names = " ".join(packages)
    if not shutil.which("apt-get") or os.geteuid() != 0:
        way_round = f"; or {WAY_ROUND}" if purpose == CLUSTER else ""
        raise UserError(f"{purpose} needs programs that are missing here: {names}", fix=f"install them{way_round}")
    with locked("apt"), no_services_started(), step(f"Install Debian packages: {names}"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for arguments in (["update"], ["install", "--no-install-recommends", *packages]):
            command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", *arguments]
            result = subprocess.run(command, env=environment, capture_output=True, text=True)
            if result.returncode != 0:
                raise UserError(f"apt-get could not install {names}", why=(result.stdout + result.stderr)[-1500:])


@contextmanager
def no_services_started() -> Iterator[None]:
    """Keeps Debian from starting the services of what is installed meanwhile. Puts back what was there before."""
    saved = (POLICY.read_bytes(), POLICY.stat().st_mode) if POLICY.exists() else None
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        if saved is None:
            POLICY.unlink(missing_ok=True)
        else:
            POLICY.write_bytes(saved[0])
            POLICY.chmod(saved[1])


def require_kernel() -> None:
    """Checks that namespaces can be made and that the kernel has what the node needs.

    Raises:
        UserError: names everything that is missing, and the ways round.
    """
    missing = [feature for feature, present in kernel_features().items() if not present]
    if missing:
        raise UserError(
            f"the kernel or this container lacks: {', '.join(missing)}",
            why="the local cluster is a real Kubernetes node with a network of its own",
            fix=f"load the modules (modprobe overlay veth nf_tables), run privileged; or {WAY_ROUND}",
        )


def kernel_features() -> dict[str, bool]:
    """What the node needs of the kernel, each tried out in namespaces that end with the test."""
    probe = "mount -t tmpfs tmpfs /mnt && ip link add probe0 type veth peer name probe1"
    filesystems = Path("/proc/filesystems").read_text().split()
    return {
        "namespaces with mounts and veth links": in_namespaces("sh", "-c", probe),
        "nftables": in_namespaces("nft", "add table ip probe"),
        "overlayfs": "overlay" in filesystems or in_namespaces("modprobe", "overlay"),
        "control groups under /sys/fs/cgroup": any(Path("/sys/fs/cgroup").glob("*")),
    }


def in_namespaces(*command: str) -> bool:
    """Whether a command works in mount, network and PID namespaces of its own."""
    unshare = ["unshare", "--mount", "--net", "--pid", "--fork", "--propagation", "private"]
    return subprocess.run([*unshare, *command], capture_output=True, env=os.environ | {"PATH": PATH}).returncode == 0


def lift_file_limit() -> None:
    """Raises the number of inotify instances a user may have, if it is too low for a kubelet beside other programs."""
    limit = Path("/proc/sys/fs/inotify/max_user_instances")
    if int(limit.read_text()) < 512 and os.access(limit, os.W_OK):
        limit.write_text("512")
