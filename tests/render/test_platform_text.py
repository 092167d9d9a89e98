"""Names that YAML reads as a number, a switch or nothing stay names in every object of the platform."""

import pytest

from scripts.kubernetes_schemas import problems
from tests.render.platform import TINY, Values, platform
from tests.render.test_text import READ_AS_SOMETHING_ELSE, no_texts

NO_SCHEMA = {"DestinationRule", "GCPBackendPolicy", "HealthCheckPolicy"}
"""Kinds whose schema is in no module."""

EXTENSION = {"type": "inference-extension"}


def with_letter(text: str) -> str:
    """The text where a name of models and releases may be so: these start with a letter."""
    return text if text[0].isalpha() else "m"


def named(text: str) -> dict[str, Values]:
    """Values in which everything that may be called so has this name, for each way in."""
    model: Values = {
        **TINY,
        "namespace": text,
        "autoscaling": {"type": "keda"},
        "serviceAccount": {"name": "own"},
        "monitoring": {"rules": {"enabled": False}},
    }
    common: Values = {
        "commonLabels": {"team": text},
        "commonAnnotations": {"owner": text},
        "models": {with_letter(text): model},
        "tenants": {
            text: {
                "models": ["*"],
                "namespace": {"create": True, "labels": {"team": text}, "annotations": {"owner": text}},
                "quota": {"pods": "10"},
                "serviceAccount": {"name": text},
                "access": {"view": [{"kind": "ServiceAccount", "name": text}]},
            }
        },
        "priorityClasses": {"online": {"name": text}},
        "monitoring": {
            "enabled": True,
            "rules": {"labels": {"release": text}, "alertLabels": {"team": text}},
            "dashboards": {"labels": {"grafana": text}},
            "cost": {"pricePerGpuHour": 1, "budgetPerHour": 10, "namespaceBudgetsPerHour": {text: 1}},
        },
    }
    gateway: Values = {
        "externalModels": {"other": {"servedNames": ["x"], "namespace": text, "apiKeySecret": {"name": text}}},
        "auth": {
            "apiKeys": {"secret": text},
            "jwt": {"enabled": True, "secret": text},
            "clientCertificates": {"enabled": True, "caSecret": text},
        },
        "imagePullSecrets": [{"name": text}],
        "podLabels": {"team": text},
        "podAnnotations": {"note": text},
        "nodeSelector": {"pool": text},
        "priorityClassName": text,
        "podMonitor": {"interval": "0", "labels": {"release": text}},
        "networkPolicy": {"namespaces": [text]},
    }
    reference = {"name": text, "namespace": text}
    ways: dict[str, Values] = {
        "ingress": {
            **gateway,
            "tls": {"secret": text},
            "ingress": {
                "enabled": True,
                "controller": "traefik",
                "className": text,
                "tlsSecret": text,
                "hosts": [f"{text}.example.com"],
            },
        },
        "route": {
            **gateway,
            "auth": {"jwt": {"enabled": True, "secret": text}},
            "route": {"enabled": True, "parentRefs": [reference]},
        },
        "gke": {**EXTENSION, "inferenceExtension": {"provider": "gke", "gatewayRef": reference}},
        "istio": {**EXTENSION, "inferenceExtension": {"provider": "istio", "gatewayRef": reference}},
    }
    return {way: {**common, "gateway": values} for way, values in ways.items()}


@pytest.mark.parametrize("text", READ_AS_SOMETHING_ELSE)
@pytest.mark.parametrize("way", named("x"))
def test_names_that_yaml_reads_otherwise_stay_texts(way: str, text: str) -> None:
    made = platform(named(text)[way], release=with_letter(text), namespace=text)
    known = [body for body in made.objects if body["kind"] not in NO_SCHEMA]
    assert [said for body in made.objects for said in no_texts(body, body["kind"])] == []
    assert [said for body in known for said in problems(body)] == []
