"""The programs of a cluster with their flags, and the plan that its first process follows."""

import json
from pathlib import Path
from typing import Any

from scripts import tools
from scripts.cluster import engine
from scripts.cluster.configs import CONTAINERD_SOCKET, VOLUME_PLUGINS
from scripts.cluster.settings import (
    API_PORT,
    GPU_RESOURCE,
    INSIDE,
    NODE,
    POD_CIDR,
    SERVICE_CIDR,
    Settings,
)
from scripts.paths import CACHE

NODE_LABELS = {
    "node.kubernetes.io/instance-type": "local",
    "topology.kubernetes.io/region": "local",
    "topology.kubernetes.io/zone": "local-a",
    "nvidia.com/gpu.present": "true",
    "nvidia.com/gpu.product": "SIMULATED-GPU",
    "nvidia.com/gpu.memory": "24576",
}
"""Labels of the real node, as cloud and GPU feature discovery set them."""

LOCAL_PATH_FOLDER = "/var/lib/volumes"
MODELS_FOLDER = "/var/lib/models"
"""Folder of the node with model files, for weights from a host path."""


def plan(settings: Settings, images: list[Path]) -> dict[str, Any]:
    """What the first process does: folders, network, programs. Paths are those inside the namespaces."""
    inside, state = settings.inside, settings.state
    binds = {
        state / "kubelet": "/var/lib/kubelet",
        state / "containerd": "/var/lib/containerd",
        state / "pods": "/var/log/pods",
        state / "volumes": LOCAL_PATH_FOLDER,
        state / "models": MODELS_FOLDER,
        state / "tmp": "/tmp",  # noqa: S108 (the cluster's own)
    }
    return {
        "node": NODE,
        "cache": str(CACHE),
        "inside": str(INSIDE),
        "binds": [[str(inside(source)), target] for source, target in binds.items()],
        "logs": str(inside(settings.logs)),
        "interface": "eth0",
        "network": network(settings),
        "containerd": CONTAINERD_SOCKET,
        "images": [str(inside(path)) for path in images],
        "readyz": f"{settings.server}/readyz",
        "ca": str(inside(settings.pki / "ca.crt")),
        "components": [
            {"name": name, "stage": stage, "command": command}
            for stage, programs in (("first", first(settings)), ("node", node(settings)))
            for name, command in programs.items()
        ],
    }


def as_text(content: dict[str, Any]) -> str:
    """The plan as the first process reads it."""
    return json.dumps(content, indent=1)


def network(settings: Settings) -> list[list[str]]:
    """Commands that configure the network inside.

    The Service range gets a route of its own, because a packet must have one before its address is translated; all the
    rest of the world is unreachable, so that a program that calls out fails at once instead of hanging.
    """
    lines = [
        "ip link set lo up",
        f"ip address add {settings.node_ip}/30 dev eth0",
        "ip link set eth0 up",
        f"ip route add {SERVICE_CIDR} dev lo src {settings.node_ip}",
        "ip route add unreachable default",
    ]
    return [line.split() for line in lines]


def program(settings: Settings, name: str) -> str:
    """The path, inside the namespaces, of a built tool."""
    return str(settings.inside(tools.ensure(name)))


def first(settings: Settings) -> dict[str, list[str]]:
    """Control plane and container runtime."""
    return {
        "containerd": ["containerd", "--config", str(settings.inside(settings.state / "containerd.toml"))],
        "etcd": etcd(settings),
        "kube-apiserver": apiserver(settings),
        "kube-controller-manager": controller_manager(settings),
        "kube-scheduler": scheduler(settings),
    }


def etcd(settings: Settings) -> list[str]:
    """etcd without a wait for the disk: the data does not outlive the cluster."""
    return [
        program(settings, "etcd"),
        f"--data-dir={settings.inside(settings.state / 'etcd')}",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver(settings: Settings) -> list[str]:
    """The API server, aggregation layer included (metrics adapters register there)."""
    pki = settings.inside(settings.pki)
    return [
        program(settings, "kube-apiserver"),
        "--etcd-servers=http://127.0.0.1:2379",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--advertise-address={settings.node_ip}",
        f"--secure-port={API_PORT}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        f"--kubelet-client-certificate={pki}/kubelet-client.crt",
        f"--kubelet-client-key={pki}/kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={pki}/front-proxy.crt",
        f"--proxy-client-key-file={pki}/front-proxy.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
    ]


def client(settings: Settings, user: str) -> list[str]:
    """The three flags by which a component reaches the API server and checks who calls it."""
    path = settings.inside(settings.pki / f"{user}.kubeconfig")
    return [f"--{flag}={path}" for flag in ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")]


# Hundreds of simulated pods at once: the default of 20 requests a second would make each test wait a minute.
FAST_CLIENT = ["--leader-elect=false", "--kube-api-qps=500", "--kube-api-burst=1000"]


def controller_manager(settings: Settings) -> list[str]:
    """All controllers, node addresses and signing of certificates included."""
    pki = settings.inside(settings.pki)
    return [
        program(settings, "kube-controller-manager"),
        *client(settings, "controller-manager"),
        *FAST_CLIENT,
        "--use-service-account-credentials",
        f"--service-account-private-key-file={pki}/sa.key",
        f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--allocate-node-cidrs=true",
        f"--cluster-cidr={POD_CIDR}",
        "--node-cidr-mask-size=22",
        f"--flex-volume-plugin-dir={VOLUME_PLUGINS}",
    ]


def scheduler(settings: Settings) -> list[str]:
    """The scheduler with its default profile."""
    return [program(settings, "kube-scheduler"), *client(settings, "scheduler"), *FAST_CLIENT]


def node(settings: Settings) -> dict[str, list[str]]:
    """The programs of the real node, the simulated nodes and the storage of claims."""
    state, pki = settings.inside(settings.state), settings.inside(settings.pki)
    labels = ",".join(f"{name}={value}" for name, value in NODE_LABELS.items())
    admin = f"--kubeconfig={pki}/admin.kubeconfig"
    return {
        "kubelet": [
            program(settings, "kubelet"),
            f"--config={state}/kubelet.yaml",
            f"--kubeconfig={pki}/node.kubeconfig",
            f"--hostname-override={NODE}",
            f"--node-ip={settings.node_ip}",
            f"--node-labels={labels}",
        ],
        "kube-proxy": [program(settings, "kube-proxy"), f"--config={state}/kube-proxy.yaml"],
        "gpu-device-plugin": gpu_device_plugin(settings),
        "kwok": [
            program(settings, "kwok"),
            admin,
            f"--config={state}/kwok.yaml",
            "--manage-nodes-with-label-selector=type=kwok",
            "--node-lease-duration-seconds=40",
        ],
        "local-path-provisioner": [
            program(settings, "local-path-provisioner"),
            "start",
            admin,
            "--namespace=kube-system",
            "--configmap-name=local-path-config",
            "--service-account-name=local-path-provisioner",
        ],
    }


def gpu_device_plugin(settings: Settings) -> list[str]:
    """Simulated GPUs of the real node; a container that gets one also gets the engine's environment."""
    mount = f"{settings.inside(engine.environment())}:{engine.MOUNT}"
    return [
        program(settings, "gpu-device-plugin"),
        f"--resource={GPU_RESOURCE}",
        f"--count={settings.gpus}",
        f"--mount={mount}",
    ]
