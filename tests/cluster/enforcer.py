"""What a cluster's network would do and the local one does not: enforce NetworkPolicies, and have a world outside.

The enforcer is kube-router's policy controller, run on the node as its DaemonSet would run it; it neither routes nor
proxies here. The world is a network namespace behind a link of the node, with the addresses that the policies speak of.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from scripts import tools
from scripts.bench import local
from scripts.cluster import Cluster, wait_until
from scripts.cluster.host import PATH, install
from scripts.cluster.processes import entering, require_machine
from scripts.cluster.settings import NODE, SERVICE_CIDR

HUB = "203.0.113.10"
"""A public address: where weights come from."""

PRIVATE = "10.200.0.10"
METADATA = "169.254.169.254"
PORTS = (80, 443)

CONNECT = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2).close()
    print("open")
except OSError as error:
    print("closed", error)
"""
LISTEN = """
import socket, sys, threading
def serve(port):
    listener = socket.create_server(("0.0.0.0", port))
    while True:
        listener.accept()[0].close()
for port in map(int, sys.argv[1:]):
    threading.Thread(target=serve, args=(port,)).start()
"""


@contextmanager
def running(cluster: Cluster, name: str, *command: str) -> Iterator[None]:
    """A program on the node, ended with the block. Its output goes to the logs of the cluster."""
    pid_file = f"/run/{name}.pid"
    words = ["/usr/bin/env", f"PATH={PATH}", "sh", "-c", f'echo $$ >{pid_file}; exec "$@"', name, *command]
    with (cluster.settings.logs / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            entering(require_machine(cluster.settings), words), stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
        try:
            yield
            assert process.poll() is None, f"{name} has ended: see {log.name}"
        finally:
            if process.poll() is None:
                cluster.inside("sh", "-c", f"kill $(cat {pid_file}); rm {pid_file}")
                process.wait(20)


@contextmanager
def enforced(cluster: Cluster) -> Iterator[None]:
    """NetworkPolicies hold inside the block, and nothing of them is left after it."""
    if missing := [program for program in ("iptables", "ipset") if not shutil.which(program, path=PATH)]:
        install(missing, purpose="kube-router")
    settings = cluster.settings
    command = (
        str(settings.inside(tools.ensure("kube-router"))),
        "--run-firewall=true",
        "--run-router=false",
        "--run-service-proxy=false",
        "--run-loadbalancer=false",
        f"--kubeconfig={settings.inside(settings.pki / 'admin.kubeconfig')}",
        f"--hostname-override={NODE}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--iptables-sync-period=10s",
    )
    with running(cluster, "kube-router", *command):
        try:
            wait_until("kube-router has made its chains", lambda: "KUBE-POD-FW" in rules(cluster), seconds=60)
            yield
        finally:
            kept = rules(cluster)
    assert "KUBE-POD-FW" in kept
    # The table is kube-router's alone: kube-proxy has tables of its own in nftables.
    cluster.inside("sh", "-c", "iptables --flush && iptables --delete-chain && ipset destroy")


def rules(cluster: Cluster) -> str:
    """The rules of the packet filter on the node."""
    return cluster.inside("iptables-save", "--table", "filter")


@contextmanager
def outside_world(cluster: Cluster) -> Iterator[None]:
    """Three addresses outside the cluster that take connections."""
    ports = map(str, PORTS)
    with running(cluster, "outside", "unshare", "--net", "python3", "-I", "-c", LISTEN, *ports):
        # Not by "ip netns": it mounts over the folder of the pods' own namespaces, and none of these could go any more.
        wait_until("it has a network of its own", lambda: outside_network(cluster), seconds=10)
        enter = "nsenter --target $outside --net ip"
        addresses = (HUB, PRIVATE, METADATA)
        script = [
            "outside=$(cat /run/outside.pid)",
            "ip link add outside0 type veth peer name outside1 netns $outside",
            "ip address add 198.18.0.1/30 dev outside0",
            "ip link set outside0 up",
            f"{enter} address add 198.18.0.2/30 dev outside1",
            f"{enter} link set outside1 up",
            f"{enter} route add default via 198.18.0.1",
            *(f"{enter} address add {address}/32 dev outside1" for address in addresses),
            *(f"ip route add {address}/32 via 198.18.0.2" for address in addresses),
        ]
        cluster.inside("sh", "-ec", "\n".join(script))
        yield


def outside_network(cluster: Cluster) -> bool:
    """Whether the world has left the network of the node."""
    look = "test -s /run/outside.pid && readlink /proc/self/ns/net /proc/$(cat /run/outside.pid)/ns/net || true"
    return len(set(cluster.inside("sh", "-c", look).split())) == 2


def reaches(cluster: Cluster, pod: tuple[str, str], address: str, port: int) -> bool:
    """Whether a pod (namespace and name) can open a connection, tried in the pod's own network from its node.

    What is asked is the network alone: no program in the pod has to be able to ask.
    """
    namespace, name = pod
    pid = local.engine_pids(cluster, name, namespace)[0]
    words = ("nsenter", "--target", str(pid), "--net", "python3", "-I", "-c", CONNECT, address, str(port))
    return cluster.inside(*words).startswith("open")
