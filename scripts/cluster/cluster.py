"""The local cluster as one object: up, down, status, images."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from scripts import tools
from scripts.cluster import cgroups, components, configs, engine, host, images, model, network, pki, processes
from scripts.cluster.kubernetes import Kubernetes
from scripts.cluster.kwok import KwokPools
from scripts.cluster.oci import Image
from scripts.cluster.settings import CLUSTER_DOMAIN, DNS_SERVICE_IP, NODE, Settings
from scripts.console import UserError, step
from scripts.locks import locked
from scripts.tools.catalog import CLUSTER

MANIFESTS = Path(__file__).with_name("manifests")
READY_SECONDS = 300
"""How long ``up`` waits for each of: API server, node, DNS. A warm start takes a tenth of it."""


class Cluster(Kubernetes):
    """A local Kubernetes with one real node and any number of simulated ones.

    Args:
        settings: name and size. Clusters of different names run side by side.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings(name=os.environ.get("VLLM_CHARTS_CLUSTER_NAME", "demo"))
        super().__init__(self.settings.kubeconfig)
        self.pools = KwokPools(self)

    @property
    def is_running(self) -> bool:
        """Whether the first process of the cluster is there."""
        return processes.find_machine(self.settings) is not None

    def up(self) -> None:
        """Starts the cluster, or finishes a start that was interrupted. Does nothing to one that is complete.

        Raises:
            UserError: this machine cannot run it, or it does not become ready; says where its logs are.
        """
        host.require_host()
        tools.ensure_all([*(tool.name for tool in CLUSTER), "helm"])
        with locked(f"cluster-{self.settings.name}"):
            if not self.is_running:
                archives = images.node_archives()
                self._remove_remains()
                with step(f"Start the cluster {self.settings.name}"):
                    self._start(archives)
            self._connect()
            self._wait_for_ready()

    def _start(self, archives: list[Path]) -> None:
        """Writes the state folder, starts the first process and links it to the host."""
        settings = self.settings
        settings.logs.mkdir(parents=True)
        pki.write_pki(settings)
        configs.write_configs(settings)
        shutil.copytree(model.ensure(), settings.state / "models" / "tiny")
        cgroups.make(settings)
        settings.plan.write_text(components.as_text(components.plan(settings, archives)))
        processes.start_machine(settings)

    def _connect(self) -> None:
        """Links the cluster to the host. A start that was interrupted may have come without it."""
        if pid := processes.find_machine(self.settings):
            network.connect(self.settings, pid)

    def _wait_for_ready(self) -> None:
        """API server, node and DNS, in the order in which they come up; each step says what it waits for."""
        with self._logs_in_errors():
            with step("API server answers"):
                processes.wait_until("the API server answers", self._api_is_ready, seconds=READY_SECONDS)
            for manifest in sorted(MANIFESTS.glob("*.yaml")):
                self.apply(manifest)
            with step("node is ready"):
                processes.wait_until(f"the node {NODE} is ready", self._node_is_ready, seconds=READY_SECONDS)
            with step("DNS answers"):
                processes.wait_until("cluster DNS answers", self._dns_answers, seconds=READY_SECONDS)

    def _logs_in_errors(self) -> "_LogsInErrors":
        return _LogsInErrors(self.settings)

    def _api_is_ready(self) -> bool:
        if not self.is_running:
            raise UserError("the first process of the cluster has ended", why=_tail(self.settings.logs / "machine.log"))
        return self.kubectl("get", "--raw=/readyz", check=False, seconds=10).strip() == "ok"

    def _node_is_ready(self) -> bool:
        path = '--output=jsonpath={.status.conditions[?(@.type=="Ready")].status}'
        return self.kubectl("get", "node", NODE, path, check=False) == "True"

    def _dns_answers(self) -> bool:
        pid = processes.find_machine(self.settings)
        if pid is None:
            return False
        query = self.settings.inside(self._probe())
        name = f"kubernetes.default.svc.{CLUSTER_DOMAIN}"
        command = processes.entering(pid, [Path(sys.executable).resolve(), "-I", query, DNS_SERVICE_IP, name])
        return subprocess.run(command, capture_output=True).returncode == 0

    def _probe(self) -> Path:
        """The DNS probe as a file that can be read from inside the namespaces, wherever this checkout lies."""
        path = self.settings.state / "dns_query.py"
        if not path.exists():
            shutil.copy(Path(__file__).with_name("dns_query.py"), path)
        return path

    def down(self) -> bool:
        """Ends the cluster and removes everything of it, also what a crash left behind. Says whether it was running."""
        with locked(f"cluster-{self.settings.name}"):
            running = processes.kill_machine(self.settings)
            self._remove_remains()
            return running

    def _remove_remains(self) -> None:
        """Removes link, control groups and state of a cluster that does not run. The logs are kept for reading."""
        settings = self.settings
        network.disconnect(settings)
        deadline = time.monotonic() + 10
        while cgroups.remains(settings) and time.monotonic() < deadline:
            cgroups.remove(settings)
            time.sleep(0.02)
        if settings.logs.exists():
            shutil.rmtree(settings.last_logs, ignore_errors=True)
            settings.last_logs.parent.mkdir(parents=True, exist_ok=True)
            settings.logs.rename(settings.last_logs)
        shutil.rmtree(settings.state, ignore_errors=True)

    def remains(self) -> list[str]:
        """What the host still sees of the cluster: processes, link, control groups, state."""
        settings, pid = self.settings, processes.find_machine(self.settings)
        found = [f"process {pid}"] if pid else []
        found += [f"interface {settings.interface}"] if network.exists(settings) else []
        found += [f"control group {path}" for path in cgroups.remains(settings)]
        found += [f"folder {settings.state}"] if settings.state.exists() else []
        return found

    def import_image(self, image: Image | Path) -> None:
        """Writes an image (or takes an archive that lies in the cache) and hands it to the node."""
        archive = images.archive(image) if isinstance(image, Image) else image
        self.inside("ctr", "--namespace", "k8s.io", "images", "import", str(self.settings.inside(archive)))
        mark = self.settings.state / "imported" / archive.name
        mark.parent.mkdir(exist_ok=True)
        mark.touch()

    def has_archive(self, archive: Path) -> bool:
        """Whether the node was given this very archive: a name alone does not tell an image from its older recipe."""
        return (self.settings.state / "imported" / archive.name).exists()

    def has_image(self, reference: str) -> bool:
        """Whether the node has an image."""
        return reference in self.inside("ctr", "--namespace", "k8s.io", "images", "list", "--quiet").split()

    def ensure_engine(self) -> str:
        """Makes the CPU build of vLLM available to pods that ask for a GPU, and gives the image to name."""
        engine.ensure()
        reference, archive = images.engine_reference(), images.engine_archive()
        if not self.has_archive(archive):
            with step(f"Import the image {reference}"):
                self.import_image(archive)
        return reference

    def inside(self, *command: str, seconds: float = 120) -> str:
        """Runs a command on the node, inside the cluster's namespaces, and gives what it printed."""
        return processes.run_inside(self.settings, command, seconds=seconds)


class _LogsInErrors:
    """Adds to an error where the logs of the cluster's programs are."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UserError):
            error.fix = error.fix or f"read {self.settings.logs}/*.log; make cluster-down cluster-up starts anew"


def _tail(path: Path, lines: int = 15) -> str:
    """The end of a log."""
    return "\n".join(path.read_text().splitlines()[-lines:]) if path.exists() else ""
