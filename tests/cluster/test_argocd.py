"""Argo CD syncs this repository's own Applications for real: from zero, by commits, back, and away again."""

from collections.abc import Iterator
from typing import Any

import pytest

from scripts.bench import local, operators
from scripts.cluster import Cluster
from scripts.kubernetes_modules import crd_files
from tests.cluster.argocd import ENVIRONMENT, NAMESPACE, OVERLAY, ArgoCD, running
from tests.cluster.watch import Watch

BUDGET_SECONDS = 420
pytestmark = pytest.mark.long
"""Argo CD alone takes six minutes to build: more than it is worth on every push."""

MODELS = "llm-models"
SCALED = {
    "autoscaling": {
        "type": "keda",
        "minReplicas": 2,
        "maxReplicas": 4,
        "triggers": {
            "waitingRequests": {"enabled": False},
            "demand": {"enabled": False},
            # A clock that always says three: the scaler is live and needs no Prometheus.
            "cron": {"always": {"timezone": "UTC", "start": "0 0 * * *", "end": "59 23 * * *", "replicas": 3}},
        },
    }
}


@pytest.fixture(scope="module")
def argo(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArgoCD]:
    """Argo CD with one model in Git, nothing of it applied yet. KEDA runs: prune must get past its finalizers."""
    local.ensure_double(cluster)
    for path in crd_files("prometheus-operator"):
        cluster.apply(path)
    operators.install_keda(cluster)
    with running(cluster, tmp_path_factory.mktemp("argocd")) as argo:
        argo.repository.model("llama", {"replicas": 3})
        argo.repository.commit("One model")
        yield argo


def deployment(argo: ArgoCD, name: str) -> dict[str, Any]:
    found: dict[str, Any] = argo.cluster.get("deployment", name, "--namespace", MODELS)
    return found


def names(argo: ArgoCD, kind: str) -> str:
    return argo.cluster.kubectl("get", kind, "--namespace", MODELS, "--output=name")


def test_one_apply_brings_platform_and_models_up_from_zero(argo: ArgoCD) -> None:
    argo.cluster.apply(argo.repository.root())
    for name in ("llm-root", "llm-platform", "llama"):
        argo.wait_synced(name)
    assert deployment(argo, "llama")["status"]["readyReplicas"] == 3


def test_what_is_synced_stays_so_when_controllers_have_written_their_defaults(argo: ArgoCD) -> None:
    def all_synced() -> bool:
        return all(argo.state(name)[0] == "Synced" for name in ("llm-root", "llm-platform", "llama"))

    argo.wait("everything is synced", all_synced)
    before = argo.operations("llm-root")
    for _ in range(3):
        argo.refresh()
        argo.wait("everything is synced still", all_synced)
    assert argo.operations("llm-root") == before, "the root syncs again and again"


def test_namespaces_have_the_pod_security_that_their_application_says(argo: ArgoCD) -> None:
    level = "pod-security.kubernetes.io/enforce"
    for namespace, wanted in ((MODELS, "restricted"), ("llm-platform", "privileged")):
        assert argo.cluster.get("namespace", namespace)["metadata"]["labels"][level] == wanted


def test_a_model_is_added_by_a_commit(argo: ArgoCD) -> None:
    argo.repository.model("qwen", {})
    commit = argo.repository.commit("Add a model")
    argo.wait_synced("qwen", commit)
    assert deployment(argo, "qwen")["status"]["readyReplicas"] == 1


def test_what_a_hand_changed_is_put_back(argo: ArgoCD) -> None:
    argo.cluster.kubectl("scale", "deployment/qwen", "--replicas=2", "--namespace", MODELS)
    argo.wait("Git's number is back", lambda: deployment(argo, "qwen")["spec"]["replicas"] == 1)


def test_the_move_to_a_scaler_drops_no_replica_and_leaves_the_number_to_it(argo: ArgoCD) -> None:
    def replicas(body: dict[str, Any]) -> int:
        return int(body["spec"]["replicas"])

    with Watch(argo.cluster, MODELS, "llama", replicas) as watched:
        argo.repository.model("llama", SCALED)
        argo.wait_synced("llama", argo.repository.commit("Scale the model"))
        argo.cluster.kubectl("scale", "deployment/llama", "--replicas=4", "--namespace", MODELS)
        argo.refresh()
        argo.wait_synced("llama")
    assert min(watched.values()) == 3
    assert "scaledobject.keda.sh/llama" in names(argo, "scaledobject")


def test_a_bad_version_keeps_the_old_pods_and_a_revert_brings_peace(argo: ArgoCD) -> None:
    argo.repository.model("qwen", {"engine": {"image": {"tag": "v9.9.9"}}})
    commit = argo.repository.commit("A version that does not exist")
    argo.wait("the commit is synced", lambda: argo.state("qwen")[2] == commit)
    argo.wait("the application is not healthy", lambda: argo.state("qwen")[1] != "Healthy")
    assert deployment(argo, "qwen")["status"]["readyReplicas"] == 1
    argo.repository.git("revert", "--no-edit", commit)
    argo.wait_synced("qwen", argo.repository.git("rev-parse", "HEAD").strip())


def test_a_model_is_rolled_back_at_once_and_stays_so_while_automated_sync_is_off(argo: ArgoCD) -> None:
    before = argo.state("qwen")[2]
    argo.repository.model("qwen", {"replicas": 2})
    commit = argo.repository.commit("A change that turns out to be wrong")
    argo.wait_synced("qwen", commit)
    automated = (argo.application("qwen") or {})["spec"]["syncPolicy"]["automated"]
    # What `argocd app set --sync-policy none` and `argocd app rollback` write.
    argo.patch("qwen", {"spec": {"syncPolicy": {"automated": None}}})
    argo.patch("qwen", {"operation": {"sync": {"revision": before}, "initiatedBy": {"username": "test"}}})
    argo.wait("the model is as it was", lambda: argo.state("qwen")[2] == before)
    argo.wait("one replica is wanted again", lambda: deployment(argo, "qwen")["spec"]["replicas"] == 1)
    for _ in range(3):
        argo.reconcile_sets()
        assert "automated" not in (argo.application("qwen") or {})["spec"]["syncPolicy"]
    assert deployment(argo, "qwen")["spec"]["replicas"] == 1
    argo.repository.git("revert", "--no-edit", commit)
    argo.patch("qwen", {"spec": {"syncPolicy": {"automated": automated}}})
    argo.wait_synced("qwen", argo.repository.git("rev-parse", "HEAD").strip())
    assert deployment(argo, "qwen")["spec"]["replicas"] == 1


def test_a_model_cannot_make_what_belongs_to_the_cluster(argo: ArgoCD) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "too-much"}}
    argo.repository.model("qwen", {"extraObjects": [{**role, "rules": []}]})
    commit = argo.repository.commit("Ask for too much")

    def refused() -> bool:
        operation = (argo.application("qwen") or {}).get("status", {}).get("operationState", {})
        wanted = operation.get("operation", {}).get("sync", {}).get("revision")
        return wanted == commit and "not permitted in project" in str(operation)

    argo.wait("the sync is refused", refused)
    assert argo.cluster.kubectl("get", "clusterrole", "too-much", "--ignore-not-found") == ""
    argo.repository.git("revert", "--no-edit", commit)
    argo.wait_synced("qwen", argo.repository.git("rev-parse", "HEAD").strip())


def test_a_file_that_goes_takes_its_model_with_a_live_scaler(argo: ArgoCD) -> None:
    argo.repository.git("rm", "--quiet", f"{OVERLAY}/models/llama.yaml")
    argo.repository.commit("Remove the model")
    argo.wait("the application is gone", lambda: argo.application("llama") is None)
    assert "llama" not in names(argo, "scaledobject,deployment,service,horizontalpodautoscaler")
    assert argo.application("qwen") is not None


def test_nothing_is_left_when_the_models_and_then_the_root_are_deleted(argo: ArgoCD) -> None:
    delete = ("delete", "--namespace", NAMESPACE, "--wait=false")
    argo.cluster.kubectl(*delete, "applicationset/llm-models", "--cascade=foreground", check=False)
    argo.wait("the models are gone", lambda: argo.application("qwen") is None)
    argo.cluster.kubectl(*delete, "application/llm-root")
    argo.wait("the root is gone", lambda: argo.application("llm-root") is None)
    assert "deployment" not in names(argo, "deployment")
    assert ENVIRONMENT not in argo.cluster.kubectl(
        *("get", "applications,appprojects", "--namespace", NAMESPACE, "--output=name")
    )
