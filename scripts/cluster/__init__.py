"""The local Kubernetes of the demo and the tests.

``Cluster()`` is the developer's own; tests use one of another name, so that neither disturbs the other.
"""

from scripts.cluster.cluster import Cluster
from scripts.cluster.kubernetes import CommandError, Kubernetes
from scripts.cluster.oci import Image
from scripts.cluster.processes import wait_until
from scripts.cluster.settings import Settings

__all__ = ["Cluster", "CommandError", "Image", "Kubernetes", "Settings", "wait_until"]
