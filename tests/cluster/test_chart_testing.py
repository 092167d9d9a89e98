"""chart-testing installs each chart with every file below its ci/, waits, runs its helm test and removes it."""

import os
from pathlib import Path

from scripts import tools
from scripts.bench import gateway
from scripts.chart_lint import umbrella_with_local_dependencies
from scripts.cluster import Cluster
from scripts.paths import BIN, REPO
from scripts.platform_chart import MODEL

BUDGET_SECONDS = 330


def ct_install(cluster: Cluster, namespace: str, chart: Path) -> str:
    """What ``ct install`` says of one chart."""
    ct, _, _ = (tools.ensure(name) for name in ("ct", "helm", "kubectl"))
    return cluster.run(
        *("env", f"PATH={BIN}:{os.environ['PATH']}"),  # ct calls helm and kubectl by name
        *(ct, "install", "--config", REPO / "ct.yaml", "--charts", chart),
        *("--namespace", namespace, "--release-label", "app.kubernetes.io/instance"),
        seconds=600,
    )


def test_ct_install_brings_up_the_chart_and_its_helm_test_passes(cluster: Cluster, namespace: str) -> None:
    cluster.ensure_engine()
    assert "All charts installed successfully" in ct_install(cluster, namespace, MODEL)


def test_ct_install_brings_up_the_umbrella_and_the_helm_test_of_its_model_passes(
    cluster: Cluster, namespace: str, tmp_path: Path
) -> None:
    """A copy whose operators are stubs beside it: ct fetches dependencies, and there is no network."""
    cluster.ensure_engine()
    gateway.ensure_image(cluster)
    said = ct_install(cluster, namespace, umbrella_with_local_dependencies(tmp_path))
    assert "All charts installed successfully" in said
    assert "tiny-test" in said
