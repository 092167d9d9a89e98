"""The platform's rules as one render that every test of them shares, and the names that cases give to pods."""

import re

from scripts.render import Object
from tests.render.platform import Values, platform

LLAMA: Values = {"model": {"id": "org/llama"}, "weights": {"sizeGiB": 15}}
SLEEPY: Values = {
    "model": {"id": "org/sleepy"},
    "weights": {"sizeGiB": 15},
    "autoscaling": {"type": "keda", "minReplicas": 0},
}
BASE: Values = {
    "models": {"llama": LLAMA, "sleepy": SLEEPY},
    "gateway": {"hold": {"seconds": 2000}},
    "tenants": {"team-a": {"models": ["*"], "limits": {"requestsPerSecond": 10}}, "team-b": {"models": ["llama"]}},
    "monitoring": {
        "cost": {
            "pricePerGpuHour": 1,
            "prices": {"NVIDIA-L4": 0.5},
            "gpuResources": {"nvidia.com/gpu": 1, "nvidia.com/mig-1g.10gb": 0.25},
            "budgetPerHour": 10,
            "namespaceBudgetsPerHour": {"team-a": 3},
        }
    },
}

LABELS = {
    "$gateway1": 'namespace="llm",pod="llm-gateway-5d9c8b7f66-aaaaa"',
    "$gateway2": 'namespace="llm",pod="llm-gateway-5d9c8b7f66-bbbbb"',
    # Never this platform's: the gateway of another release in the namespace, and of another namespace.
    "$otherGateway": 'namespace="llm",pod="llm-gateway-new-gateway-5d9c8b7f66-aaaaa"',
    "$farGateway": 'namespace="far",pod="llm-gateway-5d9c8b7f66-aaaaa"',
    "$llama": 'namespace="llm",pod="llama-5d9c8b7f66-aaaaa"',
    "$llamaTwo": 'namespace="llm",pod="llama-5d9c8b7f66-bbbbb"',
    "$sleepy": 'namespace="llm",pod="sleepy-5d9c8b7f66-aaaaa"',
    "$ofTeamA": 'namespace="team-a",pod="own-5d9c8b7f66-aaaaa"',
    "$gpu": 'resource="nvidia_com_gpu",unit="integer",container="server"',
}
"""Label sets that cases name, so that a case is a line that can be read."""


def groups(values: Values | None = None) -> list[Object]:
    """The rendered groups of rules."""
    made = platform(BASE, values or {})
    found: list[Object] = made.one("PrometheusRule", "llm")["spec"]["groups"]
    return found


def recording(values: Values | None = None) -> list[Object]:
    """The groups of recording rules."""
    return [group for group in groups(values) if not group["name"].endswith(".alerts")]


def alerts(values: Values | None = None) -> dict[str, Object]:
    """The rendered alerts by name."""
    return {rule["alert"]: rule for group in groups(values) for rule in group["rules"] if "alert" in rule}


def written(series: dict[str, str]) -> dict[str, str]:
    """Series of a case with their label sets filled in."""
    found: dict[str, str] = {}
    for name, values in series.items():
        found[re.sub(r"\$\w+", lambda short: LABELS[short.group()], name)] = values
    return found
