"""The pods of a scenario's model."""

from scripts.cluster import wait_until
from tests.cluster.scenario import Scenario

SELECTOR = "vllm-model/name=m,vllm-model/role=server"


def pods(scenario: Scenario) -> list[str]:
    """Pods that serve, those that are leaving aside."""
    found = scenario.cluster.get("pods", "--namespace", scenario.namespace, "--selector", SELECTOR)
    return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]


def gone(scenario: Scenario, names: list[str], seconds: float = 90) -> None:
    """Waits until pods are gone for good: only then has their drain been proven."""
    words = [f"pod/{name}" for name in names]
    scenario.cluster.wait("--for=delete", *words, "--namespace", scenario.namespace, seconds=seconds)


def ready(scenario: Scenario, replicas: int = 3, seconds: float = 90) -> None:
    """Waits until exactly that many replicas serve and nothing else is left of the model."""

    def so() -> bool:
        found = scenario.cluster.get("pods", "--namespace", scenario.namespace, "--selector", SELECTOR)
        conditions = [each for pod in found for each in pod["status"].get("conditions", []) if each["type"] == "Ready"]
        return bool(len(found) == replicas == sum(each["status"] == "True" for each in conditions))

    wait_until(f"{replicas} replicas serve", so, seconds=seconds, pause=0.5)
