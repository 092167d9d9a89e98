"""Where the weights come from, who brings them, and that none come twice."""

import pytest

from scripts.render import Object, Render, RenderError
from tests.render.chart import Values, arguments, containers, engine, environment, flag, model, pod
from tests.render.variants import SHARED, VARIANTS


def volumes(made: Render) -> dict[str, Object]:
    return {volume["name"]: volume for volume in pod(made)["volumes"]}


def mount(container: Object, name: str) -> Object:
    return next(entry for entry in container["volumeMounts"] if entry["name"] == name)


@pytest.mark.parametrize(
    ("variant", "reference"),
    [
        ("least", "org/model"),
        ("download job", "org/model"),
        ("weights in a claim", "/weights/llama"),
        ("image volume", "/weights/m"),
        ("host path", "/weights"),
        ("s3 streamed", "s3://bucket/llama"),
        ("gcs streamed", "gs://bucket/llama"),
        ("s3 copied, with keys", "/cache/models/bucket/llama"),
        ("gcs copied by a job, with a key", "/cache/models/bucket/llama"),
    ],
)
def test_engine_is_told_where_the_weights_are(variant: str, reference: str) -> None:
    assert arguments(model(VARIANTS[variant]))[0] == reference


@pytest.mark.parametrize("variant", ["weights in a claim", "image volume", "host path"])
def test_weights_that_lie_somewhere_are_mounted_read_only(variant: str) -> None:
    made = model(VARIANTS[variant])
    assert mount(engine(made), "weights")["readOnly"] is True
    source = volumes(made)["weights"]
    assert source.get("persistentVolumeClaim", {"readOnly": True})["readOnly"] is True


def test_claim_of_weights_is_neither_made_nor_written() -> None:
    made = model(VARIANTS["weights in a claim"])
    assert made.all("PersistentVolumeClaim") == []
    assert not [path for path in environment(engine(made)).values() if str(path).startswith("/weights")]


@pytest.mark.parametrize(
    ("variant", "offline"),
    [
        ("least", False),
        ("cache claim", False),
        ("init container", True),
        ("download job", True),
        ("existing cache claim", True),
        ("weights in a claim", True),
        ("image volume", True),
        ("host path", True),
        ("s3 streamed", True),
        ("s3 copied, with keys", True),
    ],
)
def test_engine_asks_the_hub_only_where_it_downloads_itself(variant: str, offline: bool) -> None:
    """HF_HUB_OFFLINE=1 proves a prefilled cache used: a wrong path would fail instead of downloading again."""
    assert ("HF_HUB_OFFLINE" in environment(engine(model(VARIANTS[variant])))) is offline


def downloads(made: Render) -> list[Object]:
    """Containers that download: init containers of the pods, and those of Jobs."""
    specs = [pod(made), *(job["spec"]["template"]["spec"] for job in made.all("Job"))]
    return [part for spec in specs for part in containers(spec) if part["name"] == "download"]


@pytest.mark.parametrize(
    ("variant", "count"),
    [
        ("least", 0),
        ("init container", 1),
        ("download job", 1),
        ("s3 streamed", 0),
        ("s3 copied, with keys", 1),
        ("gcs copied by a job, with a key", 1),
    ],
)
def test_weights_are_fetched_by_one_container(variant: str, count: int) -> None:
    assert len(downloads(model(VARIANTS[variant]))) == count


@pytest.mark.parametrize("variant", ["init container", "download job"])
def test_download_writes_where_the_engine_reads(variant: str) -> None:
    """A guide's mistake: downloaded into one folder, read from another, fetched again."""
    made = model(VARIANTS[variant])
    (fetch,) = downloads(made)
    assert environment(fetch)["HF_HOME"] == environment(engine(made))["HF_HOME"]
    assert mount(fetch, "cache")["mountPath"] == mount(engine(made), "cache")["mountPath"]


@pytest.mark.parametrize("variant", ["s3 copied, with keys", "gcs copied by a job, with a key"])
def test_copy_writes_where_the_engine_reads(variant: str) -> None:
    made = model(VARIANTS[variant])
    (copy,) = downloads(made)
    assert environment(copy)["TARGET"] == arguments(made)[0]


def test_copy_is_skipped_where_the_weights_are_whole() -> None:
    """What the download from the hub does is in tests/unit/test_hub_download.py."""
    (copy,) = downloads(model(VARIANTS["s3 copied, with keys"]))
    look, copying, mark = copy["args"][0].strip().splitlines()
    assert look.startswith('if [ -e "$MARKER" ]')
    assert "exit 0" in look
    assert copying.startswith("rclone copy")
    assert mark == 'touch "$MARKER"'


def test_new_revision_is_a_new_download() -> None:
    one, two = (model({**VARIANTS["init container"], "model": {"revision": text}}) for text in ("a", "b"))
    assert environment(downloads(one)[0])["MARKER"] != environment(downloads(two)[0])["MARKER"]


def test_engine_waits_for_the_job() -> None:
    made = model(VARIANTS["download job"])
    wait = pod(made)["initContainers"][0]
    assert wait["name"] == "wait-for-weights"
    assert environment(wait)["MARKER"] == environment(downloads(made)[0])["MARKER"]
    assert environment(wait)["JOB"] == made.one("Job")["metadata"]["name"]


def job_name(**more: object) -> str:
    values: Values = {**VARIANTS["download job"], **more}
    name: str = model(values).one("Job")["metadata"]["name"]
    return name


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"revision": "b"}},
        {"podLabels": {"a": "b"}},
        {"engine": {"image": {"tag": "v0.32.0"}}},
        {"scheduling": {"nodeSelector": {"a": "b"}}},
        {"podSecurityContext": {"runAsUser": 2000}},
    ],
)
def test_changed_job_gets_a_new_name(change: Values) -> None:
    """A Job's template is immutable: under the old name the upgrade would fail."""
    assert job_name(**change) != job_name()


@pytest.mark.parametrize("change", [{"replicas": 7}, {"shutdown": {"drainSeconds": 5}}, {"service": {"port": 80}}])
def test_unchanged_job_keeps_its_name(change: Values) -> None:
    assert job_name(**change) == job_name()


def test_finished_job_stays() -> None:
    """A controller that restores what is missing would start a Job with a TTL again and again."""
    assert "ttlSecondsAfterFinished" not in model(VARIANTS["download job"]).one("Job")["spec"]


@pytest.mark.parametrize("variant", ["least", "init container", "download job"])
def test_token_of_a_gated_model_reaches_who_downloads(variant: str) -> None:
    token = {"huggingface": {"tokenSecret": {"name": "hf-token"}}}
    made = model({**VARIANTS[variant], "weights": {**VARIANTS[variant].get("weights", {}), **token}})
    reference = {"secretKeyRef": {"name": "hf-token", "key": "token"}}
    for container in downloads(made) or [engine(made)]:
        assert environment(container)["HF_TOKEN"] == reference


def test_mirror_of_the_hub_is_asked() -> None:
    assert environment(engine(model(VARIANTS["mirror of the hub"])))["HF_ENDPOINT"] == "https://hub.example.com"


def test_cache_is_gone_with_the_pod_by_default() -> None:
    assert volumes(model())["cache"] == {"name": "cache", "emptyDir": {}}


def test_cache_has_the_limit_that_is_stated() -> None:
    assert volumes(model(VARIANTS["cache with a limit"]))["cache"]["emptyDir"] == {"sizeLimit": "40Gi"}


@pytest.mark.parametrize(("size", "storage"), [(15, "29Gi"), (131.42, "175Gi"), (641.3, "812Gi")])
def test_claim_has_room_for_the_weights_and_a_quarter(size: float, storage: str) -> None:
    values = {**VARIANTS["cache claim"], "weights": {"sizeGiB": size, "cache": {"type": "claim"}}}
    assert model(values).one("PersistentVolumeClaim")["spec"]["resources"]["requests"]["storage"] == storage


def test_claim_survives_the_release() -> None:
    claim = model(VARIANTS["cache claim"]).one("PersistentVolumeClaim")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_claim_goes_with_the_release_where_told() -> None:
    values = {**VARIANTS["cache claim"], "weights": {"cache": {"type": "claim", "keep": False}}}
    assert "annotations" not in model(values).one("PersistentVolumeClaim")["metadata"]


def test_existing_claim_is_used_and_not_made() -> None:
    made = model(VARIANTS["existing cache claim"])
    assert made.all("PersistentVolumeClaim") == []
    assert volumes(made)["cache"]["persistentVolumeClaim"]["claimName"] == "w"


def test_claim_takes_class_and_modes() -> None:
    spec = model(VARIANTS["download job"]).one("PersistentVolumeClaim")["spec"]
    assert spec["storageClassName"] == "efs-sc"
    assert spec["accessModes"] == ["ReadWriteMany"]


def test_claim_of_the_default_class_names_none() -> None:
    """An empty storageClassName would mean no provisioning at all."""
    assert "storageClassName" not in model(VARIANTS["cache claim"]).one("PersistentVolumeClaim")["spec"]


def test_bucket_is_streamed_by_the_loader_that_can() -> None:
    assert flag(model(VARIANTS["s3 streamed"]), "load-format") == "runai_streamer"


def test_loader_that_is_stated_wins() -> None:
    values = {**VARIANTS["s3 streamed"], "engine": {"flags": {"loadFormat": "runai_streamer_sharded"}}}
    assert flag(model(values), "load-format") == "runai_streamer_sharded"


def test_keys_of_a_bucket_come_from_a_secret() -> None:
    (copy,) = downloads(model(VARIANTS["s3 copied, with keys"]))
    found = environment(copy)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert found[name] == {"secretKeyRef": {"name": "minio", "key": name}}
    assert found["RCLONE_CONFIG_BUCKET_ENDPOINT"] == "http://minio.storage.svc:9000"


def test_identity_of_the_cloud_needs_no_key() -> None:
    found = environment(engine(model(VARIANTS["s3 streamed"])))
    assert "AWS_ACCESS_KEY_ID" not in found
    assert found["AWS_REGION"] == "eu-central-1"


def test_key_of_gcs_is_a_file() -> None:
    made = model(VARIANTS["gcs copied by a job, with a key"])
    (copy,) = downloads(made)
    assert environment(copy)["GOOGLE_APPLICATION_CREDENTIALS"] == "/etc/gcs/key.json"
    assert mount(copy, "gcs-credentials")["mountPath"] == "/etc/gcs"


def test_replicas_of_one_node_claim_are_refused() -> None:
    with pytest.raises(RenderError, match="lets only one node mount it"):
        model({**VARIANTS["cache claim"], "replicas": 2})


def test_scaled_replicas_count_against_a_one_node_claim() -> None:
    with pytest.raises(RenderError, match="4 pods share the claim"):
        model({**VARIANTS["cache claim"], **VARIANTS["keda"]})


def test_shared_claim_serves_many_replicas() -> None:
    values = {"weights": {"cache": SHARED}, **VARIANTS["keda"]}
    assert model(values).objects


def test_chat_template_is_mounted_and_named_to_the_engine() -> None:
    made = model(VARIANTS["chat template"])
    assert flag(made, "chat-template") == "/etc/vllm/chat-template.jinja"
    assert made.one("ConfigMap")["data"] == {"chat-template.jinja": "{{ messages }}"}
    assert volumes(made)["chat-template"]["configMap"]["name"] == made.one("ConfigMap")["metadata"]["name"]


def test_changed_chat_template_starts_new_pods() -> None:
    notes = [
        model({"model": {"chatTemplate": {"inline": text}}}).one("Deployment")["spec"]["template"]["metadata"][
            "annotations"
        ]
        for text in ("a", "b")
    ]
    assert notes[0] != notes[1]


def test_chat_template_of_others_is_taken_by_its_key() -> None:
    made = model(VARIANTS["chat template of others"])
    assert flag(made, "chat-template") == "/etc/vllm/llama.jinja"
    assert made.all("ConfigMap") == []
