"""The check of objects: what it refuses, what it lets through, and that its schemas are the pinned ones."""

import copy
from typing import Any

import pytest

from scripts import kubernetes_modules
from scripts.console import UserError
from scripts.kubernetes_modules import MODULES, Module, crd_files, crd_modules, module_dir
from scripts.kubernetes_schemas import file_name, problems, schema_folder
from scripts.tools import TOOLS

Object = dict[str, Any]

DEPLOYMENT: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "a", "labels": {"a": "b"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {
                "containers": [
                    {
                        "name": "a",
                        "image": "a:1",
                        "resources": {"limits": {"cpu": 4, "memory": "16Gi", "nvidia.com/gpu": "1"}},
                        "livenessProbe": {"httpGet": {"path": "/", "port": "http"}},
                        "readinessProbe": {"httpGet": {"path": "/", "port": 8000}},
                    }
                ]
            },
        },
    },
}
SCALED: Object = {
    "apiVersion": "keda.sh/v1alpha1",
    "kind": "ScaledObject",
    "metadata": {"name": "a"},
    "spec": {"scaleTargetRef": {"name": "a"}, "triggers": [{"type": "cpu", "metadata": {"value": "80"}}]},
}


def changed(body: Object, path: str, value: Any) -> Object:
    """A copy with one field set."""
    made = copy.deepcopy(body)
    *parents, last = path.split("/")
    part: Any = made
    for key in parents:
        part = part[int(key)] if isinstance(part, list) else part.setdefault(key, {})
    part[last] = value
    return made


@pytest.mark.parametrize("body", [DEPLOYMENT, SCALED], ids=["Deployment", "ScaledObject"])
def test_good_objects_pass(body: Object) -> None:
    assert problems(body) == []


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("spec/replica", 2, "'replica' was unexpected"),
        ("spec/template/spec/containers/0/livenesProbe", {}, "'livenesProbe' was unexpected"),
        ("spec/replicas", "2", "spec.replicas: '2' is not of type 'integer'"),
        ("spec/replicas", None, "spec.replicas: None is not of type 'integer'"),
        ("spec/selector", {"matchLabels": {"a": 1}}, "1 is not of type 'string'"),
        ("spec/template/spec/containers/0/resources/limits/memory", "16 GB", "16 GB"),
        ("spec/template/spec/containers/0/resources/limits/memory", "16Gib", "16Gib"),
        ("spec/template/spec/containers/0/livenessProbe/httpGet/port", 1.5, "1.5"),
        ("metadata/labels/a", True, "True is not of type 'string'"),
        ("metadata/labels/a", "x" * 64, "is not a label's value"),
        ("metadata/labels/a", "a b", "is not a label's value"),
        ("metadata/labels/a b", "c", "is not a label's name"),
        ("metadata/name", "Upper", "is not a DNS name"),
        ("status", {"replicas": "x"}, "status.replicas"),
    ],
)
def test_wrong_deployment_is_refused_with_its_path(path: str, value: Any, message: str) -> None:
    found = problems(changed(DEPLOYMENT, path, value))
    assert len(found) == 1, found
    assert found[0].startswith("Deployment/")
    assert message in found[0]


@pytest.mark.parametrize("quantity", [1, 0.5, "1", "500m", "1.5Gi", "2e3", "10E", "100k"])
def test_quantities_are_read_as_kubernetes_does(quantity: Any) -> None:
    assert problems(changed(DEPLOYMENT, "spec/template/spec/containers/0/resources/limits/cpu", quantity)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [("spec/pollInterval", 2), ("spec/pollingInterval", "2"), ("spec/triggers/0/metadata/value", 80)],
)
def test_wrong_custom_resource_is_refused(path: str, value: Any) -> None:
    assert len(problems(changed(SCALED, path, value))) == 1


def test_missing_field_is_named() -> None:
    body = copy.deepcopy(SCALED)
    del body["spec"]["triggers"]
    assert problems(body) == ["ScaledObject/a: spec: 'triggers' is a required property"]


def test_kind_without_a_schema_is_a_problem() -> None:
    body = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}}
    assert problems(body) == ["Thing/a: no schema for example.com/v1 Thing"]


def test_field_that_came_later_is_refused_for_an_older_kubernetes() -> None:
    """Image volumes are in 1.35 and not in 1.30."""
    volume = [{"name": "w", "image": {"reference": "a:1"}}]
    body = changed(DEPLOYMENT, "spec/template/spec/volumes", volume)
    assert problems(body) == []
    assert "'image' was unexpected" in problems(body, "kubernetes-lowest")[0]


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("v1", "Pod"),
        ("apps/v1", "Deployment"),
        ("policy/v1", "PodDisruptionBudget"),
        ("keda.sh/v1alpha1", "TriggerAuthentication"),
        ("monitoring.coreos.com/v1", "PodMonitor"),
        ("monitoring.coreos.com/v1", "PrometheusRule"),
        ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet"),
        ("argoproj.io/v1alpha1", "Rollout"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute"),
        ("inference.networking.k8s.io/v1", "InferencePool"),
        ("serving.kserve.io/v1beta1", "InferenceService"),
        ("traefik.io/v1alpha1", "Middleware"),
    ],
)
def test_every_kind_that_the_charts_make_has_a_schema(api_version: str, kind: str) -> None:
    assert (schema_folder() / file_name(api_version, kind)).is_file()


@pytest.mark.parametrize("name", MODULES)
def test_modules_are_pinned_by_version_and_hash(name: str) -> None:
    assert MODULES[name].version.startswith("v")
    assert MODULES[name].sum.startswith("h1:")
    assert module_dir(name).is_dir()


@pytest.mark.parametrize("name", crd_modules())
def test_a_controller_is_built_at_the_version_of_its_definitions(name: str) -> None:
    module = MODULES[name]
    built = {tool.version for tool in TOOLS.values() if tool.version_of == module.path}
    assert built <= {module.version}


@pytest.mark.parametrize("name", crd_modules())
def test_modules_of_custom_resources_have_some(name: str) -> None:
    assert crd_files(name)


def test_module_with_another_hash_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = MODULES["lws"]
    monkeypatch.setitem(kubernetes_modules.MODULES, "lws", Module(real.path, real.version, "h1:other", real.crds))
    module_dir.cache_clear()
    with pytest.raises(UserError, match="is not what was pinned"):
        module_dir("lws")
    module_dir.cache_clear()


def test_module_that_does_not_exist_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kubernetes_modules.MODULES, "lws", Module("not a module", "v1.0.0", "h1:"))
    module_dir.cache_clear()
    with pytest.raises(UserError, match="cannot be downloaded"):
        module_dir("lws")
    module_dir.cache_clear()
