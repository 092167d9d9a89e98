"""Watches what the cluster does while a test does something else: nothing between two looks is missed."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from kubernetes import client, config, watch

from scripts.cluster import Kubernetes


@dataclass
class Watch:
    """Every state that an object passes through, with the time it was seen.

    Args:
        cluster: where to look.
        read: what is kept of an object.
        listing: name of a method of the API, such as ``list_namespaced_deployment``.
        api: the API class that has it.
    """

    cluster: Kubernetes
    namespace: str
    name: str
    read: Callable[[dict[str, Any]], Any]
    listing: str = "list_namespaced_deployment"
    api: type = client.AppsV1Api
    states: list[tuple[float, Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        configuration = client.Configuration()
        config.load_kube_config(str(self.cluster.kubeconfig), client_configuration=configuration)
        self._client = client.ApiClient(configuration)
        self._stopped = threading.Event()
        self._first = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        if not self._first.wait(20):
            raise TimeoutError(f"no {self.name} was seen")
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._watch.stop()
        self._thread.join(15)

    def _follow(self) -> None:
        listing = getattr(self.api(self._client), self.listing)
        while not self._stopped.is_set():
            self._watch = watch.Watch()
            try:
                for event in self._watch.stream(
                    listing, self.namespace, field_selector=f"metadata.name={self.name}", timeout_seconds=10
                ):
                    self.states.append((time.time(), self.read(event["raw_object"])))
                    self._first.set()
                    if self._stopped.is_set():
                        return
            except Exception:  # an API server that restarts is part of some scenarios
                time.sleep(0.2)

    def values(self) -> list[Any]:
        """What was seen, in order, without the times."""
        return [state for _, state in self.states]
