"""Configuration files of the node's programs."""

import json
from pathlib import Path
from typing import Any

import yaml

from scripts.cluster.settings import CLUSTER_DOMAIN, DNS_SERVICE_IP, NODE, NODE_POD_CIDR, POD_CIDR, Settings

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
PAUSE_IMAGE = "localhost/pause:1"
VOLUME_PLUGINS = "/var/lib/kubelet/volume-plugins"
"""The default is a folder of the host, which the kubelet would make."""

CNI_PLUGINS = ("/usr/lib/cni", "/opt/cni/bin")
"""Where distributions keep the CNI plugins: Debian and Ubuntu, and everyone else."""


def write_configs(settings: Settings) -> None:
    """Writes all configuration files of the node into the state folder."""
    files: dict[str, str] = {
        "containerd.toml": containerd(settings, snapshotter(settings.state, Path("/proc/self/mounts").read_text())),
        "cni/10-pods.conflist": json.dumps(cni()),
        "resolv.conf": "# no upstream: names outside the cluster do not resolve\n",
        "kubelet.yaml": yaml.safe_dump(kubelet(settings)),
        "kube-proxy.yaml": yaml.safe_dump(kube_proxy(settings)),
        "kwok.yaml": "",
    }
    for name, text in files.items():
        path = settings.state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def snapshotter(folder: Path, mounts: str) -> str:
    """``overlayfs``, or ``native`` (copies) where the folder itself lies on an overlay, which cannot carry another.

    Args:
        mounts: what /proc/self/mounts says.
    """
    entries = [line.split() for line in mounts.splitlines()]
    under = [(fields[1], fields[2]) for fields in entries if folder.is_relative_to(fields[1])]
    _, kind = max(under, key=lambda pair: len(pair[0]), default=("/", ""))
    return "native" if kind == "overlay" else "overlayfs"


def cni_plugins() -> str:
    """The folder of the CNI plugins on this machine."""
    return next((folder for folder in CNI_PLUGINS if (Path(folder) / "ptp").exists()), CNI_PLUGINS[0])


def containerd(settings: Settings, snapshots: str) -> str:
    """containerd's configuration. Every path that it may write to is the cluster's own.

    ``restrict_oom_score_adj``: without it runc fails wherever root lacks CAP_SYS_RESOURCE, as in many containers.
    """
    return f"""version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_plugins()}"
    conf_dir = "{settings.inside(settings.state / "cni")}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshots}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"""


def cni() -> dict[str, Any]:
    """Pod network: every pod has a link of its own to the node, and everything is routed.

    With a bridge, answers between two pods of the node would bypass the Service address translation unless the host's
    br_netfilter module is loaded.
    """
    ranges = [[{"subnet": NODE_POD_CIDR}]]
    address = {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
    return {
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": address},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet(settings: Settings) -> dict[str, Any]:
    """The kubelet of the real node."""
    pki = settings.inside(settings.pki)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "failSwapOn": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{settings.cgroup}",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "clusterDNS": [DNS_SERVICE_IP],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(settings.inside(settings.state / "resolv.conf")),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / "node.crt"),
        "tlsPrivateKeyFile": str(pki / "node.key"),
        "volumePluginDir": VOLUME_PLUGINS,
        "maxPods": 250,
        "oomScoreAdj": 0,
        # The disk is the developer's: neither its filling level nor that of the memory may evict a test.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "nodeStatusUpdateFrequency": "5s",
    }


def kube_proxy(settings: Settings) -> dict[str, Any]:
    """kube-proxy with nftables. The conntrack limits belong to the host and are left alone."""
    untouched = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clusterCIDR": POD_CIDR,
        "clientConnection": {"kubeconfig": str(settings.inside(settings.pki / "proxy.kubeconfig"))},
        "conntrack": untouched,
        "oomScoreAdj": 0,
        "hostnameOverride": NODE,
    }
