"""How many replicas, what makes them, what they survive, and what scales them."""

from typing import Any

import pytest

from scripts.render import Object, Render, sure_seconds
from tests.render.chart import Values, engine, model, pod, workload
from tests.render.variants import GATEWAY, GROUP, KEDA, VARIANTS

KINDS = {
    "Deployment": {},
    "Rollout": {"workload": {"kind": "Rollout"}},
    "LeaderWorkerSet": GROUP,
    "InferenceService": {"workload": {"kind": "InferenceService"}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_one_object_makes_the_pods(kind: str) -> None:
    assert workload(model(KINDS[kind]))["kind"] == kind


@pytest.mark.parametrize("kind", ["Deployment", "Rollout", "LeaderWorkerSet"])
def test_replicas_are_stated_where_nothing_scales_them(kind: str) -> None:
    assert workload(model({**KINDS[kind], "replicas": 3}))["spec"]["replicas"] == 3


@pytest.mark.parametrize("kind", ["Deployment", "Rollout", "LeaderWorkerSet"])
@pytest.mark.parametrize("scaler", [KEDA, {"type": "hpa"}])
def test_replicas_are_left_to_the_autoscaler(kind: str, scaler: Values) -> None:
    """A number would reset what the scaler set, at every upgrade."""
    assert "replicas" not in workload(model({**KINDS[kind], "replicas": 3, "autoscaling": scaler}))["spec"]


def test_replicas_of_zero_are_meant() -> None:
    assert workload(model({"replicas": 0}))["spec"]["replicas"] == 0


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("Deployment", ("apps/v1", "Deployment")),
        ("Rollout", ("argoproj.io/v1alpha1", "Rollout")),
        ("LeaderWorkerSet", ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet")),
    ],
)
@pytest.mark.parametrize(
    ("scaler", "object_kind"), [(KEDA, "ScaledObject"), ({"type": "hpa"}, "HorizontalPodAutoscaler")]
)
def test_scaler_moves_the_object_that_makes_the_pods(
    kind: str, target: tuple[str, str], scaler: Values, object_kind: str
) -> None:
    made = model({**KINDS[kind], "autoscaling": scaler})
    reference = made.one(object_kind)["spec"]["scaleTargetRef"]
    assert (reference["apiVersion"], reference["kind"]) == target
    assert reference["name"] == workload(made)["metadata"]["name"]


def scaled(**values: Any) -> Object:
    spec: Object = model({"autoscaling": {**KEDA, **values}}).one("ScaledObject")["spec"]
    return spec


def test_default_scaling_is_that_of_the_design() -> None:
    spec = scaled()
    assert spec["pollingInterval"] == 15
    assert spec["cooldownPeriod"] == 300
    behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    up, down = behavior["scaleUp"], behavior["scaleDown"]
    assert up["stabilizationWindowSeconds"] == 60
    assert up["policies"] == [{"type": "Pods", "value": 2, "periodSeconds": 120}]
    assert down["stabilizationWindowSeconds"] == 600
    assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 300}]


def test_default_signal_is_five_waiting_requests_a_replica() -> None:
    (trigger,) = scaled()["triggers"]
    assert trigger["metadata"]["threshold"] == "5"
    assert "vllm:num_requests_waiting" in trigger["metadata"]["query"]
    assert trigger["metricType"] == "AverageValue"


def test_behind_a_gateway_the_signal_is_demand() -> None:
    """The gateway's limit keeps requests waiting there; the engine's own queue stays near zero."""
    (trigger,) = scaled(wake=GATEWAY)["triggers"]
    assert trigger["type"] == "metrics-api"
    assert trigger["metadata"]["url"] == "http://llm-gateway-internal.llm.svc:8404/demand/demo"
    assert trigger["metadata"]["aggregationType"] == "sum"
    assert trigger["metadata"]["activationTargetValue"] == "0"


def test_responsive_scaling_does_not_wait_on_the_way_up() -> None:
    behavior = scaled(preset="responsive")["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behavior["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert behavior["scaleDown"]["stabilizationWindowSeconds"] == 600


def test_model_at_zero_is_looked_at_every_two_seconds() -> None:
    assert scaled(minReplicas=0, wake=GATEWAY)["pollingInterval"] == 2


@pytest.mark.parametrize("size", [0.01, 15, 140])
def test_cooldown_is_longer_than_a_start(size: float) -> None:
    """Or the client gives up, KEDA takes the loading pod away, and the model never wakes."""
    values = {"weights": {"sizeGiB": size}, "autoscaling": {**KEDA, "minReplicas": 0, "wake": GATEWAY}}
    made = model(values)
    spec = made.one("ScaledObject")["spec"]
    assert spec["cooldownPeriod"] >= sure_seconds(engine(made)) - 10 + 60
    assert spec["initialCooldownPeriod"] == spec["cooldownPeriod"]


@pytest.mark.parametrize(
    ("trigger", "threshold"),
    [
        ("runningRequests", "32"),
        ("requestsPerSecond", "50"),
        ("timeToFirstToken", "2"),
        ("kvCacheUsage", "0.8"),
        ("tokensPerSecond", "1500"),
        ("gpuUtilization", "70"),
    ],
)
def test_each_named_trigger_is_off_and_has_its_default(trigger: str, threshold: str) -> None:
    assert len(scaled()["triggers"]) == 1
    with_it = scaled(triggers={trigger: {"enabled": True}})["triggers"]
    assert len(with_it) == 2
    assert with_it[1]["metadata"]["threshold"] == threshold


def test_hours_keep_replicas_at_work() -> None:
    hours = {"office": {"timezone": "Europe/Berlin", "start": "0 8 * * 1-5", "end": "0 18 * * 1-5", "replicas": 2}}
    trigger = scaled(triggers={"cron": hours})["triggers"][-1]
    assert trigger["type"] == "cron"
    assert trigger["metadata"]["desiredReplicas"] == "2"


def test_prometheus_is_asked_with_the_given_authentication() -> None:
    (first, *_) = model(VARIANTS["keda with every trigger"]).one("ScaledObject")["spec"]["triggers"]
    assert first["authenticationRef"] == {"name": "prometheus", "kind": "ClusterTriggerAuthentication"}
    assert first["metadata"]["authModes"] == "bearer"
    assert 'cluster="eu-1"' in first["metadata"]["query"]


def test_plain_autoscaler_averages_ten_waiting_requests() -> None:
    (metric,) = model({"autoscaling": {"type": "hpa"}}).one("HorizontalPodAutoscaler")["spec"]["metrics"]
    assert metric["pods"]["target"] == {"type": "AverageValue", "averageValue": "10"}


def test_only_one_autoscaler_at_a_time() -> None:
    for scaler, absent in ((KEDA, "HorizontalPodAutoscaler"), ({"type": "hpa"}, "ScaledObject")):
        assert model({"autoscaling": scaler}).all(absent) == []
    assert not [body for body in model().objects if body["kind"] in ("ScaledObject", "HorizontalPodAutoscaler")]


def budget(values: Values) -> list[Object]:
    return model(values).all("PodDisruptionBudget")


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ({}, 0),
        ({"replicas": 2}, 1),
        ({"autoscaling": KEDA}, 1),
        ({"autoscaling": {**KEDA, "maxReplicas": 1}}, 0),
        ({"replicas": 2, "availability": {"podDisruptionBudget": {"enabled": False}}}, 0),
        ({"availability": {"podDisruptionBudget": {"enabled": True}}}, 1),
    ],
)
def test_budget_exists_from_two_replicas_on(values: Values, count: int) -> None:
    assert len(budget(values)) == count


def test_budget_never_blocks_a_drain_for_ever() -> None:
    (one,) = budget({"replicas": 2})
    assert one["spec"]["maxUnavailable"] == 1
    assert "minAvailable" not in one["spec"]
    assert one["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def strategy(values: Values) -> Object:
    found: Object = model(values).one("Deployment")["spec"]["strategy"]
    return found


def test_new_replica_comes_before_the_old_one_goes() -> None:
    assert strategy({}) == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def test_full_pool_replaces_in_place() -> None:
    values = {"availability": {"strategy": {"maxSurge": 0, "maxUnavailable": 1}}}
    assert strategy(values)["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_recreate_stops_the_old_one_first() -> None:
    assert strategy({"availability": {"strategy": {"type": "recreate"}}}) == {"type": "Recreate"}


def spread(made: Render) -> dict[str, Object]:
    return {entry["topologyKey"]: entry for entry in pod(made).get("topologySpreadConstraints", [])}


def test_replicas_prefer_other_zones_and_nodes() -> None:
    found = spread(model())
    assert found.keys() == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
    for entry in found.values():
        assert entry["whenUnsatisfiable"] == "ScheduleAnyway"
        assert entry["nodeTaintsPolicy"] == "Honor"
        assert entry["matchLabelKeys"] == ["pod-template-hash"]


def test_spread_can_be_required_or_dropped() -> None:
    found = spread(model({"availability": {"spread": {"zones": "required", "nodes": "none"}}}))
    assert found.keys() == {"topology.kubernetes.io/zone"}
    assert found["topology.kubernetes.io/zone"]["whenUnsatisfiable"] == "DoNotSchedule"


def test_spread_of_a_rollout_counts_its_own_revision() -> None:
    found = spread(model(KINDS["Rollout"]))
    assert {tuple(entry["matchLabelKeys"]) for entry in found.values()} == {("rollouts-pod-template-hash",)}


def annotations(values: Values) -> Object:
    found: Object = workload(model(values))["spec"]["template"]["metadata"].get("annotations", {})
    return found


def test_node_autoscalers_leave_loading_pods_alone() -> None:
    found = annotations({})
    assert found["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
    assert found["karpenter.sh/do-not-disrupt"] == "true"


def test_node_autoscalers_may_move_pods_where_told() -> None:
    assert annotations({"availability": {"protectFromNodeScaleDown": False}}) == {}


def test_image_is_pulled_ahead_on_the_pool_without_a_gpu() -> None:
    values = {
        "availability": {"imagePrePull": True},
        "gpu": {"nodeLabels": {"gpu-type": ["l4"]}},
        "scheduling": {"nodeSelector": {"pool": "gpu"}},
    }
    made = model(values)
    ahead = made.one("DaemonSet")["spec"]["template"]["spec"]
    assert ahead["tolerations"] == pod(made)["tolerations"]
    assert ahead["affinity"]["nodeAffinity"] == pod(made)["affinity"]["nodeAffinity"]
    assert ahead["nodeSelector"] == {"pool": "gpu"}
    assert ahead["containers"][0]["image"] == engine(made)["image"]
    assert "limits" not in ahead["containers"][0]["resources"]


def test_pods_that_pull_ahead_are_not_taken_for_replicas() -> None:
    made = model({"replicas": 2, "availability": {"imagePrePull": True}})
    labels = made.one("DaemonSet")["spec"]["template"]["metadata"]["labels"].items()
    selectors = [service["spec"]["selector"] for service in made.all("Service")]
    selectors.append(made.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"])
    for selector in selectors:
        assert not selector.items() <= labels


def test_a_surge_of_0_that_the_canary_states_is_kept() -> None:
    """Sprig's merge takes 0 for "not said", and the strategy's default is 1."""
    made = model({"workload": {"kind": "Rollout", "canary": {"maxSurge": 0, "maxUnavailable": 1}}})
    assert made.one("Rollout")["spec"]["strategy"]["canary"]["maxSurge"] == 0


def test_canary_grows_in_steps() -> None:
    canary = model(KINDS["Rollout"]).one("Rollout")["spec"]["strategy"]["canary"]
    assert [step["setWeight"] for step in canary["steps"] if "setWeight" in step] == [5, 25]


PROMETHEUS = "http://prometheus-operated.monitoring.svc:9090"
JUDGED: Values = {
    "workload": {"kind": "Rollout", "analysis": {"enabled": True, "timeToFirstTokenSeconds": 3, "errorPercent": 2}},
    "autoscaling": {"prometheus": {"serverAddress": PROMETHEUS}},
}


def test_a_traffic_router_finds_a_service_for_each_version() -> None:
    made = model(KINDS["Rollout"])
    canary = made.one("Rollout")["spec"]["strategy"]["canary"]
    assert (canary["stableService"], canary["canaryService"]) == ("demo-stable", "demo-canary")
    for name in ("demo-stable", "demo-canary"):
        assert made.one("Service", name)["spec"]["selector"] == made.one("Service", "demo")["spec"]["selector"]


@pytest.mark.parametrize(
    "own",
    [
        {"stableService": "old", "canaryService": "new"},
        {"pingPong": {"pingService": "a", "pongService": "b"}},
    ],
)
def test_services_of_a_user_take_the_place_of_the_charts(own: Values) -> None:
    made = model({"workload": {"kind": "Rollout", "canary": own}})
    canary = made.one("Rollout")["spec"]["strategy"]["canary"]
    assert {key: canary[key] for key in own} == own
    assert {"demo-stable", "demo-canary"}.isdisjoint(each["metadata"]["name"] for each in made.all("Service"))


@pytest.mark.parametrize("kind", ["Deployment", "LeaderWorkerSet"])
def test_only_a_rollout_has_services_of_versions(kind: str) -> None:
    assert {each["metadata"]["name"] for each in model(KINDS[kind]).all("Service")} == {"demo", "demo-pods"}


def test_a_new_version_is_judged_by_its_own_pods() -> None:
    made = model(JUDGED)
    analysis = made.one("Rollout")["spec"]["strategy"]["canary"]["analysis"]
    template = made.one("AnalysisTemplate")
    assert analysis["templates"] == [{"templateName": template["metadata"]["name"]}]
    assert analysis["args"] == [{"name": "hash", "valueFrom": {"podTemplateHashValue": "Latest"}}]
    latency, errors = template["spec"]["metrics"]
    for metric in (latency, errors):
        assert metric["provider"]["prometheus"]["address"] == PROMETHEUS
        assert 'pod=~"demo-{{args.hash}}-.*"' in metric["provider"]["prometheus"]["query"]
    assert latency["successCondition"].endswith("result[0] <= 3")
    assert errors["successCondition"].endswith("result[0] <= 0.02")


def test_without_an_analysis_nothing_is_judged() -> None:
    made = model(KINDS["Rollout"])
    assert "analysis" not in made.one("Rollout")["spec"]["strategy"]["canary"]
    assert made.all("AnalysisTemplate") == []


def test_an_analysis_of_a_user_is_used_as_it_is() -> None:
    own = {"templates": [{"templateName": "mine"}]}
    made = model({**JUDGED, "workload": {**JUDGED["workload"], "canary": {"analysis": own}}})
    assert made.one("Rollout")["spec"]["strategy"]["canary"]["analysis"] == own


def test_canary_of_a_user_replaces_the_steps() -> None:
    own = {"workload": {"kind": "Rollout", "canary": {"steps": [{"setWeight": 50}]}}}
    assert model(own).one("Rollout")["spec"]["strategy"]["canary"]["steps"] == [{"setWeight": 50}]


def test_kserve_takes_the_same_pod() -> None:
    predictor = pod(model(KINDS["InferenceService"]))
    container = predictor["containers"][0]
    assert container["name"] == "kserve-container"
    plain = engine(model())
    for key in ("args", "image", "startupProbe", "resources", "lifecycle", "volumeMounts"):
        assert container[key] == plain[key]
    assert predictor["terminationGracePeriodSeconds"] == 120


def test_group_has_a_subdomain_that_no_service_of_the_chart_hides() -> None:
    made = model(GROUP)
    name = made.one("LeaderWorkerSet")["metadata"]["name"]
    assert name in {each["metadata"]["name"] for each in made.all("Service")}  # so the set's own may not be shared
    assert made.one("LeaderWorkerSet")["spec"]["networkConfig"]["subdomainPolicy"] == "UniquePerReplica"


def test_group_dies_and_returns_as_one() -> None:
    spec = model(GROUP).one("LeaderWorkerSet")["spec"]
    assert spec["leaderWorkerTemplate"]["restartPolicy"] == "RecreateGroupOnPodRestart"


def test_priority_class_reaches_the_pods() -> None:
    assert pod(model({"availability": {"priorityClassName": "llm"}}))["priorityClassName"] == "llm"
