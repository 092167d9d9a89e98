"""The local cluster itself: what runs on it behaves as on any other, and nothing of it outlives it."""

import errno
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.cluster import Cluster, Settings, processes, wait_until
from scripts.cluster.images import PYTHON_IMAGE
from scripts.cluster.kwok import TOLERATION
from scripts.cluster.settings import NODE
from scripts.node_pools import instance_type
from scripts.paths import REPO

BUDGET_SECONDS = 180

SERVE = "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8080)"
GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists"}


def pod(name: str, *command: str, **spec: Any) -> dict[str, Any]:
    """A pod of the Python image that runs as a stranger."""
    container = {"name": "main", "image": PYTHON_IMAGE, "command": list(command), "workingDir": "/etc"}
    container |= spec.pop("container", {})
    security = {"runAsUser": 4711, "runAsGroup": 4711, "fsGroup": 4711, "runAsNonRoot": True}
    body = {"containers": [container], "securityContext": security, "terminationGracePeriodSeconds": 0} | spec
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": body}


def gpu_pod(name: str, count: int) -> dict[str, Any]:
    """A pod that asks for simulated GPUs and shows what it got."""
    limits = {"resources": {"limits": {"nvidia.com/gpu": str(count)}}}
    return pod(name, "sh", "-c", "env; ls /opt/vllm/bin; sleep 600", container=limits)


def service(name: str) -> dict[str, Any]:
    """A Service in front of the pods of that name."""
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def claim(name: str, mode: str, **spec: Any) -> dict[str, Any]:
    """A claim of 1 GiB."""
    body = {"accessModes": [mode], "resources": {"requests": {"storage": "1Gi"}}} | spec
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": body}


def on_claim(name: str, claim: str, script: str) -> dict[str, Any]:
    """A pod that runs a script with a claim mounted at /data."""
    mount = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
    return pod(name, "sh", "-c", script, container=mount, volumes=[volume], restartPolicy="Never")


def run(cluster: Cluster, namespace: str, *objects: dict[str, Any]) -> None:
    """Applies objects to a namespace."""
    cluster.apply(list(objects), "--namespace", namespace)


def ready(cluster: Cluster, namespace: str, name: str) -> None:
    """Waits for a pod to be ready."""
    cluster.wait("--namespace", namespace, "--for=condition=Ready", f"pod/{name}", seconds=60)


def execute(cluster: Cluster, namespace: str, name: str, code: str) -> str:
    """Runs Python code in a pod."""
    return cluster.kubectl("exec", "--namespace", namespace, name, "--", "python3", "-c", code).strip()


LOOK_UP = """
import socket, time
began = time.time()
try:
    socket.getaddrinfo("example.com", 80)
except OSError:
    print(time.time() - began)
"""
CONNECT = """
import socket
try:
    socket.create_connection(("192.0.2.1", 80), 3)
except OSError as error:
    print(error.errno)
"""
FETCH = "import urllib.request as r; print(r.urlopen('{}', timeout=5).status)"


@pytest.fixture(scope="module")
def web(cluster: Cluster) -> Iterator[str]:
    """A namespace with a web server behind a Service."""
    with cluster.namespace("web") as namespace:
        run(cluster, namespace, pod("web", "python3", "-c", SERVE), service("web"))
        ready(cluster, namespace, "web")
        yield namespace


def test_a_pod_reaches_another_by_the_name_of_its_service(cluster: Cluster, web: str) -> None:
    def answer() -> bool:
        said = cluster.kubectl(
            *("exec", "--namespace", web, "web", "--", "python3", "-c", FETCH.format(f"http://web.{web}.svc")),
            check=False,
        )
        return said.strip() == "200"

    wait_until("the Service answers by name", answer, seconds=20, pause=0.5)


def test_a_pod_reaches_itself_through_its_service(cluster: Cluster, web: str) -> None:
    address = cluster.get("service", "web", "--namespace", web)["spec"]["clusterIP"]
    assert execute(cluster, web, "web", FETCH.format(f"http://{address}")) == "200"


def test_a_name_outside_the_cluster_fails_at_once(cluster: Cluster, web: str) -> None:
    assert float(execute(cluster, web, "web", LOOK_UP)) < 3


def test_an_address_outside_the_cluster_is_unreachable_at_once(cluster: Cluster, web: str) -> None:
    unreachable = {str(errno.ENETUNREACH), str(errno.EHOSTUNREACH)}  # and not "None", a time-out
    wait_until("the kernel says so", lambda: execute(cluster, web, "web", CONNECT) in unreachable, seconds=15)


def test_dns_answers_live_as_long_as_kubeadm_lets_them(cluster: Cluster) -> None:
    corefile = cluster.get("configmap", "coredns", "--namespace=kube-system")["data"]["Corefile"]
    assert "ttl 30" in corefile
    assert "cache 30" in corefile


def test_logs_of_a_pod_are_read_from_the_host(cluster: Cluster, web: str) -> None:
    execute(cluster, web, "web", FETCH.format("http://127.0.0.1:8080"))
    assert "GET / HTTP/1.1" in cluster.kubectl("logs", "--namespace", web, "web")


def test_a_port_is_forwarded_to_the_host(cluster: Cluster, web: str) -> None:
    with cluster.port_forward("service/web", 80, namespace=web) as url:
        assert "passwd" in httpx.get(url, timeout=10).text


def test_the_aggregation_layer_trusts_its_proxy(cluster: Cluster) -> None:
    trusted = cluster.get("configmap", "extension-apiserver-authentication", "--namespace=kube-system")["data"]
    assert json.loads(trusted["requestheader-allowed-names"]) == ["front-proxy"]
    assert "BEGIN CERTIFICATE" in trusted["requestheader-client-ca-file"]


def test_a_pod_that_asks_for_gpus_gets_them_and_the_engine(cluster: Cluster, namespace: str) -> None:
    cluster.ensure_engine()
    run(cluster, namespace, gpu_pod("two", 2))
    ready(cluster, namespace, "two")
    said = wait_until(
        "the pod speaks", lambda: cluster.kubectl("logs", "-n", namespace, "two"), seconds=20
    ).splitlines()
    (devices,) = [line.partition("=")[2] for line in said if line.startswith("NVIDIA_VISIBLE_DEVICES=")]
    assert len(devices.split(",")) == 2
    assert "vllm" in said


def test_a_pod_that_asks_for_no_gpu_sees_neither(cluster: Cluster, web: str) -> None:
    code = "import os; print(os.environ.get('NVIDIA_VISIBLE_DEVICES'), os.path.exists('/opt/vllm'))"
    assert execute(cluster, web, "web", code) == "None False"


def test_more_gpus_than_there_are_stay_pending(cluster: Cluster, namespace: str) -> None:
    run(cluster, namespace, gpu_pod("greedy", 9))
    cluster.wait("-n", namespace, "--for=jsonpath={.status.conditions[0].reason}=Unschedulable", "pod/greedy")
    assert (
        "Insufficient nvidia.com/gpu"
        in cluster.get("pod", "greedy", "-n", namespace)["status"]["conditions"][0]["message"]
    )


def test_a_stranger_writes_to_a_claim_of_the_default_class(cluster: Cluster, namespace: str) -> None:
    run(cluster, namespace, claim("one", "ReadWriteOnce"), on_claim("writer", "one", "echo kept > /data/file"))
    cluster.wait("-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "pod/writer", seconds=60)
    run(cluster, namespace, on_claim("reader", "one", "cat /data/file"))
    cluster.wait("-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "pod/reader", seconds=60)
    assert cluster.kubectl("logs", "-n", namespace, "reader") == "kept\n"


def test_a_claim_of_the_shared_class_is_writable_by_many(cluster: Cluster, namespace: str) -> None:
    run(cluster, namespace, claim("many", "ReadWriteMany", storageClassName="shared"))
    cluster.wait("-n", namespace, "--for=jsonpath={.status.phase}=Bound", "pvc/many", seconds=60)


def test_simulated_nodes_have_what_their_instance_type_has(cluster: Cluster) -> None:
    cluster.pools.add("g6.xlarge", 3, capacity="spot")
    node = cluster.get("node", "g6-xlarge-spot-1")
    left = instance_type("g6.xlarge").allocatable
    assert node["status"]["allocatable"]["cpu"] == f"{left.cpu_millicores}m"
    assert node["status"]["allocatable"]["memory"] == f"{left.memory_mib}Mi"
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "1"
    assert node["metadata"]["labels"]["topology.kubernetes.io/zone"] == "us-east-1b"
    assert node["metadata"]["labels"]["eks.amazonaws.com/capacityType"] == "SPOT"
    cluster.pools.remove("g6-xlarge-spot")


def test_a_pod_lands_on_a_simulated_node_only_if_it_tolerates_it(cluster: Cluster, namespace: str) -> None:
    cluster.pools.add("g6.xlarge", 3)
    away = {"nodeSelector": {"type": "kwok"}}
    welcome = pod("welcome", "unused", tolerations=[TOLERATION, GPU_TOLERATION], **away)
    stranger = pod("stranger", "unused", tolerations=[GPU_TOLERATION], **away)
    run(cluster, namespace, welcome, stranger)
    ready(cluster, namespace, "welcome")
    cluster.wait("-n", namespace, "--for=jsonpath={.status.conditions[0].reason}=Unschedulable", "pod/stranger")
    cluster.pools.remove("g6-xlarge")


def test_up_leaves_a_running_cluster_alone(cluster: Cluster) -> None:
    before = processes.find_machine(cluster.settings)
    began = time.monotonic()
    cluster.up()
    assert time.monotonic() - began < 10
    assert processes.find_machine(cluster.settings) == before


FOLDERS = (
    *("/etc/cni/net.d", "/etc/kubernetes", "/opt/cni", "/opt/containerd", "/usr/libexec/kubernetes"),
    *("/var/lib/cni", "/var/lib/containerd", "/var/lib/kubelet", "/var/lib/vllm-charts", "/var/log/pods"),
)
"""Where containerd, kubelet and CNI plugins write by default."""


def host_state() -> dict[str, Any]:
    """What a cluster must leave as it was: mounts, its interface, control groups, the folders that its programs use."""
    groups = subprocess.run(["find", "/sys/fs/cgroup", "-name", "vllm-charts-other*"], capture_output=True, text=True)
    links = json.loads(subprocess.run(["ip", "-json", "link"], capture_output=True, text=True, check=True).stdout)
    return {
        "mounts": Path("/proc/self/mounts").read_text(),
        "links": {link["ifname"] for link in links if link["ifname"] == Settings(name="other").interface},
        "groups": groups.stdout.split(),
        "folders": [folder for folder in FOLDERS if Path(folder).exists()],
    }


@pytest.fixture
def other() -> Iterator[Cluster]:
    """A second cluster beside the first, gone after the test whatever happens."""
    other = Cluster(Settings(name="other"))
    yield other
    other.down()


def test_a_warm_start_takes_less_than_twenty_seconds_and_down_leaves_nothing(other: Cluster) -> None:
    before, limit = host_state(), 20 if os.getloadavg()[0] < (os.cpu_count() or 1) else 90
    began = time.monotonic()
    other.up()
    took = time.monotonic() - began
    assert other.kubectl("get", "node", NODE, "--output=name").strip() == f"node/{NODE}"
    assert other.down()
    assert other.remains() == []
    assert host_state() == before
    assert took < limit


@pytest.mark.parametrize("victim", ["the first process", "its parent"])
def test_a_killed_cluster_leaves_nothing_that_down_does_not_remove(other: Cluster, victim: str) -> None:
    before = host_state()
    other.up()
    pid = processes.find_machine(other.settings)
    assert pid is not None
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(pid if victim == "the first process" else parent, signal.SIGKILL)
    wait_until("the machine is gone", lambda: not other.is_running, seconds=20)
    other.down()
    assert other.remains() == []
    assert host_state() == before


@pytest.mark.parametrize("program", ["containerd", "kubelet", "kube-apiserver", "etcd"])
def test_a_killed_program_is_started_again(cluster: Cluster, program: str) -> None:
    listing = cluster.inside("ps", "-eo", "pid=,args=").splitlines()
    (victim,) = [line.split()[0] for line in listing if Path(line.split()[1]).name == program]
    cluster.inside("kill", "-9", victim)

    def works() -> bool:
        listing = cluster.inside("ps", "-eo", "pid=,args=").splitlines()
        again = [line for line in listing if Path(line.split()[1]).name == program and line.split()[0] != victim]
        return bool(again) and cluster.kubectl("get", "--raw=/readyz", check=False, seconds=5) == "ok"

    wait_until(f"{program} runs again", works, seconds=60, pause=0.5)
    cluster.wait("--for=condition=Ready", f"node/{NODE}", seconds=60)


def test_an_interrupted_start_is_finished_by_the_next(other: Cluster) -> None:
    command = [str(REPO / ".venv/bin/vllm-charts"), "cluster", "up", "--name", "other"]
    start = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_until("the machine runs", lambda: other.is_running, seconds=60, pause=0.02)
    start.kill()
    start.wait()
    other.up()
    assert other.kubectl("get", "--raw=/readyz") == "ok"
