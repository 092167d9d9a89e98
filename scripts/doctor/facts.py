"""What the checks look at: lists of a cluster's objects as plain dictionaries, read once."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scripts.console import UserError

Object = dict[str, Any]

NEEDED_RIGHTS = (
    ("apps", "deployments", "create"),
    ("", "services", "create"),
    ("policy", "poddisruptionbudgets", "create"),
    ("networking.k8s.io", "networkpolicies", "create"),
    ("keda.sh", "scaledobjects", "create"),
    ("monitoring.coreos.com", "podmonitors", "create"),
    ("", "secrets", "create"),
)
"""Group, resource and verb that an install of a model uses in its namespace (Helm keeps its release in a Secret)."""


@dataclass(frozen=True)
class ClusterFacts:
    """A cluster as the API server tells it.

    Attributes:
        version: ``v1.35.4`` or with a cloud's suffix.
        nodes, pods, storage_classes, api_services, runtime_classes, crds, secrets, claims: the objects.
        namespace: where the model would go.
        namespace_labels: labels of that namespace; None if it does not exist.
        missing_rights: of NEEDED_RIGHTS, those that the caller does not have in the namespace.
        unreadable: what could not be listed, and why.
    """

    version: str
    nodes: list[Object] = field(default_factory=list)
    pods: list[Object] = field(default_factory=list)
    storage_classes: list[Object] = field(default_factory=list)
    api_services: list[Object] = field(default_factory=list)
    runtime_classes: list[Object] = field(default_factory=list)
    crds: list[Object] = field(default_factory=list)
    secrets: list[Object] = field(default_factory=list)
    claims: list[Object] = field(default_factory=list)
    namespace: str = "default"
    namespace_labels: dict[str, str] | None = field(default_factory=dict)
    missing_rights: list[tuple[str, str, str]] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


class Reader:
    """Lists objects through a kubeconfig; what the caller may not list is remembered and does not end the run."""

    def __init__(self, context: str | None) -> None:
        from kubernetes import client, config

        warnings.filterwarnings("ignore", module="urllib3")
        try:
            config.load_kube_config(context=context)
        except config.ConfigException as error:
            raise UserError(
                "no cluster is named",
                why=str(error),
                fix="set KUBECONFIG, or name a context of it: vllm-charts doctor --context NAME",
            ) from error
        self.client = client
        self.api = client.ApiClient()
        self.unreadable: dict[str, str] = {}

    def version(self) -> str:
        """The version of the API server, the one thing without which nothing else makes sense.

        Raises:
            UserError: the server does not answer, or refuses the caller.
        """
        from urllib3.exceptions import HTTPError

        server = self.client.Configuration.get_default_copy().host
        try:
            return str(self.client.VersionApi(self.api).get_code(_request_timeout=10).git_version)
        except (HTTPError, self.client.ApiException) as error:
            raise UserError(
                f"the cluster at {server} does not answer",
                why=str(error).splitlines()[0],
                fix="kubectl get nodes must work with this kubeconfig first",
            ) from error

    def items(self, what: str, call: Callable[..., Any]) -> list[Object]:
        """The items of a list call as dictionaries with the API's own names."""
        try:
            answer = call(_request_timeout=30)
        except self.client.ApiException as error:
            self.unreadable[what] = f"{error.status} {error.reason}"
            return []
        items: list[Object] = self.api.sanitize_for_serialization(answer)["items"]
        return items

    def missing_rights(self, namespace: str) -> list[tuple[str, str, str]]:
        """The needed rights that the caller does not have, by the API server's own word."""
        reviews = self.client.AuthorizationV1Api(self.api)
        missing = []
        for group, resource, verb in NEEDED_RIGHTS:
            spec = self.client.V1SelfSubjectAccessReviewSpec(
                resource_attributes=self.client.V1ResourceAttributes(
                    namespace=namespace, group=group, resource=resource, verb=verb
                )
            )
            review = reviews.create_self_subject_access_review(self.client.V1SelfSubjectAccessReview(spec=spec))
            if review.status is None or not review.status.allowed:
                missing.append((group, resource, verb))
        return missing


def read(namespace: str, context: str | None = None) -> ClusterFacts:
    """Reads a cluster.

    Args:
        namespace: where the model would go.
        context: of the kubeconfig; its current one if None.

    Raises:
        UserError: there is no kubeconfig, or the cluster does not answer.
    """
    reader = Reader(context)
    version = reader.version()
    client, api = reader.client, reader.api
    core, storage = client.CoreV1Api(api), client.StorageV1Api(api)
    namespaces = reader.items("namespaces", core.list_namespace)
    here = [body["metadata"].get("labels", {}) for body in namespaces if body["metadata"]["name"] == namespace]

    def inside(call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda **options: call(namespace, **options)

    return ClusterFacts(
        version=version,
        nodes=reader.items("nodes", core.list_node),
        pods=reader.items("pods", core.list_pod_for_all_namespaces),
        storage_classes=reader.items("storage classes", storage.list_storage_class),
        api_services=reader.items("API services", client.ApiregistrationV1Api(api).list_api_service),
        runtime_classes=reader.items("runtime classes", client.NodeV1Api(api).list_runtime_class),
        crds=reader.items("custom resources", client.ApiextensionsV1Api(api).list_custom_resource_definition),
        secrets=reader.items("secrets", inside(core.list_namespaced_secret)),
        claims=reader.items("claims", inside(core.list_namespaced_persistent_volume_claim)),
        namespace=namespace,
        namespace_labels=here[0] if here else None,
        missing_rights=reader.missing_rights(namespace),
        unreadable=reader.unreadable,
    )
