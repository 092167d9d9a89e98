"""What a real API server says to every render: types, cross-field rules, CEL of the custom resources, Pod Security.

Everything goes through as a dry run on the server: it is decoded, defaulted, validated and admitted, and not kept.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scripts import tools
from scripts.cluster import Cluster
from scripts.cluster.kubernetes import CommandError
from scripts.cluster.processes import wait_until
from scripts.kubernetes_modules import crd_files, crd_modules
from scripts.render import Object, release_name, render
from tests.render.chart import model, pod_specs
from tests.render.test_objects import GKE_ONLY
from tests.render.values_files import FILES
from tests.render.variants import NEEDS_PRIVILEGE, VARIANTS

BUDGET_SECONDS = 240
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
UNSECURED = {"extra"}
"""Variants with containers of the user, who secures them or does not."""

ADMITTED = [name for name in VARIANTS if name not in NEEDS_PRIVILEGE and name not in UNSECURED]


MADE = (
    *("_scaledobjects", "_podmonitors", "_prometheusrules", "_httproutes", "_middlewares", "_serverstransports"),
    *("_leaderworkersets", "rollout-crd", "analysis-template-crd", "_inferenceservices"),
)
"""Files of the custom resources that the chart makes. All sixty of the modules take the API server a minute."""

CLASSES: list[Object] = [
    {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "llm"}, "value": 1000},
    {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nvidia"}, "handler": "nvidia"},
]
"""What pods of some variants name, and a cluster has before them. A pod is refused while it does not exist."""


def accounts(namespace: str) -> list[Object]:
    """The ServiceAccounts of all releases: a dry run makes none, and a pod is refused without its own."""
    names = ["demo", "llm", *(release_name(path) for path in FILES)]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
        for name in names
    ]


@pytest.fixture(scope="module")
def restricted(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A namespace that admits restricted pods only, on a cluster that knows the custom resources."""
    together = tmp_path_factory.mktemp("crds") / "all.yaml"
    files = [path for name in crd_modules() for path in crd_files(name) if path.stem.endswith(MADE)]
    together.write_text("\n---\n".join(path.read_text() for path in files))
    cluster.apply(together)
    wait_until("the custom resources are served", lambda: served(cluster) >= len(files), seconds=60)
    cluster.apply(CLASSES)
    with cluster.namespace("restricted", labels=RESTRICTED) as name:
        cluster.apply(accounts(name))
        yield name


def served(cluster: Cluster) -> int:
    """How many custom resources the API server serves. kubectl wait fails on one that has no conditions yet."""
    established = {"type": "Established", "status": "True"}
    return sum(
        any(established.items() <= condition.items() for condition in crd.get("status", {}).get("conditions") or [])
        for crd in cluster.get("customresourcedefinitions")
    )


def dry_run(cluster: Cluster, namespace: str, objects: list[Object]) -> tuple[int, str]:
    """Applies objects server-side without keeping them. Gives the status and what was said beside "applied"."""
    known = [body for body in objects if body["kind"] not in GKE_ONLY]
    command = [tools.ensure("kubectl"), "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"]
    done = subprocess.run(
        [*map(str, command), "--namespace", namespace],
        input=yaml.safe_dump_all(known),
        capture_output=True,
        text=True,
        env=cluster.environment(),
        timeout=120,
    )
    return done.returncode, done.stderr


def pods(objects: list[Object]) -> list[Object]:
    """Each pod that the objects would make, as a Pod: Pod Security enforces on pods, and only warns of their makers."""
    found = []
    for body in objects:
        for place, spec in pod_specs(body):
            name = f"{body['metadata']['name']}-{body['kind']}-{place}".lower()[:63].strip("-")
            spec = {key: value for key, value in spec.items() if key not in _OF_KSERVE}
            found.append({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    return found


_OF_KSERVE = {"minReplicas", "maxReplicas", "deploymentStrategy", "labels", "annotations"}


@pytest.mark.parametrize("variant", ADMITTED)
def test_every_render_and_every_pod_of_it_is_admitted_without_a_warning(
    cluster: Cluster, restricted: str, variant: str
) -> None:
    made = model(VARIANTS[variant], namespace=restricted).objects
    assert pods(made)
    assert dry_run(cluster, restricted, made + pods(made)) == (0, "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_values_file_is_admitted_without_a_warning(cluster: Cluster, restricted: str, path: Path) -> None:
    made = render("vllm-model", [path], release=release_name(path), namespace=restricted)
    assert dry_run(cluster, restricted, made.objects + pods(made.objects)) == (0, "")


@pytest.mark.parametrize("variant", NEEDS_PRIVILEGE)
def test_what_needs_more_is_refused_and_says_what(cluster: Cluster, restricted: str, variant: str) -> None:
    status, said = dry_run(cluster, restricted, pods(model(VARIANTS[variant], namespace=restricted).objects))
    assert status != 0
    assert 'violates PodSecurity "restricted:latest"' in said
    assert NEEDS_PRIVILEGE[variant].split()[0] in said


@pytest.mark.parametrize("variant", NEEDS_PRIVILEGE)
def test_what_needs_more_is_admitted_where_that_is_allowed(cluster: Cluster, restricted: str, variant: str) -> None:
    del restricted  # the custom resources
    with cluster.namespace("privileged", labels={"pod-security.kubernetes.io/enforce": "privileged"}) as namespace:
        cluster.apply(accounts(namespace))
        made = model(VARIANTS[variant], namespace=namespace).objects
        assert dry_run(cluster, namespace, made + pods(made)) == (0, "")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"replicas": "two"}, "replicas"),
        ({"replica": 2}, "field not declared in schema"),
        ({"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}, "may not be specified"),
    ],
)
def test_server_does_refuse_what_is_wrong(cluster: Cluster, restricted: str, change: Object, message: str) -> None:
    """The tests above would pass against a server that accepts everything."""
    body = model(namespace=restricted).one("Deployment")
    status, said = dry_run(cluster, restricted, [{**body, "spec": {**body["spec"], **change}}])
    assert status != 0
    assert message in said


def test_a_quota_on_limits_of_gpus_is_taken_and_counts_nothing(cluster: Cluster) -> None:
    """Why the charts refuse one: it looks as if it guarded the GPUs."""
    with cluster.namespace("quota") as namespace:
        for name in ("limits", "requests"):
            hard = f"--hard={name}.nvidia.com/gpu=16"
            cluster.kubectl("create", "quota", name, hard, "--namespace", namespace)
            cluster.wait("--for=jsonpath={.status.hard}", f"resourcequota/{name}", "--namespace", namespace)
        status = {
            name: cluster.get("resourcequota", name, "--namespace", namespace)["status"]
            for name in ("limits", "requests")
        }
    assert status["requests"]["used"] == {"requests.nvidia.com/gpu": "0"}
    assert "used" not in status["limits"]


def test_quota_admits_sixteen_gpus_and_refuses_the_next(cluster: Cluster) -> None:
    with cluster.namespace("quota") as namespace:
        values = {"resourceQuota": {"enabled": True}, "gpu": {"count": 8}, "parallelism": {"tensor": 8}}
        made = model(values, namespace=namespace)
        cluster.apply([made.one("ResourceQuota")])
        cluster.wait("--for=jsonpath={.status.hard}", "resourcequota", "demo", "--namespace", namespace)
        cluster.apply(accounts(namespace))
        (body,) = pods([made.one("Deployment")])
        body["spec"] |= {"nodeSelector": {"no": "such-node"}}
        for number in range(2):
            cluster.apply([{**body, "metadata": {"name": f"a{number}", "namespace": namespace}}])
        with pytest.raises(CommandError, match=r"exceeded quota: demo, requested: requests\.nvidia\.com/gpu=8"):
            cluster.apply([{**body, "metadata": {"name": "a2", "namespace": namespace}}])
