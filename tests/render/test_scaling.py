"""Scaling as KEDA and the HPA are told: keys that KEDA really reads, and the same decisions wherever they are asked."""

import re
from typing import Any

import pytest

from scripts.kubernetes_modules import module_dir
from scripts.render import Object, RenderError
from tests.render.chart import model
from tests.render.variants import EVERY_TRIGGER, GATEWAY, KEDA, VARIANTS, Values

SOURCES = {
    "prometheus": ["prometheus_scaler.go", "authentication/authentication_types.go"],
    "metrics-api": ["metrics_api_scaler.go", "authentication/authentication_types.go"],
    "cron": ["cron_scaler.go"],
}
"""Where KEDA reads the metadata of a trigger, by its type."""

EVERYTHING: Values = {
    "autoscaling": {
        **KEDA,
        "wake": GATEWAY,
        "prometheus": {
            "serverAddress": "http://p",
            "authentication": {"name": "a", "modes": "bearer"},
            "parameters": {"unsafeSsl": "true", "namespace": "llm", "customHeaders": "X-Scope-OrgID=a"},
        },
        "triggers": {
            **EVERY_TRIGGER,
            "cron": {"office": {"timezone": "UTC", "start": "0 8 * * *", "end": "0 18 * * *", "replicas": 2}},
        },
    }
}


def scaled_object(values: Values) -> Object:
    return model(values).one("ScaledObject")


def read_by_keda(kind: str) -> set[str]:
    """The keys of a trigger's metadata that KEDA reads, from the tags of its own structs."""
    folder = module_dir("keda") / "pkg" / "scalers"
    tags = [tag for name in SOURCES[kind] for tag in re.findall(r'keda:"name=([^",]+)', (folder / name).read_text())]
    return {name.strip() for tag in tags for name in tag.split(";")}


def test_keda_reads_every_key_of_every_trigger() -> None:
    triggers = scaled_object(EVERYTHING)["spec"]["triggers"]
    assert {trigger["type"] for trigger in triggers} == set(SOURCES)
    for trigger in triggers:
        assert set(trigger["metadata"]) <= read_by_keda(trigger["type"]), trigger["name"]


def test_every_value_of_a_triggers_metadata_is_text_as_its_api_wants() -> None:
    for trigger in scaled_object(EVERYTHING)["spec"]["triggers"]:
        assert all(isinstance(value, str) for value in trigger["metadata"].values()), trigger["name"]


def test_every_trigger_has_a_name_of_its_own() -> None:
    names = [trigger["name"] for trigger in scaled_object(EVERYTHING)["spec"]["triggers"]]
    assert len(names) == len(set(names)) == 9


def test_only_triggers_that_keda_lets_cache_are_cached() -> None:
    triggers = scaled_object({**EVERYTHING, "autoscaling": {**EVERYTHING["autoscaling"], "minReplicas": 0}})
    cached = {trigger["type"] for trigger in triggers["spec"]["triggers"] if trigger.get("useCachedMetrics")}
    assert cached == {"prometheus"}


@pytest.mark.parametrize("minimum", [0, 1, 3])
def test_keda_cannot_wake_a_sleeping_model_by_its_fallback(minimum: int) -> None:
    spec = scaled_object({"autoscaling": {**KEDA, "minReplicas": minimum, "wake": GATEWAY}})["spec"]
    assert ("fallback" in spec) == (minimum > 0)
    if minimum:
        # With replicas 0 KEDA would scale to zero on an error.
        assert spec["fallback"]["replicas"] >= 1


@pytest.mark.parametrize("budget", [360, 800, 2400])
def test_a_model_at_zero_is_not_taken_away_while_it_starts(budget: int) -> None:
    scaling = {**KEDA, "minReplicas": 0, "wake": GATEWAY}
    spec = scaled_object({"autoscaling": scaling, "probes": {"startup": {"budgetSeconds": budget}}})["spec"]
    assert spec["cooldownPeriod"] >= budget + 60
    assert spec["initialCooldownPeriod"] == spec["cooldownPeriod"]


@pytest.mark.parametrize("kind", ["keda", "hpa"])
def test_the_workload_names_no_replicas_where_a_scaler_owns_them(kind: str) -> None:
    made = model({"autoscaling": {**KEDA, "type": kind}})
    assert "replicas" not in made.one("Deployment")["spec"]
    assert len(made.all("ScaledObject")) + len(made.all("HorizontalPodAutoscaler")) == 1


def test_nothing_scales_by_default() -> None:
    made = model()
    assert made.all("ScaledObject") == made.all("HorizontalPodAutoscaler") == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_scaler_points_at_the_object_that_makes_the_pods(variant: str) -> None:
    made = model(VARIANTS[variant])
    for scaler in made.all("ScaledObject") + made.all("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        if made.all("InferenceService"):  # KServe makes the Deployment
            assert target["name"].endswith("-predictor")
            continue
        assert made.one(target["kind"], target["name"])["apiVersion"] == target["apiVersion"]


def test_the_keda_hpa_and_the_charts_hpa_have_names_of_their_own() -> None:
    """Both exist for a moment while a release moves from one to the other; KEDA's webhook looks at the annotation."""
    hpa = model({"autoscaling": {"type": "hpa"}}).one("HorizontalPodAutoscaler")
    assert hpa["metadata"]["name"] == "demo"
    assert hpa["metadata"]["annotations"]["validations.keda.sh/hpa-ownership"] == "false"
    webhook = (module_dir("keda") / "apis" / "keda" / "v1alpha1" / "scaledobject_webhook.go").read_text()
    assert 'ValidationsHpaOwnershipAnnotation] == "false"' in webhook
    advanced = scaled_object({"autoscaling": KEDA})["spec"]["advanced"]["horizontalPodAutoscalerConfig"]
    assert "name" not in advanced


def test_zero_replicas_with_nothing_that_wakes_is_refused() -> None:
    with pytest.raises(RenderError, match="nothing can wake the model"):
        model({"autoscaling": {**KEDA, "minReplicas": 0}})


@pytest.mark.parametrize(
    ("values", "budget"),
    [
        ({"replicas": 1}, False),
        ({"replicas": 2}, True),
        ({"autoscaling": {**KEDA, "maxReplicas": 1}}, False),
        ({"autoscaling": {**KEDA, "maxReplicas": 4}}, True),
    ],
)
def test_a_disruption_budget_exists_from_two_replicas_on(values: Any, budget: bool) -> None:
    assert bool(model(values).all("PodDisruptionBudget")) == budget
