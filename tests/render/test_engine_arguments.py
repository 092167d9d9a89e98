"""The engine's command line: what each value turns into."""

from typing import Any

import pytest

from scripts.render import RenderError
from tests.render.chart import Values, arguments, flag, model
from tests.render.variants import GROUP, VARIANTS


def test_model_comes_first_and_once() -> None:
    found = arguments(model())
    assert found[0] == "org/model"
    assert found.count("org/model") == 2, "as the model, and as the name it is served under"
    assert not [text for text in found if text.startswith("--model")]


def names(values: Values) -> list[str]:
    found = arguments(model(values))
    after = found[found.index("--served-model-name") + 1 :]
    return after[: next(index for index, text in enumerate(after) if text.startswith("--"))]


def test_model_is_served_under_its_id_by_default() -> None:
    assert names({}) == ["org/model"]


def test_model_is_served_under_every_name_given() -> None:
    assert names({"model": {"servedNames": ["a", "b"]}}) == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("maxModelLen", 8192, "--max-model-len=8192"),
        ("maxModelLen", 131072, "--max-model-len=131072"),
        ("maxNumBatchedTokens", 1048576, "--max-num-batched-tokens=1048576"),
        ("gpuMemoryUtilization", 0.95, "--gpu-memory-utilization=0.95"),
        ("gpuMemoryUtilization", 1, "--gpu-memory-utilization=1"),
        ("enforceEager", True, "--enforce-eager"),
        ("enablePrefixCaching", False, "--no-enable-prefix-caching"),
        ("dtype", "half", "--dtype=half"),
        ("kvCacheDtype", "fp8", "--kv-cache-dtype=fp8"),
        ("toolCallParser", "llama3_json", "--tool-call-parser=llama3_json"),
        ("limitMmPerPrompt", {"image": 2}, '--limit-mm-per-prompt={"image":2}'),
        ("seed", 0, "--seed=0"),
    ],
)
def test_flag_is_rendered_as_the_engine_reads_it(name: str, value: Any, expected: str) -> None:
    assert expected in arguments(model({"engine": {"flags": {name: value}}}))


def test_flag_of_several_values_gets_a_token_for_each() -> None:
    found = arguments(model({"engine": {"flags": {"allowedMediaDomains": ["a.example.com", "b.example.com"]}}}))
    place = found.index("--allowed-media-domains")
    assert found[place + 1 : place + 3] == ["a.example.com", "b.example.com"]


@pytest.mark.parametrize("name", ["maxModelLen", "enforceEager", "gpuMemoryUtilization", "dtype"])
def test_flag_that_is_unset_emits_nothing(name: str) -> None:
    made = arguments(model({"engine": {"flags": {name: None}}}))
    spelt = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)
    assert not [text for text in made if text.lstrip("-").removeprefix("no-").startswith(spelt)]


def test_default_flags_are_those_documented() -> None:
    assert arguments(model()) == [
        "org/model",
        "--served-model-name",
        "org/model",
        "--port=8000",
        "--shutdown-timeout=90",
        "--disable-access-log-for-endpoints=/health,/metrics",
        "--gpu-memory-utilization=0.9",
    ]


def test_access_log_flag_is_kept_from_engines_that_do_not_know_it() -> None:
    assert flag(model({"engine": {"image": {"tag": "v0.15.1"}}}), "disable-access-log-for-endpoints") is None


def test_extra_arguments_come_last_and_untouched() -> None:
    extra = ["--seed=7", "--hf-overrides", '{"a": "b c"}']
    assert arguments(model({"engine": {"extraArgs": extra}}))[-3:] == extra


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", "1"), (1, "1"), (1048576, "1048576"), (0.95, "0.95"), ("1e6", "1e6"), ("true", "true"), ("", "")],
)
def test_extra_argument_is_written_as_the_engine_reads_it(value: Any, expected: str) -> None:
    assert arguments(model({"engine": {"extraArgs": ["--x", value]}}))[-1] == expected


@pytest.mark.parametrize(
    ("argument", "knob"),
    [
        ("--shutdown-timeout=5", "shutdown.drainSeconds"),
        ("--tensor-parallel-size=2", "parallelism.tensor"),
        ("--tensor_parallel_size=2", "parallelism.tensor"),
        ("--served-model-name", "model.servedNames"),
        ("--api-key=x", "auth.apiKeySecret"),
        ("--port", "engine.port"),
        ("--no-enable-expert-parallel", "parallelism.expert"),
    ],
)
def test_extra_argument_that_a_knob_sets_is_refused(argument: str, knob: str) -> None:
    with pytest.raises(RenderError, match=rf"is set by the chart.*(?s:.)*Please set {knob} instead"):
        model({"engine": {"extraArgs": [argument]}})


def test_version_is_read_from_the_tag() -> None:
    assert flag(model({"engine": {"image": {"tag": "v0.20.1-cu129"}}}), "shutdown-timeout") == "90"


def test_stated_version_wins_over_the_tag() -> None:
    made = model({"engine": {"image": {"tag": "our-build-7"}, "version": "0.17.0"}})
    assert flag(made, "shutdown-timeout") is None


@pytest.mark.parametrize("tag", ["latest", ""])
def test_image_without_a_version_is_refused(tag: str) -> None:
    with pytest.raises(RenderError, match=r"engine\.image\.tag"):
        model({"engine": {"image": {"tag": tag}}})


@pytest.mark.parametrize("image", [{"tag": "nightly"}, {"digest": "sha256:" + "1" * 64}])
def test_image_whose_version_nobody_knows_is_refused(image: Values) -> None:
    with pytest.raises(RenderError, match=r"engine\.version: neither the tag nor the digest tells"):
        model({"engine": {"image": image}})


def test_revision_goes_to_the_hub() -> None:
    assert flag(model({"model": {"revision": "abc123"}}), "revision") == "abc123"


def test_revision_that_ends_in_a_colon_is_a_text() -> None:
    assert flag(model({"model": {"revision": "a:"}}), "revision") == "a:"


def test_revision_is_not_asked_of_weights_that_lie_there() -> None:
    made = model({**VARIANTS["weights in a claim"], "model": {"revision": "abc123"}})
    assert flag(made, "revision") is None


def test_remote_code_runs_only_where_it_is_allowed() -> None:
    assert flag(model(), "trust-remote-code") is None
    assert flag(model({"model": {"trustRemoteCode": True}}), "trust-remote-code") == ""


def test_adapters_are_served_beside_the_base() -> None:
    found = arguments(model(VARIANTS["adapters"]))
    modules = found[found.index("--lora-modules") + 1 :][:2]
    assert "--enable-lora" in found
    assert modules == ["chat=org/chat", "sql=org/sql"]


def test_adapter_of_the_name_of_the_base_is_refused() -> None:
    with pytest.raises(RenderError, match="the base model is served under that name already"):
        model({"model": {"servedNames": ["sql"], "adapters": {"sql": {"source": "org/sql"}}}})


def test_parallelism_of_one_adds_no_flag() -> None:
    assert not [text for text in arguments(model()) if "parallel" in text]


def test_group_finds_its_leader_without_ray() -> None:
    halves = model(GROUP).one("LeaderWorkerSet")["spec"]["leaderWorkerTemplate"]
    leader, worker = (halves[half]["spec"]["containers"][0]["args"] for half in ("leaderTemplate", "workerTemplate"))
    shared = {
        "--tensor-parallel-size=8",
        "--pipeline-parallel-size=2",
        "--nnodes=2",
        "--node-rank=$(LWS_WORKER_INDEX)",
        "--master-addr=$(LWS_LEADER_ADDRESS)",
    }
    assert shared <= set(leader)
    assert shared <= set(worker)
    assert "--headless" in worker
    assert "--headless" not in leader


def test_tracing_goes_to_the_engine_by_its_own_flag() -> None:
    """OTEL_EXPORTER_OTLP_ENDPOINT alone does nothing: vLLM takes the flag."""
    made = model(VARIANTS["tracing"])
    assert flag(made, "otlp-traces-endpoint") == "http://otel-collector.observability.svc:4317"


def test_no_flag_stands_twice() -> None:
    repeated = {"--served-model-name", "--lora-modules"}
    for name, values in VARIANTS.items():
        flags = [text.split("=")[0] for text in arguments(model(values)) if text.startswith("--")]
        assert len(flags) == len(set(flags) | (repeated & set())), name


def test_misspelt_flag_is_refused() -> None:
    with pytest.raises(RenderError, match="maxModelLenght"):
        model({"engine": {"flags": {"maxModelLenght": 8192}}})


@pytest.mark.parametrize(("name", "value"), [("maxModelLen", "a"), ("gpuMemoryUtilization", 1.5), ("maxNumSeqs", -1)])
def test_flag_of_a_wrong_value_is_refused(name: str, value: Any) -> None:
    with pytest.raises(RenderError, match=name):
        model({"engine": {"flags": {name: value}}})
