"""The Argo CD objects of every environment: valid, closed, and true to the tree that they point into."""

from pathlib import Path
from typing import Any

import pytest

from scripts.kubernetes_schemas import problems
from scripts.kubernetes_yaml import load, load_all
from scripts.paths import REPO, VALUES
from scripts.render import release_name, render
from tests.gitops.argocd import (
    ARGOCD,
    ENVIRONMENTS,
    OVERLAYS,
    build,
    model_files,
    model_layers,
    objects,
    one,
    referenced,
    settings,
)

MODELS = [(environment, path) for environment in ENVIRONMENTS for path in model_files(environment)]
MODEL_IDS = [f"{environment}-{path.stem}" for environment, path in MODELS]
ALL_VALUES = sorted((VALUES / "models").glob("*.yaml"))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_object_is_valid_by_argo_cds_own_schema(environment: str) -> None:
    assert [problem for body in build(OVERLAYS / environment) for problem in problems(body)] == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_root_watches_its_own_environment(environment: str) -> None:
    bodies = list(load_all((ARGOCD / "bootstrap" / f"{environment}.yaml").read_text(encoding="utf-8")))
    assert [problem for body in bodies for problem in problems(body)] == []
    [root] = [body for body in bodies if body["kind"] == "Application"]
    assert root["spec"]["source"]["path"] == f"gitops/argocd/overlays/{environment}"
    assert root["spec"]["source"]["repoURL"] == settings(environment)["repoURL"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_settings_reach_every_place(environment: str) -> None:
    wanted = settings(environment)
    platform = one(environment, "Application", "llm-platform")["spec"]["source"]
    models = one(environment, "ApplicationSet", "llm-models")["spec"]
    git, template = models["generators"][0]["git"], models["template"]["spec"]["source"]
    assert platform["repoURL"] == git["repoURL"] == template["repoURL"] == wanted["repoURL"]
    assert platform["targetRevision"] == git["revision"] == template["targetRevision"] == wanted["revision"]
    for project in objects(environment, "AppProject"):
        assert project["spec"]["sourceRepos"] == [wanted["repoURL"]]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_nothing_local_is_sent_to_the_cluster(environment: str) -> None:
    assert objects(environment, "ConfigMap") == []


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_platform_names_values_files_that_exist(environment: str) -> None:
    files = referenced(one(environment, "Application", "llm-platform"))
    assert [path for path in files if not path.is_file()] == []
    assert files[-1] == OVERLAYS / environment / "platform.yaml"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_generator_finds_the_models_of_its_environment(environment: str) -> None:
    git = one(environment, "ApplicationSet", "llm-models")["spec"]["generators"][0]["git"]
    [pattern] = [entry["path"] for entry in git["files"]]
    assert sorted(REPO.glob(pattern)) == model_files(environment) != []


def test_the_base_generator_is_every_values_file() -> None:
    [models] = [body for body in build(ARGOCD / "base") if body["kind"] == "ApplicationSet"]
    assert models["spec"]["generators"][0]["git"]["files"] == [{"path": "values/models/*.yaml"}]


@pytest.mark.parametrize(("environment", "path"), MODELS, ids=MODEL_IDS)
def test_a_models_file_has_the_name_of_a_values_file(environment: str, path: Path) -> None:
    assert (VALUES / "models" / path.name).is_file(), f"{environment}: values/models has no {path.name}"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_gateway_knows_exactly_the_models_of_the_environment(environment: str) -> None:
    platform = load((OVERLAYS / environment / "platform.yaml").read_text(encoding="utf-8"))
    external = platform["gateway"]["externalModels"]
    assert set(external) == {release_name(path) for path in model_files(environment)}


@pytest.mark.parametrize(("environment", "path"), MODELS, ids=MODEL_IDS)
def test_what_the_gateway_knows_of_a_model_is_true(environment: str, path: Path) -> None:
    platform = load((OVERLAYS / environment / "platform.yaml").read_text(encoding="utf-8"))
    known = platform["gateway"]["externalModels"][release_name(path)]
    values: dict[str, Any] = {}
    for layer in model_layers(path):
        values = merged(values, load(layer.read_text(encoding="utf-8")))
    scaling = values["autoscaling"]
    scaled = scaling.get("type", "none") != "none"
    assert known["namespace"] == "llm-models"
    assert known["servedNames"] == values["model"].get("servedNames", [values["model"]["id"]])
    assert known["maxReplicas"] == (scaling["maxReplicas"] if scaled else values.get("replicas", 1))
    assert known.get("holds", False) is (scaled and scaling["minReplicas"] == 0)


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Helm's way of laying one values file over another."""
    nested = {key: value for key, value in over.items() if isinstance(value, dict) and isinstance(base.get(key), dict)}
    return base | over | {key: merged(base[key], value) for key, value in nested.items()}


@pytest.mark.parametrize(("environment", "path"), MODELS, ids=MODEL_IDS)
def test_a_model_renders_from_its_three_layers(environment: str, path: Path) -> None:
    made = render("vllm-model", model_layers(path), release=release_name(path), namespace="llm-models")
    assert [problem for body in made.objects for problem in problems(body)] == [], environment


@pytest.mark.parametrize("path", ALL_VALUES, ids=lambda path: path.stem)
def test_the_project_of_models_lets_through_what_models_render(path: Path) -> None:
    project = one("prod", "AppProject", "llm-models")["spec"]
    allowed = {(entry["group"], entry["kind"]) for entry in project["namespaceResourceWhitelist"]}
    made = render("vllm-model", [path, ARGOCD / "base" / "model-values.yaml"], release=release_name(path))
    kinds = {kind_of(body) for body in made.objects if not is_helm_test(body)}
    assert kinds <= allowed


def kind_of(body: dict[str, Any]) -> tuple[str, str]:
    group, _, version = body["apiVersion"].rpartition("/")
    assert version
    return group, body["kind"]


def is_helm_test(body: dict[str, Any]) -> bool:
    """Argo CD leaves `helm test` alone."""
    return "helm.sh/hook" in body["metadata"].get("annotations", {})


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_model_may_touch_nothing_that_belongs_to_the_cluster(environment: str) -> None:
    project = one(environment, "AppProject", "llm-models")["spec"]
    assert project["clusterResourceWhitelist"] == [{"group": "", "kind": "Namespace"}]
    assert {target["namespace"] for target in project["destinations"]} == {"llm-models"}
    kinds = {entry["kind"] for entry in project["namespaceResourceWhitelist"]}
    assert kinds.isdisjoint({"*", "Secret", "Role", "RoleBinding", "ResourceQuota"})


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_project_allows_everything(environment: str) -> None:
    for project in objects(environment, "AppProject"):
        spec = project["spec"]
        assert "*" not in spec["sourceRepos"]
        assert all("*" not in (target["namespace"], target["server"]) for target in spec["destinations"])
        assert {"group": "*", "kind": "*"} not in spec["clusterResourceWhitelist"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_projects_come_before_the_platform_and_the_platform_before_the_models(environment: str) -> None:
    def wave(body: dict[str, Any]) -> int:
        return int(body["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"])

    projects = [wave(body) for body in objects(environment, "AppProject")]
    platform = wave(one(environment, "Application", "llm-platform"))
    assert max(projects) < platform < wave(one(environment, "ApplicationSet", "llm-models"))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("option", ["ServerSideApply", "SkipDryRunOnMissingResource", "RespectIgnoreDifferences"])
def test_platform_and_models_are_synced_the_same_way(environment: str, option: str) -> None:
    platform = one(environment, "Application", "llm-platform")["spec"]
    models = one(environment, "ApplicationSet", "llm-models")["spec"]["template"]["spec"]
    for spec in (platform, models):
        assert f"{option}=true" in spec["syncPolicy"]["syncOptions"]


def test_argo_cd_takes_kedas_crds_from_kedas_chart() -> None:
    values = load((ARGOCD / "base" / "platform-values.yaml").read_text(encoding="utf-8"))
    assert values["keda"]["crds"]["install"] is True
