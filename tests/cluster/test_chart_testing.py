"""chart-testing installs the model chart with every file below its ci/, waits, runs its helm test and removes it."""

import os

from scripts import tools
from scripts.cluster import Cluster
from scripts.paths import BIN, REPO

BUDGET_SECONDS = 240


def test_ct_install_brings_up_the_chart_and_its_helm_test_passes(cluster: Cluster, namespace: str) -> None:
    cluster.ensure_engine()
    ct, _, _ = (tools.ensure(name) for name in ("ct", "helm", "kubectl"))
    said = cluster.run(
        *("env", f"PATH={BIN}:{os.environ['PATH']}"),  # ct calls helm and kubectl by name
        *(ct, "install", "--config", REPO / "ct.yaml", "--charts", REPO / "charts" / "vllm-model"),
        *("--namespace", namespace, "--release-label", "app.kubernetes.io/instance"),
        seconds=600,
    )
    assert "All charts installed successfully" in said
