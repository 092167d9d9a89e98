"""One local cluster: its name, its folders, its addresses.

Two clusters of different names can run side by side: everything that the host sees of a cluster (folder, interface,
control groups, address) is derived from its name. What lies inside its own namespaces is the same in all.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from scripts.console import UserError
from scripts.paths import CACHE, LOGS

NODE = "node-1"
CLUSTER_DOMAIN = "cluster.local"
POD_CIDR = "10.244.0.0/16"
NODE_POD_CIDR = "10.244.0.0/22"
SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
API_PORT = 6443
GPU_RESOURCE = "nvidia.com/gpu"

INSIDE = Path("/var/lib/vllm-charts")
"""Where the cache lies inside the cluster's namespaces. A fixed place, because folders such as /tmp and /var/lib are
the cluster's own there, and the cache may lie under one of them."""


@dataclass(frozen=True)
class Settings:
    """Names, folders and addresses of one cluster.

    Attributes:
        name: lower-case letters, digits and dashes; at most 20 characters.
        gpus: simulated GPUs of the real node.
    """

    name: str = "demo"
    gpus: int = 8

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,19}", self.name):
            raise UserError(
                f"{self.name!r} cannot be the name of a cluster",
                why="it becomes part of folder, interface and control group names",
                fix="use 1 to 20 lower-case letters, digits and dashes, a letter first",
            )

    @property
    def state(self) -> Path:
        """The folder of the running cluster. It exists only while the cluster does."""
        return CACHE / "cluster" / self.name

    @property
    def plan(self) -> Path:
        """What the first process of the cluster is to start. Its path is how that process is recognised."""
        return self.state / "machine.json"

    @property
    def pki(self) -> Path:
        """Keys, certificates and the components' kubeconfigs."""
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        """Logs of the components while the cluster runs."""
        return self.state / "log"

    @property
    def last_logs(self) -> Path:
        """Where ``down`` leaves the logs of the cluster that it ended."""
        return LOGS / f"cluster-{self.name}"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig for use on the host."""
        return self.state / "kubeconfig"

    def inside(self, path: Path) -> Path:
        """The path inside the cluster's namespaces of a file in the cache."""
        return INSIDE / path.relative_to(CACHE)

    @cached_property
    def number(self) -> int:
        """0 to 16127, from the name and the folder: chooses the /30 network between host and cluster."""
        digest = hashlib.sha256(f"{self.state}".encode()).digest()
        return int.from_bytes(digest[:2]) % (252 * 64)

    def _address(self, offset: int) -> str:
        """An address of the link. The pool is 10.89.4.0 up to 10.89.255.255."""
        third, fourth = divmod(4 * 256 + self.number * 4 + offset, 256)
        return f"10.89.{third}.{fourth}"

    @property
    def host_ip(self) -> str:
        """The host's end of the link to the cluster."""
        return self._address(1)

    @property
    def node_ip(self) -> str:
        """The address of the API server and of the real node."""
        return self._address(2)

    @property
    def interface(self) -> str:
        """The host's end of the link (at most 15 characters)."""
        return f"vc-{self.number:x}"

    @property
    def server(self) -> str:
        """URL of the API server, the same from the host and from inside."""
        return f"https://{self.node_ip}:{API_PORT}"

    @property
    def cgroup(self) -> str:
        """Name of the control group that holds all pods of the cluster."""
        return f"vllm-charts-{self.name}-{self.number:x}"
