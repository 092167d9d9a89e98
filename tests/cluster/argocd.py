"""Argo CD's controllers beside the local cluster, as plain processes, and the Git repository that they watch."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config

from scripts import tools
from scripts.bench import local
from scripts.cluster import Cluster, wait_until
from scripts.cluster.host import install
from scripts.kubernetes_modules import crd_files
from scripts.paths import CHARTS, REPO
from scripts.platform_chart import assemble
from scripts.ports import free_port

NAMESPACE = "argocd"
ENVIRONMENT = "test"
OVERLAY = f"gitops/argocd/overlays/{ENVIRONMENT}"

QUICK: dict[str, Any] = {"shutdown": {"endpointSeconds": 0, "drainSeconds": 1}}
"""Values of every model here: the pods are gone as soon as they are not wanted."""


class GitRepository:
    """A repository with this project's charts and GitOps files, and an environment of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file://{folder}"

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
        command = ["git", "-C", str(self.folder), *identity, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def write(self, path: str, content: dict[str, Any] | str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")

    def commit(self, message: str) -> str:
        """Commits everything and gives the commit."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD").strip()

    def model(self, name: str, here: dict[str, Any]) -> None:
        """A model on the engine's double: its values file, and the environment's file that switches it on."""
        self.write(f"values/models/{name}.yaml", local.overlay(local.DOUBLE, {"model": {"id": name}}))
        self.write(f"{OVERLAY}/models/{name}.yaml", local.overlay(QUICK, here))

    def make(self) -> None:
        """Copies the charts (the umbrella with stubs for its operators) and gitops/, and adds the environment."""
        self.folder.mkdir()
        self.git("init", "--quiet", "--initial-branch", "main")
        left_out = shutil.ignore_patterns("charts", "crds", "tests", "ci")
        shutil.copytree(CHARTS / "vllm-model", self.folder / "charts" / "vllm-model", ignore=left_out)
        assemble(self.folder / "charts" / "llm-platform")
        shutil.copytree(REPO / "gitops", self.folder / "gitops")
        shutil.copytree(self.folder / "gitops/argocd/overlays/dev", self.folder / OVERLAY)
        for path in (self.folder / OVERLAY / "models").iterdir():
            path.unlink()
        for name in (f"{OVERLAY}/settings.yaml", f"{OVERLAY}/kustomization.yaml"):
            self.write(name, self.adapted((self.folder / name).read_text(encoding="utf-8")))
        # No image of the gateway is on the node: what is synced here is the umbrella's shape, not its traffic.
        self.write("values/platforms/test.yaml", {"gateway": {"enabled": False}})
        self.write(f"{OVERLAY}/platform.yaml", {"commonLabels": {"environment": ENVIRONMENT}})

    def adapted(self, text: str) -> str:
        """A file of the environment dev, for this repository and its environment."""
        address = "https://github.com/your-org/vllm-charts.git"
        assert "dev" in text
        return (
            text.replace(address, self.url)
            .replace("overlays/dev", f"overlays/{ENVIRONMENT}")
            .replace("environment: dev", f"environment: {ENVIRONMENT}")
            .replace("eks.yaml", "test.yaml")
        )

    def root(self) -> list[dict[str, Any]]:
        """What a person applies by hand."""
        text = self.adapted((REPO / "gitops/argocd/bootstrap/dev.yaml").read_text(encoding="utf-8"))
        return list(yaml.safe_load_all(text))


class ArgoCD:
    """Argo CD's view of the cluster, asked in this process: a kubectl for every look would be most of the work."""

    def __init__(self, cluster: Cluster, repository: GitRepository) -> None:
        self.cluster, self.repository = cluster, repository
        configuration = client.Configuration()
        config.load_kube_config(str(cluster.kubeconfig), client_configuration=configuration)
        self.api = client.CustomObjectsApi(client.ApiClient(configuration))

    def items(self, plural: str) -> list[dict[str, Any]]:
        """All Applications, or all ApplicationSets."""
        answer = self.api.list_namespaced_custom_object("argoproj.io", "v1alpha1", NAMESPACE, plural)
        found: list[dict[str, Any]] = answer["items"]
        return found

    def application(self, name: str) -> dict[str, Any] | None:
        """An Application, or None if there is none."""
        return next((body for body in self.items("applications") if body["metadata"]["name"] == name), None)

    def refresh(self) -> None:
        """Lets the controllers look at Git now, as a webhook of the Git server would."""
        notes = {"applications": ("refresh", "normal"), "applicationsets": ("application-set-refresh", "true")}
        for plural, (note, value) in notes.items():
            patch = {"metadata": {"annotations": {f"argocd.argoproj.io/{note}": value}}}
            for body in self.items(plural):
                with suppress(client.ApiException):  # gone since it was listed
                    self.api.patch_namespaced_custom_object(
                        "argoproj.io", "v1alpha1", NAMESPACE, plural, body["metadata"]["name"], patch
                    )

    def state(self, name: str) -> tuple[str, str, str]:
        """Sync status, health and the commit that was last synced."""
        status = (self.application(name) or {}).get("status", {})
        operation = status.get("operationState", {}).get("syncResult", {})
        return (
            status.get("sync", {}).get("status", ""),
            status.get("health", {}).get("status", ""),
            operation.get("revision", ""),
        )

    def patch(self, name: str, change: dict[str, Any]) -> None:
        """Changes an Application, as Argo CD's command line and pages do."""
        self.api.patch_namespaced_custom_object("argoproj.io", "v1alpha1", NAMESPACE, "applications", name, change)

    def reconcile_sets(self) -> None:
        """Lets the ApplicationSet controller do its work once more, and waits until it has."""
        self.refresh()
        note = "argocd.argoproj.io/application-set-refresh"

        def done() -> bool:
            return all(note not in body["metadata"].get("annotations", {}) for body in self.items("applicationsets"))

        wait_until("the ApplicationSets have been looked at", done, seconds=60, pause=0.5)

    def operations(self, name: str) -> str:
        """When the last sync of an Application ended: it moves with every further one."""
        status = (self.application(name) or {}).get("status", {})
        return str(status.get("operationState", {}).get("finishedAt", ""))

    def wait_synced(self, name: str, commit: str = "", *, healthy: bool = True, seconds: float = 300) -> None:
        """Waits until an Application is what Git says (at a commit), and healthy."""

        def is_there() -> bool:
            sync, health, revision = self.state(name)
            return sync == "Synced" and (health == "Healthy" or not healthy) and commit in ("", revision)

        try:
            self.wait(f"{name} is synced", is_there, seconds=seconds)
        except Exception as error:
            error.add_note(yaml.safe_dump((self.application(name) or {}).get("status", {}))[:6000])
            raise

    def wait(self, what: str, condition: Any, *, seconds: float = 300) -> None:
        """Waits for a condition, with a look at Git every few seconds."""

        def looked() -> bool:
            self.refresh()
            return bool(condition())

        wait_until(what, looked, seconds=seconds, pause=3)


SETTINGS: dict[str, dict[str, Any]] = {
    "argocd-cm": {},
    "argocd-cmd-params-cm": {},
    "argocd-rbac-cm": {},
    "argocd-gpg-keys-cm": {},
    "argocd-ssh-known-hosts-cm": {"ssh_known_hosts": ""},
    "argocd-tls-certs-cm": {},
}


def configuration() -> list[dict[str, Any]]:
    """Argo CD's own objects, with what gitops/argocd/argocd-cm asks to be merged in."""
    patch = yaml.safe_load((REPO / "gitops/argocd/argocd-cm/patch.yaml").read_text(encoding="utf-8"))
    labels = {"app.kubernetes.io/part-of": "argocd"}
    maps = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
            "data": data | (patch["data"] if name == "argocd-cm" else {}),
        }
        for name, data in SETTINGS.items()
    ]
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "argocd-secret", "namespace": NAMESPACE, "labels": labels},
        "stringData": {"server.secretkey": os.urandom(16).hex()},
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return [namespace, *maps, secret]


def clear(cluster: Cluster) -> None:
    """Removes what a run that broke off left in a cluster that goes on running."""
    if not cluster.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found"):
        return
    inside = ("--namespace", NAMESPACE)
    cluster.kubectl("delete", "applicationsets", "--all", "--wait=false", *inside, check=False)
    for name in cluster.kubectl("get", "applications", "--output=name", *inside, check=False).split():
        cluster.kubectl(
            *("patch", name, "--type=merge", '--patch={"metadata":{"finalizers":null}}', *inside), check=False
        )
        cluster.kubectl("delete", name, "--wait=false", *inside, check=False)
    spaces = (NAMESPACE, "llm-models", "llm-platform")
    cluster.kubectl("delete", "namespace", *spaces, "--ignore-not-found", "--timeout=120s", seconds=130)


@contextmanager
def running(cluster: Cluster, folder: Path) -> Iterator[ArgoCD]:
    """Installs Argo CD's kinds, starts its controllers, and ends them again."""
    if shutil.which("redis-server") is None:
        install(["redis-server"], purpose="Argo CD")
    tools.ensure_all(["argocd", "kustomize", "helm3"])
    clear(cluster)
    for path in crd_files("argo-cd"):
        cluster.apply(path)
    cluster.apply(configuration())
    repository = GitRepository(folder / "repository.git")
    repository.make()
    redis, repo_server = free_port(), free_port()
    environment = process_environment(cluster, folder)
    with ExitStack() as stack:
        commands = {
            "redis": ["redis-server", "--port", str(redis), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            **controllers(redis, repo_server),
        }
        for name, command in commands.items():
            stack.enter_context(process(name, command, environment, folder))
        yield ArgoCD(cluster, repository)
    clear(cluster)


def controllers(redis: int, repo_server: int) -> dict[str, list[str]]:
    """The programs of Argo CD with their flags."""
    binaries = {name: str(tools.ensure(name)) for name in tools.TOOLS["argocd"].links}
    cache, repo = ["--redis", f"127.0.0.1:{redis}"], f"127.0.0.1:{repo_server}"
    return {
        "repo-server": [
            *(binaries["argocd-repo-server"], *cache, "--address", "127.0.0.1", "--port", str(repo_server)),
            *("--metrics-address", "127.0.0.1", "--metrics-port", str(free_port())),
        ],
        "application-controller": [
            *(binaries["argocd-application-controller"], *cache, "--repo-server", repo, "--namespace", NAMESPACE),
            *("--metrics-port", str(free_port())),
        ],
        "applicationset-controller": [
            *(binaries["argocd-applicationset-controller"], "--argocd-repo-server", repo, "--namespace", NAMESPACE),
            *("--metrics-addr", "127.0.0.1:0", "--probe-addr", f"127.0.0.1:{free_port()}"),
            *("--webhook-addr", f"127.0.0.1:{free_port()}"),
        ],
    }


def process_environment(cluster: Cluster, folder: Path) -> dict[str, str]:
    """Helm 3 and Kustomize first on PATH; state in the test's own folder."""
    path = folder / "bin"
    path.mkdir()
    (path / "helm").symlink_to(tools.ensure("helm3"))
    (path / "kustomize").symlink_to(tools.ensure("kustomize"))
    for name in tools.TOOLS["argocd"].links:
        (path / name).symlink_to(tools.ensure(name))
    state = {}
    for variable in ("TLS_DATA", "SSH_DATA", "GPG_DATA"):
        (folder / variable.lower()).mkdir()
        state[f"ARGOCD_{variable}_PATH"] = str(folder / variable.lower())
    (folder / "ssh_data" / "ssh_known_hosts").touch()
    return os.environ | {
        **state,
        "PATH": f"{path}:{os.environ['PATH']}",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "KUBECONFIG": str(cluster.kubeconfig),
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_GNUPGHOME": str(folder / "gpg_data"),
        "ARGOCD_PLUGINSOCKFILEPATH": str(folder),
        # The repository is a folder of this user's, read by git as this user.
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }


@contextmanager
def process(name: str, command: list[str], environment: dict[str, str], folder: Path) -> Iterator[None]:
    """A program for the time of the tests; its log stays in the folder."""
    with (folder / f"{name}.log").open("w") as log:
        running = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            yield
        finally:
            running.terminate()
            try:
                running.wait(10)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()
