"""The cluster of the tests. It has a name of its own, so a developer's cluster is never touched."""

import os
from collections.abc import Iterator

import pytest

from scripts.cluster import Cluster, Settings

NAME = os.environ.get("VLLM_CHARTS_TEST_CLUSTER", "test")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The running cluster. One that ran before (``vllm-charts cluster up --name test``) goes on running afterwards."""
    cluster = Cluster(Settings(name=NAME))
    was_running = cluster.is_running
    cluster.up()
    yield cluster
    if not was_running:
        cluster.down()


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of the test's own, deleted afterwards."""
    with cluster.namespace() as name:
        yield name
