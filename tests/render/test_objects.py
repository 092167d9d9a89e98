"""Every object of every branch: what Kubernetes' own schemas say, and that Helm 3, Helm 4 and all versions agree."""

import re
from pathlib import Path

import pytest

from scripts.kubernetes_modules import HIGHEST_KUBERNETES, KUBERNETES_VERSION, LOWEST_KUBERNETES
from scripts.kubernetes_schemas import problems
from scripts.paths import CHARTS
from scripts.render import Object, RenderError
from tests.render.chart import Values, containers, model, pod_specs, workload
from tests.render.variants import VARIANTS

each = pytest.mark.parametrize("values", VARIANTS.values(), ids=VARIANTS.keys())

TEMPLATES = CHARTS / "vllm-model" / "templates"

GKE_ONLY = {"BackendConfig"}
"""Kinds whose schema is Google's and in no module: the API server of GKE has the only one."""


def wrong(objects: list[Object], kubernetes: str = "kubernetes") -> list[str]:
    return [text for body in objects if body["kind"] not in GKE_ONLY for text in problems(body, kubernetes)]


@each
def test_every_object_meets_the_schema_of_its_kind(values: Values) -> None:
    assert wrong(model(values).objects) == []


@each
def test_helm_3_renders_the_same(values: Values) -> None:
    assert model(values, helm="helm3").objects == model(values).objects


@each
def test_lowest_kubernetes_knows_every_field(values: Values) -> None:
    image_volume = (values.get("weights") or {}).get("source") == "image"
    found = wrong(model(values).objects, "kubernetes-lowest")
    assert bool(found) == image_volume, found


@each
def test_highest_kubernetes_still_knows_every_field(values: Values) -> None:
    assert wrong(model(values).objects, "kubernetes-highest") == []


@pytest.mark.parametrize("version", [LOWEST_KUBERNETES, HIGHEST_KUBERNETES])
@pytest.mark.parametrize("variant", ["least", "group", "rollout", "keda", "watched", "ingress of traefik"])
def test_versions_of_kubernetes_get_the_same_objects(variant: str, version: str) -> None:
    """The two tests above look at one render for all versions; this is why they may."""
    assert model(VARIANTS[variant], kube_version=version).objects == model(VARIANTS[variant]).objects


def test_image_volumes_are_refused_where_kubernetes_has_none() -> None:
    with pytest.raises(RenderError, match=r"image volumes need Kubernetes 1\.33"):
        model(VARIANTS["image volume"], kube_version=LOWEST_KUBERNETES)


@pytest.mark.parametrize("version", ["1.30.0-eks-a1b2c3", "1.33.1-gke.1743000"])
def test_versions_of_managed_clusters_pass(version: str) -> None:
    assert model(kube_version=version).objects


def test_kubernetes_below_the_lowest_is_refused() -> None:
    with pytest.raises(RenderError, match=r"1\.29\.0"):
        model(kube_version="1.29.0")


@each
def test_names_are_unique_for_a_kind(values: Values) -> None:
    names = [(body["apiVersion"], body["kind"], body["metadata"]["name"]) for body in model(values).objects]
    assert len(names) == len(set(names))


@each
def test_every_object_names_its_namespace(values: Values) -> None:
    """``helm template | kubectl apply`` and Kustomize lose the release's namespace otherwise."""
    extra = {"more", "demo-text"}
    for body in model(values).objects:
        if body["metadata"]["name"] not in extra:
            assert body["metadata"]["namespace"] == "llm", body["kind"]


@each
def test_no_object_holds_an_empty_field(values: Values) -> None:
    """A null is what a forgotten value leaves behind; server-side apply then owns a field that nobody meant."""

    def nulls(part: object, path: str) -> list[str]:
        if part is None:
            return [path]
        if isinstance(part, dict):
            return [found for key, value in part.items() for found in nulls(value, f"{path}.{key}")]
        if isinstance(part, list):
            return [found for index, value in enumerate(part) for found in nulls(value, f"{path}[{index}]")]
        return []

    assert [found for body in model(values).objects for found in nulls(body, body["kind"])] == []


@each
def test_no_template_prints_go_values(values: Values) -> None:
    text = model(values).text
    for leaked in ("%!", "<no value>", "<nil>", "map[", "1e+0"):
        assert leaked not in text, leaked


def test_variants_reach_every_object_template() -> None:
    """A template that no variant reaches is checked by no test of this module."""
    reached = {source for values in VARIANTS.values() for source, _ in model(values).documents}
    files = {f"vllm-model/templates/{path.relative_to(TEMPLATES)}" for path in TEMPLATES.rglob("*.yaml")}
    assert files - reached == {"vllm-model/templates/validate.yaml"}


def test_list_of_objects_is_the_list_of_files() -> None:
    """The umbrella renders by the list, the chart by its files: one that is missing in either is lost there."""
    text = (TEMPLATES / "_objects.tpl").read_text()
    block = text.split('define "vllm-model.objectNames"')[1].split("{{- end")[0]
    listed = re.findall(r"^- (\S+)$", block, re.MULTILINE)
    files = sorted(path.stem for path in TEMPLATES.rglob("*.yaml") if path.stem != "validate")
    assert sorted(listed) == files


def test_every_object_file_only_includes_its_template() -> None:
    for path in TEMPLATES.rglob("*.yaml"):
        lines = [line for line in path.read_text().splitlines() if line.strip() and "/*" not in line]
        assert len(lines) == 1, path
        assert path.stem in lines[0], path


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.tpl")), ids=lambda path: path.name)
def test_template_files_stay_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 150


@each
def test_no_image_is_latest(values: Values) -> None:
    for body in model(values).objects:
        for _, spec in pod_specs(body):
            for container in containers(spec):
                image = container["image"]
                assert re.search(r"(:[^/:]+|@sha256:[0-9a-f]{64})$", image), image
                assert not image.endswith(":latest"), image


def test_nothing_renders_where_the_model_is_switched_off() -> None:
    assert model({"enabled": False, "model": {"id": ""}}).objects == []


def test_selectors_carry_no_version_and_no_label_of_a_user() -> None:
    """A selector cannot change: a chart version or a user's label in it breaks the next upgrade."""
    made = model({"commonLabels": {"team": "a"}, "podLabels": {"tier": "b"}})
    assert workload(made)["spec"]["selector"]["matchLabels"] == {
        "app.kubernetes.io/name": "vllm-model",
        "app.kubernetes.io/instance": "demo",
        "vllm-model/name": "demo",
        "vllm-model/role": "server",
    }


@pytest.mark.parametrize("kind", ["Deployment", "Rollout", "InferenceService"])
def test_selectors_match_the_pods_they_are_made_for(kind: str) -> None:
    made = model({"replicas": 2, "workload": {"kind": kind}, "commonLabels": {"team": "a"}})
    spec = workload(made)["spec"]
    labels = spec["predictor"]["labels"] if kind == "InferenceService" else spec["template"]["metadata"]["labels"]
    selectors = [body["spec"]["selector"] for body in made.all("Service")]
    selectors += [body["spec"]["selector"]["matchLabels"] for body in made.all("PodDisruptionBudget")]
    if kind != "InferenceService":
        selectors.append(spec["selector"]["matchLabels"])
    assert len(selectors) >= 3
    for selector in selectors:
        assert selector.items() <= labels.items()


def test_services_of_a_group_reach_only_the_leader() -> None:
    made = model(VARIANTS["group"])
    halves = made.one("LeaderWorkerSet")["spec"]["leaderWorkerTemplate"]
    for service in made.all("Service"):
        selector = service["spec"]["selector"].items()
        assert selector <= halves["leaderTemplate"]["metadata"]["labels"].items()
        assert not selector <= halves["workerTemplate"]["metadata"]["labels"].items()


def test_user_labels_stand_on_every_object_and_pod() -> None:
    made = model(VARIANTS["labels"])
    for body in made.objects:
        assert body["metadata"]["labels"]["team"] == "search", body["kind"]
        assert body["metadata"]["annotations"]["owner"] == "search", body["kind"]
    assert workload(made)["spec"]["template"]["metadata"]["labels"]["tier"] == "gpu"


def test_user_labels_do_not_replace_those_of_the_selector() -> None:
    made = model({"commonLabels": {"app.kubernetes.io/name": "x"}, "podLabels": {"vllm-model/role": "x"}})
    labels = workload(made)["spec"]["template"]["metadata"]["labels"]
    assert labels["vllm-model/role"] == "server"
    assert labels["app.kubernetes.io/name"] == "vllm-model"


@pytest.mark.parametrize("length", [49, 50, 51, 53])
@pytest.mark.parametrize("variant", ["three replicas", "download job", "watched", "ingress of traefik", "group"])
def test_names_and_label_values_stay_within_63_characters(variant: str, length: int) -> None:
    release = ("long-model-name-" * 4)[: length - 1] + "x"
    for body in model(VARIANTS[variant], release=release).objects:
        assert len(body["metadata"]["name"]) <= 63, body["metadata"]["name"]
        assert problems(body) == []


def test_full_name_of_63_characters_is_cut_and_stays_unique() -> None:
    one, two = (workload(model({"fullnameOverride": "m" * 62 + end}))["metadata"]["name"] for end in "ab")
    assert one != two
    assert len(one) <= 50


def test_two_models_of_a_release_share_no_name_or_selector() -> None:
    one, two = (model({"fullnameOverride": name}) for name in ("one", "two"))
    names = [{(body["kind"], body["metadata"]["name"]) for body in made.objects} for made in (one, two)]
    assert not names[0] & names[1]
    assert workload(one)["spec"]["selector"] != workload(two)["spec"]["selector"]


def test_default_version_is_that_of_the_local_cluster() -> None:
    from scripts.tools import TOOLS

    assert TOOLS["kube"].version == f"v{KUBERNETES_VERSION}"
