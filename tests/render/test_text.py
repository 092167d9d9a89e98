"""What a user writes stays text: YAML reads 1e3 as a number, on as a switch, null as nothing, a comma as an end."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.kubernetes_schemas import problems
from scripts.paths import CHARTS
from scripts.render import Object, Render, RenderError, render
from tests.render.chart import Values, arguments, engine, environment, model, pod
from tests.render.variants import EVERY_TRIGGER, GATEWAY, GROUP, KEDA, SHARED, VARIANTS

READ_AS_SOMETHING_ELSE = ["123", "1e3", "0x1f", "on", "null", "true"]

NAMED = {
    *(
        "name",
        "namespace",
        "key",
        "claimName",
        "secretName",
        "serviceAccountName",
        "schedulerName",
        "priorityClassName",
    ),
    *("runtimeClassName", "storageClassName", "ingressClassName", "image", "mountPath"),
}
"""Fields that hold one text wherever they stand."""

MAPS = {"labels", "annotations", "matchLabels", "nodeSelector", "data"}
"""Fields whose values, and names, are texts."""


def named(text: str) -> dict[str, Values]:
    """Values in which everything that may be called so has this name, for each source of weights and each scaler."""
    secret = {"name": text, "key": text}
    keda: Values = {
        **KEDA,
        "wake": {"gateway": {"service": text, "namespace": text, "podLabels": {"app": text}}},
        "triggers": {"cron": {text: {"timezone": "UTC", "start": "0 8 * * *", "end": "0 18 * * *", "replicas": 1}}},
        "prometheus": {**KEDA["prometheus"], "authentication": {"name": text}, "matchLabels": {"cluster": text}},
    }
    common: Values = {
        "fullnameOverride": text if text[0].isalpha() else "m",
        "commonLabels": {"team": text},
        "commonAnnotations": {"owner": text},
        "podLabels": {"tier": text},
        "podAnnotations": {"note": text},
        "model": {"id": text, "chatTemplate": {"inline": text, "key": text}},
        "serviceAccount": {"name": text},
        "auth": {"apiKeySecret": secret},
        "gpu": {"runtimeClassName": text, "nodeLabels": {"gpu": [text]}},
        "availability": {"priorityClassName": text, "imagePrePull": True},
        "scheduling": {"schedulerName": text, "nodeSelector": {"pool": text}},
        "engine": {"imagePullSecrets": [{"name": text}]},
        "ingress": {"enabled": True, "className": text, "tlsSecret": text, "hosts": [f"{text}.example.com"]},
        "route": {"enabled": True, "parentRefs": [{"name": text, "namespace": text}]},
        "monitoring": {
            "podMonitor": {"enabled": True, "labels": {"release": text}, "interval": "0"},
            "rules": {"enabled": True, "labels": {"release": text}, "alertLabels": {"team": text}},
            "dashboard": {"enabled": True, "labels": {"grafana": text}},
        },
        "networkPolicy": {
            "ingress": {"namespaces": [text], "monitoringNamespaces": [text]},
            "egress": {"dns": {"namespace": text, "podLabels": {"app": text}}},
        },
        "tracing": {"endpoint": "http://collector:4317", "namespace": text},
    }
    weights: dict[str, Values] = {
        "huggingface": {
            "huggingface": {"tokenSecret": secret},
            "downloader": "job",
            "cache": {**SHARED, "storageClassName": text},
        },
        "claim": {"source": "claim", "claim": {"name": text, "path": text}, "cache": {**SHARED, "existingClaim": text}},
        "s3": {
            "source": "s3",
            "s3": {"uri": f"s3://{text}/m", "mode": "copy", "region": text, "credentialsSecret": text},
        },
        "gcs": {"source": "gcs", "gcs": {"uri": f"gs://{text}/m", "credentialsSecret": text}},
    }
    return {
        **{source: {**common, "weights": entry} for source, entry in weights.items()},
        "keda": {**common, "autoscaling": keda},
        "hpa": {**common, "autoscaling": {"type": "hpa"}},
        "rollout": {**common, "workload": VARIANTS["rollout that is judged"]["workload"], "autoscaling": keda},
        "group": {**common, **GROUP, "availability": {**GROUP["availability"], "priorityClassName": text}},
    }


def no_texts(part: Any, path: str) -> Iterator[str]:
    """Names, labels, keys and the like below an object that are no texts, with where they stand."""
    if isinstance(part, dict):
        for key, value in part.items():
            inside = value.values() if key in MAPS and isinstance(value, dict) else []
            if not isinstance(key, str) or any(not isinstance(entry, str) for entry in inside):
                yield f"{path}.{key}: {value!r}"
            if key in NAMED and not isinstance(value, str | dict):
                yield f"{path}.{key}: {value!r}"
            yield from no_texts(value, f"{path}.{key}")
    if isinstance(part, list):
        for index, value in enumerate(part):
            yield from no_texts(value, f"{path}[{index}]")


def found(made: Render) -> list[str]:
    return [text for body in made.objects for text in [*no_texts(body, body["kind"]), *problems(body)]]


@pytest.mark.parametrize("text", READ_AS_SOMETHING_ELSE)
@pytest.mark.parametrize("variant", named("x"))
def test_names_that_yaml_reads_otherwise_stay_texts(variant: str, text: str) -> None:
    assert found(model(named(text)[variant], release=text, namespace=text)) == []


def test_paths_with_signs_of_yaml_reach_the_download_and_the_engine_as_they_are() -> None:
    weights: Values = {
        "source": "s3",
        "s3": {"uri": "s3://b/models/a,b{c}", "mode": "copy"},
        "cache": {"mountPath": "/cache,x"},
    }
    made = model({"weights": weights})
    download = environment(pod(made)["initContainers"][0])
    assert download["TARGET"] == "/cache,x/models/b/models/a,b{c}"
    assert download["MARKER"].startswith("/cache,x/.complete-")
    assert environment(engine(made))["HF_HOME"] == "/cache,x/huggingface"
    assert environment(engine(made))["TRITON_CACHE_DIR"] == "/cache,x/triton"
    assert {"name": "cache", "mountPath": "/cache,x"} in engine(made)["volumeMounts"]
    assert arguments(made)[0] == "/cache,x/models/b/models/a,b{c}"


QUERIES: dict[str, Values] = {
    "scaled": {"autoscaling": {**KEDA, "triggers": EVERY_TRIGGER}},
    "scaled to zero": {"autoscaling": {**KEDA, "minReplicas": 0, "wake": GATEWAY}},
    "judged": VARIANTS["rollout that is judged"],
}


def watched(variant: str, label: str) -> list[Object]:
    """The objects of a model that asks Prometheus for all that it can ask, with one more matcher."""
    rules = {"monitoring": {"rules": {"enabled": True, "alerts": {"idleReplicas": {"enabled": True}}}}}
    scaling = QUERIES[variant]["autoscaling"]
    more = {"autoscaling": {**scaling, "prometheus": {**scaling["prometheus"], "matchLabels": {"zone": label}}}}
    return model({**QUERIES[variant], **rules, **more}).objects


@pytest.mark.parametrize("text", ["a: b", "eu #1", "it's", 'the "first"', "{a}, [b]", "50%d", "back\\slash", " "])
@pytest.mark.parametrize("variant", QUERIES)
def test_matcher_of_any_text_is_that_text_in_every_query(variant: str, text: str) -> None:
    def filled(part: Any) -> Any:
        if isinstance(part, dict):
            return {key: filled(value) for key, value in part.items()}
        if isinstance(part, list):
            return [filled(value) for value in part]
        return part.replace('zone="plain"', f"zone={json.dumps(text)}") if isinstance(part, str) else part

    plain = watched(variant, "plain")
    assert 'zone="plain"' in str(plain)
    assert watched(variant, text) == filled(plain)


def test_alert_that_is_not_yaml_fails_with_its_name(tmp_path: Path) -> None:
    """None is left out in silence: an alert that is missing looks like one that never fires."""
    chart = shutil.copytree(CHARTS / "vllm-model", tmp_path / "vllm-model")
    file = chart / "templates" / "_alerts.tpl"
    file.write_text(file.read_text().replace("summary: Replicas cannot start", "summary: a: b"))
    with pytest.raises(RenderError, match=r"vllm-model\.alert\.podsPending is not YAML"):
        render(chart, [{"model": {"id": "m"}, "monitoring": {"rules": {"enabled": True}}}])
