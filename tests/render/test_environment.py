"""The engine's environment, and what it may do: variables, paths, users, secrets."""

import pytest

from scripts.render import RenderError
from tests.render.chart import containers, engine, environment, model, pod, pod_specs
from tests.render.variants import VARIANTS

ALL = pytest.mark.parametrize("variant", VARIANTS)
EXTRA = {"first", "beside"}
"""Containers of the user in the variant `extra`: theirs to secure."""


@ALL
def test_service_links_are_off_in_every_pod(variant: str) -> None:
    """A Service named vllm sets VLLM_PORT to a URL in every pod of the namespace, and vLLM dies of it."""
    for body in model(VARIANTS[variant]).objects:
        for place, spec in pod_specs(body):
            assert spec["enableServiceLinks"] is False, f"{body['kind']} {place}"


@ALL
def test_no_pod_has_a_token_for_the_api(variant: str) -> None:
    for body in model(VARIANTS[variant]).objects:
        for place, spec in pod_specs(body):
            assert spec["automountServiceAccountToken"] is False, f"{body['kind']} {place}"


@ALL
def test_every_container_meets_the_restricted_level(variant: str) -> None:
    """Pod Security's level `restricted`, rule by rule; the API server of the cluster tests has the last word."""
    for body in model(VARIANTS[variant]).objects:
        for place, spec in pod_specs(body):
            where = f"{body['kind']} {place}"
            assert spec["securityContext"]["runAsNonRoot"] is True, where
            assert spec["securityContext"]["runAsUser"] > 0, where
            assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, where
            for container in containers(spec):
                if container["name"] in EXTRA:
                    continue
                own = container["securityContext"]
                assert own["allowPrivilegeEscalation"] is False, where
                assert own["readOnlyRootFilesystem"] is True, where
                assert own["capabilities"]["drop"] == ["ALL"], where


WRITTEN = [
    "HOME",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "HF_HOME",
    "VLLM_CACHE_ROOT",
    "VLLM_CONFIG_ROOT",
    "TORCHINDUCTOR_CACHE_DIR",
    "TRITON_CACHE_DIR",
    "FLASHINFER_WORKSPACE_BASE",
    "CUDA_CACHE_PATH",
]


@pytest.mark.parametrize("variable", WRITTEN)
@pytest.mark.parametrize(
    "variant", ["least", "cache claim", "weights in a claim", "image volume", "s3 streamed", "group"]
)
def test_every_path_that_the_engine_writes_to_is_a_writable_volume(variant: str, variable: str) -> None:
    container = engine(model(VARIANTS[variant]))
    writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
    path = environment(container)[variable]
    assert any(path == mount or path.startswith(f"{mount}/") for mount in writable), path


def test_temporary_files_have_a_volume_in_every_container_of_the_chart() -> None:
    for variant in ("init container", "download job", "s3 copied, with keys"):
        for body in model(VARIANTS[variant]).objects:
            for _, spec in pod_specs(body):
                for container in containers(spec):
                    if "HOME" in str(container.get("env")):
                        mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
                        assert "/tmp" in mounted, container["name"]  # noqa: S108 - a path in the container


def test_cache_mounted_elsewhere_moves_every_path() -> None:
    made = model({"weights": {"cache": {"mountPath": "/scratch"}}})
    assert "/cache" not in made.text.replace("-cache", "").replace("/scratch", "")
    assert environment(engine(made))["HF_HOME"] == "/scratch/huggingface"


def test_compiled_kernels_outlive_a_pod_where_the_cache_does() -> None:
    made = model(VARIANTS["cache claim"])
    found = environment(engine(made))
    for variable in ("VLLM_CACHE_ROOT", "TRITON_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
        assert found[variable].startswith("/cache/")


def test_unknown_user_has_a_name() -> None:
    """getpwuid fails for a uid that the image does not know; torch asks these first."""
    found = environment(engine(model()))
    assert found["USER"]
    assert found["LOGNAME"]


def test_no_usage_is_reported() -> None:
    assert environment(engine(model()))["VLLM_NO_USAGE_STATS"] == "1"


def test_variable_of_a_user_wins_and_stands_once() -> None:
    made = model({"engine": {"env": {"VLLM_NO_USAGE_STATS": "0", "NUMBER": "7", "UNSET": None}}})
    found = environment(engine(made))
    assert found["VLLM_NO_USAGE_STATS"] == "0"
    assert found["NUMBER"] == "7"
    assert "UNSET" not in found


def test_variables_are_sorted() -> None:
    """A render that changes by itself would roll the pods."""
    names = [entry["name"] for entry in engine(model(VARIANTS["many flags"]))["env"]]
    assert names == sorted(names)


def test_key_comes_from_a_secret_and_nowhere_else() -> None:
    made = model(VARIANTS["key"])
    reference = {"secretKeyRef": {"name": "llm-api-key", "key": "api-key"}}
    assert environment(engine(made))["VLLM_API_KEY"] == reference
    assert not [text for text in engine(made)["args"] if "api-key" in text]


def test_no_key_no_variable() -> None:
    assert "VLLM_API_KEY" not in environment(engine(model()))


@pytest.mark.parametrize("name", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "VLLM_API_KEY", "AWS_SECRET_ACCESS_KEY"])
def test_literal_secret_is_refused_with_the_command_to_run(name: str) -> None:
    with pytest.raises(RenderError) as error:
        model({"engine": {"env": {name: "hf_abc"}}})
    assert f"engine.env.{name}" in error.value.message
    assert "kubectl create secret generic" in error.value.message
    assert "hf_abc" not in error.value.message


def test_secret_by_reference_is_accepted() -> None:
    reference = {"valueFrom": {"secretKeyRef": {"name": "hf", "key": "token"}}}
    assert (
        environment(engine(model({"engine": {"env": {"HF_TOKEN": reference}}})))["HF_TOKEN"] == reference["valueFrom"]
    )


def test_chart_makes_no_secret() -> None:
    for values in VARIANTS.values():
        assert model(values).all("Secret") == []


def test_volumes_and_mounts_agree_in_every_pod() -> None:
    """A mount without a volume is refused by the API server; a volume that nothing mounts is left over."""
    for name, values in VARIANTS.items():
        for body in model(values).objects:
            for place, spec in pod_specs(body):
                volumes = {volume["name"] for volume in spec.get("volumes", [])}
                mounts = [mount for part in containers(spec) for mount in part.get("volumeMounts", [])]
                assert {mount["name"] for mount in mounts} == volumes, f"{name}: {body['kind']} {place}"
                for part in containers(spec):
                    paths = [mount["mountPath"] for mount in part.get("volumeMounts", [])]
                    assert len(paths) == len(set(paths)), f"{name}: {part['name']}"


def test_image_registry_of_a_site_goes_before_every_image() -> None:
    made = model({**VARIANTS["download job"], "global": {"imageRegistry": "registry.site/mirror"}})
    images = {
        container["image"] for body in made.objects for _, spec in pod_specs(body) for container in containers(spec)
    }
    assert images
    assert all(image.startswith("registry.site/mirror/") for image in images)


def test_pull_secrets_reach_every_pod() -> None:
    made = model({**VARIANTS["download job"], "engine": {"imagePullSecrets": [{"name": "registry"}]}})
    for body in made.objects:
        for place, spec in pod_specs(body):
            assert spec["imagePullSecrets"] == [{"name": "registry"}], f"{body['kind']} {place}"


def test_digest_wins_over_the_tag() -> None:
    image = engine(model(VARIANTS["digest"]))["image"]
    assert image == "vllm/vllm-openai@sha256:" + "0" * 64


def test_given_service_account_is_used_and_not_made() -> None:
    made = model(VARIANTS["given identity"])
    assert made.all("ServiceAccount") == []
    assert pod(made)["serviceAccountName"] == "llm"


def test_identity_of_the_cloud_stands_on_the_service_account() -> None:
    made = model(VARIANTS["identity"])
    assert "eks.amazonaws.com/role-arn" in made.one("ServiceAccount")["metadata"]["annotations"]
    assert pod(made)["serviceAccountName"] == "demo"
