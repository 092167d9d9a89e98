"""The link between the host and a cluster: one veth pair, one /30 network, nothing else on the host.

No route, no rule and no setting of the host is changed: the API server is the only thing that is reached from outside,
and everything in the cluster is reached through it.
"""

import subprocess

from scripts.cluster.settings import Settings
from scripts.console import UserError


def ip(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs ip(8)."""
    return subprocess.run(["ip", *arguments], capture_output=True, text=True)


def exists(settings: Settings) -> bool:
    """Whether the host's end of the link is there."""
    return ip("link", "show", "dev", settings.interface).returncode == 0


def connect(settings: Settings, pid: int) -> None:
    """Makes the link, or what is missing of it; its other end goes into the network namespace of the given process.

    Raises:
        UserError: the address is taken, or the kernel refused.
    """
    taken = ip("-oneline", "address", "show", "to", f"{settings.host_ip}/30").stdout
    if taken and settings.interface not in taken:
        raise UserError(
            f"the network {settings.host_ip}/30 of the cluster {settings.name} is in use: {taken.split()[1]}",
            fix="choose another name for the cluster: VLLM_CHARTS_CLUSTER_NAME=other make cluster-up",
        )
    peer = ["peer", "name", "eth0", "netns", str(pid)]
    new = [] if exists(settings) else [["link", "add", settings.interface, "type", "veth", *peer]]
    for arguments in (
        *new,
        ["address", "replace", f"{settings.host_ip}/30", "dev", settings.interface],
        ["link", "set", settings.interface, "up"],
    ):
        result = ip(*arguments)
        if result.returncode != 0:
            raise UserError(f"ip {' '.join(arguments)} failed", why=result.stderr.strip())


def disconnect(settings: Settings) -> None:
    """Removes the link. Its end in the namespace goes with it."""
    if exists(settings):
        ip("link", "delete", settings.interface)
