"""The planner's memory side: facts of models, weights, KV cache, overhead, verdicts."""

import json
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from scripts.console import UserError
from scripts.plan import kv_cache, weights
from scripts.plan.catalog import GIB, find_gpu, gpus
from scripts.plan.fit import Fit, Setup, changes, fit
from scripts.plan.interval import Interval
from scripts.plan.model_facts import from_config
from scripts.plan.overhead import engine, overhead, parse_version
from scripts.plan.sources import find_model, from_hub, known_models

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}


def sized(model: str, gpu: str, **settings: Any) -> Fit:
    return fit(find_model(model), Setup(gpu=find_gpu(gpu), **settings))


# --- what is read of a model ---


def test_counted_parameters_agree_with_the_checkpoint_of_plain_models() -> None:
    for name in ("meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-32B", "Qwen/Qwen3-30B-A3B", "microsoft/phi-4"):
        model = known_models()[name]
        counted = weights.checkpoint_bytes(replace(model, checkpoint_bytes=0))
        assert counted == pytest.approx(model.checkpoint_bytes, rel=0.005), name


def test_counted_parameters_of_a_gated_delta_net_lack_only_the_vision_tower_and_the_draft_layer() -> None:
    model = known_models()["Qwen/Qwen3.5-27B"]
    missing = model.checkpoint_bytes - weights.checkpoint_bytes(replace(model, checkpoint_bytes=0))
    assert 0.86 * GIB < missing < 2 * GIB


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"])
def test_a_config_that_lacks_a_number_is_refused_by_its_name(key: str) -> None:
    with pytest.raises(UserError, match=key):
        from_config("broken", {k: v for k, v in LLAMA.items() if k != key})


def test_an_architecture_that_cannot_be_sized_says_so_instead_of_guessing() -> None:
    with pytest.raises(UserError, match="deepseek_v4"):
        from_config("new", {**LLAMA, "model_type": "deepseek_v4"})


def test_the_text_part_of_a_multimodal_config_is_what_counts() -> None:
    model = from_config("vl", {"model_type": "qwen3_vl", "vision_config": {"depth": 27}, "text_config": LLAMA})
    assert model.multimodal
    assert model.hidden == 4096


def write_model(folder: Path, config: dict[str, Any], tensors: dict[str, tuple[str, list[int]]]) -> Path:
    """A folder as the hub has it, with a safetensors file of zeros."""
    (folder / "config.json").write_text(json.dumps(config))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, (dtype, shape) in tensors.items():
        size = {"BF16": 2, "F32": 4}[dtype]
        for n in shape:
            size *= n
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    raw = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(raw)) + raw + b"\0" * offset)
    return folder


def test_a_local_folder_is_read_without_a_network(tmp_path: Path) -> None:
    write_model(tmp_path, LLAMA, {"model.embed_tokens.weight": ("BF16", [10, 4]), "lm_head.weight": ("BF16", [10, 4])})
    assert find_model(str(tmp_path)).checkpoint_bytes == 160


def test_float32_on_disk_counts_as_the_models_own_type(tmp_path: Path) -> None:
    write_model(tmp_path, LLAMA, {"model.layers.0.mlp.up_proj.weight": ("F32", [10, 4])})
    assert find_model(str(tmp_path)).checkpoint_bytes == 80


def test_vision_towers_are_held_whole_by_every_rank(tmp_path: Path) -> None:
    config = {**LLAMA, "vision_config": {}}
    tensors = {"visual.blocks.0.weight": ("BF16", [100, 100]), "model.norm.weight": ("BF16", [4])}
    model = find_model(str(write_model(tmp_path, config, tensors)))
    assert model.replicated_bytes == 20000
    assert find_model(str(write_model(tmp_path, LLAMA, tensors))).replicated_bytes == 0


def test_the_index_alone_gives_the_size(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": 16e9}}))
    assert find_model(str(tmp_path)).checkpoint_bytes == 16e9


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", "{", "cannot be read"),
        ("config.json", "[]", "not a JSON object"),
        ("model.safetensors", "no", "not a safetensors file"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=said):
        find_model(str(tmp_path))


def test_a_folder_without_a_config_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config\.json"):
        find_model(str(tmp_path))


class Hub(SimpleHTTPRequestHandler):
    """A folder as the hub serves it: ``/ORG/NAME/resolve/main/FILE``, with ranges."""

    def do_GET(self) -> None:
        path = Path(self.directory) / self.path.removeprefix("/org/name/resolve/main/")
        if not path.is_file() or self.headers.get("Authorization") != "Bearer secret":
            self.send_error(404)
            return
        content = path.read_bytes()
        if asked := self.headers.get("Range"):
            first, last = (int(n) for n in asked.removeprefix("bytes=").split("-"))
            content = content[first : last + 1]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that the planner takes for the hub's org/name."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("HF_TOKEN", "secret")
        yield tmp_path
        server.shutdown()


def test_a_model_on_the_hub_is_read_by_its_header_alone(hub: Path) -> None:
    write_model(hub, LLAMA, {"model.embed_tokens.weight": ("BF16", [100, 40])})
    model = find_model("org/name")
    assert (model.source, model.checkpoint_bytes, model.hidden) == ("hub", 8000, 4096)


def test_a_model_in_many_files_is_read_by_its_index(hub: Path) -> None:
    (hub / "config.json").write_text(json.dumps(LLAMA))
    (hub / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": 141e9}}))
    assert find_model("org/name").checkpoint_bytes == 141e9


def test_a_gated_model_without_a_token_says_what_it_needs(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(hub, LLAMA, {"a": ("BF16", [1])})
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UserError, match="HF_TOKEN"):
        find_model("org/name")


def test_without_a_network_the_error_names_the_ways_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError) as caught:
        from_hub("meta-llama/Llama-3.1-8B")
    assert "model.safetensors.index.json" in caught.value.fix
    assert "--model meta-llama/" in caught.value.fix


def test_names_are_found_in_any_case_and_without_the_organisation() -> None:
    assert find_model("LLAMA-3.1-8b-instruct").name == "meta-llama/Llama-3.1-8B-Instruct"


# --- GPUs ---


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("l4", "L4"),
        ("L4-24GB", "L4"),
        ("A100", "A100-80GB"),
        ("H200-141GB", "H200"),
        ("H20-96GB", "H20"),
        ("nvidia h100", "H100"),
    ],
)
def test_the_usual_spellings_of_a_gpu_are_understood(said: str, meant: str) -> None:
    assert find_gpu(said).name == meant


def test_an_unknown_gpu_names_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean L40S"):
        find_gpu("L40X")


def test_the_driver_reports_less_than_the_box_says() -> None:
    for name, gpu in gpus().items():
        box = "".join(c for c in name.split("-")[-1] if c.isdigit()) if name.endswith("GB") else ""
        assert not box or gpu.memory_gib < int(box)


# --- KV cache: checked against logs of engines ---


@pytest.mark.parametrize(
    ("model", "settings", "length", "available", "logged"),
    [
        ("meta-llama/Llama-2-7b-hf", {}, 4096, 117616 * 524288, 117616),
        ("meta-llama/Llama-3.1-405B-Instruct-FP8", {"tensor": 8}, 131072, 79392 * 64512, 79392),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-14B", {"tensor": 2}, 131072, 81536 * 98304, 81536),
        ("Qwen/Qwen3-30B-A3B", {}, 16384, 4.85 * GIB, 52960),
        ("Qwen/Qwen3.6-35B-A3B-NVFP4", {"kv_dtype": "fp8", "in_flight_tokens": 8192}, 131072, 5.98 * GIB, 567978),
    ],
)
def test_tokens_are_those_the_engine_logged(
    model: str, settings: dict[str, Any], length: int, available: float, logged: int
) -> None:
    assert kv_cache.layout(known_models()[model], **settings).tokens(available, length) == logged


def test_a_latent_is_not_divided_over_ranks_and_kv_heads_are_copied_when_there_are_too_few() -> None:
    latent, grouped = known_models()["deepseek-ai/DeepSeek-R1"], known_models()["meta-llama/Llama-3.1-8B-Instruct"]
    assert kv_cache.layout(latent, tensor=8).token_bytes == kv_cache.layout(latent).token_bytes == 61 * 576 * 2
    assert kv_cache.layout(grouped, tensor=16).token_bytes == 2 * 32 * 1 * 128 * 2


def test_windows_are_charged_in_full_without_the_hybrid_manager() -> None:
    model = known_models()["openai/gpt-oss-20b"]
    with_manager, without = (kv_cache.layout(model, hybrid_manager=on).request_bytes(131072) for on in (True, False))
    assert without == 131072 * 24 * 2048
    assert with_manager < 0.6 * without


def test_fp8_halves_the_cache_of_attention_but_not_of_a_recurrent_state() -> None:
    def saving(name: str) -> float:
        plain, fp8 = (kv_cache.layout(known_models()[name], kv_dtype=t).request_bytes(32768) for t in ("auto", "fp8"))
        return plain / fp8

    assert saving("meta-llama/Llama-3.1-8B-Instruct") == 2
    assert 1 < saving("Qwen/Qwen3.8-27B-FP8") < 1.84


@pytest.mark.parametrize(
    ("kv_dtype", "expected"), [("nvfp4", 64 + 8), ("int8_per_token_head", 128 + 4), ("fp8_ds_mla", 656)]
)
def test_packed_types_count_their_scales(kv_dtype: str, expected: float) -> None:
    name = "deepseek-ai/DeepSeek-R1" if kv_dtype == "fp8_ds_mla" else "meta-llama/Llama-3.1-8B-Instruct"
    group = known_models()[name].attention[0]
    heads_and_sides = 1 if kv_dtype == "fp8_ds_mla" else 8 * 2
    assert kv_cache.token_bytes(group, tensor=1, kv_dtype=kv_dtype) == expected * heads_and_sides


def test_the_longest_length_is_the_last_that_fits() -> None:
    layout = kv_cache.layout(known_models()["meta-llama/Llama-3.1-8B-Instruct"])
    longest = layout.longest(GIB, 131072)
    assert layout.request_bytes(longest) <= GIB < layout.request_bytes(longest + 16)
    assert layout.longest(0, 131072) == 0


# --- weights and overhead ---


@pytest.mark.parametrize(
    ("model", "tensor", "measured"),
    [
        ("openai/gpt-oss-20b", 1, 13.47),
        ("Qwen/Qwen3-32B", 1, 61.03),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-14B", 2, 13.95),
    ],
)
def test_weights_on_a_gpu_are_within_two_per_cent_of_the_log(model: str, tensor: int, measured: float) -> None:
    on_gpu = weights.per_gpu(known_models()[model], tensor=tensor, pipeline=1, expert_ranks=tensor)
    assert on_gpu.low <= measured * GIB <= on_gpu.high
    assert on_gpu.mid == pytest.approx(measured * GIB, rel=0.02)


def test_experts_are_spread_over_more_ranks_than_attention() -> None:
    model = known_models()["deepseek-ai/DeepSeek-R1"]
    spread = weights.per_gpu(model, tensor=1, pipeline=1, expert_ranks=8).mid
    assert spread < 0.2 * weights.per_gpu(model, tensor=1, pipeline=1, expert_ranks=1).mid


def test_tied_embeddings_stored_twice_are_loaded_once() -> None:
    on_gpu = weights.per_gpu(known_models()["Qwen/Qwen3-0.6B"], tensor=1, pipeline=1, expert_ranks=1)
    assert on_gpu.mid / GIB == pytest.approx(1.12, rel=0.02)


@pytest.mark.parametrize(
    ("model", "version", "sequences", "batched", "measured"),
    [
        ("openai/gpt-oss-20b", "0.11.0", 1024, 8192, 7.38),
        ("meta-llama/Meta-Llama-3-8B", "0.6.5", 256, 8192, 1.26),
        ("meta-llama/Llama-3.1-8B-Instruct", "0.6.4", 256, 20000, 2.07),
        ("kaitchup/Phi-4-AutoRound-GPTQ-4bit", "0.6.5", 256, 2048, 0.94),
    ],
)
def test_activations_are_those_of_the_sampler_or_of_the_forward_pass(
    model: str, version: str, sequences: int, batched: int, measured: float
) -> None:
    taken = overhead(known_models()[model], engine(version), tensor=1, sequences=sequences, batched_tokens=batched)
    assert taken.activation.mid / GIB == pytest.approx(measured, rel=0.08)


def test_cuda_graphs_are_in_the_budget_only_since_they_are_estimated() -> None:
    def graphs(version: str, *, eager: bool = False) -> float:
        model = known_models()["Qwen/Qwen3-8B"]
        return overhead(model, engine(version), tensor=1, sequences=256, batched_tokens=2048, eager=eager).graphs.mid

    assert graphs("0.20.0") == 0
    assert graphs("0.21.0") > 0
    assert graphs("0.21.0", eager=True) == 0


@pytest.mark.parametrize(
    ("text", "parsed"), [("v0.11.0", (0, 11, 0)), ("0.26.1rc1.dev608+g99", (0, 26, 1)), ("~0.6.5 (V0)", (0, 6, 5))]
)
def test_versions_are_read_as_people_write_them(text: str, parsed: tuple[int, ...]) -> None:
    assert parse_version(text) == parsed


def test_a_version_without_numbers_is_refused() -> None:
    with pytest.raises(UserError, match="--vllm-version"):
        parse_version("latest")


def test_an_interval_leaves_the_opposite_bound_of_the_rest() -> None:
    assert Interval(1, 2, 4).rest_of(10) == Interval(6, 8, 9)


# --- the verdict ---


def test_eight_billion_fit_an_l4_with_a_short_context() -> None:
    assert sized("llama-3.1-8b-instruct", "L4", max_model_len=8192).verdict == "fits"


@pytest.mark.parametrize(
    ("model", "gpu"), [("llama-3.1-70b-instruct", "A100-80GB"), ("deepseek-r1", "H100"), ("qwen2.5-14b-instruct", "L4")]
)
def test_weights_larger_than_the_gpu_do_not_fit(model: str, gpu: str) -> None:
    assert sized(model, gpu).verdict == "does not fit"


def test_only_the_optimistic_bound_refuses() -> None:
    answer = sized("Qwen/Qwen3-32B", "H100", max_model_len=16384, version="0.11.0", utilization=0.9)
    assert answer.available.low < answer.needed < answer.available.high
    assert answer.verdict == "tight"


def test_a_best_guess_below_the_need_is_still_no_refusal() -> None:
    answer = sized("openai/gpt-oss-120b", "H100", utilization=0.95, max_model_len=120_000, version="0.11.0")
    assert answer.available.mid < answer.needed < answer.available.high
    assert answer.verdict == "tight"


def test_fewer_sequences_free_the_samplers_memory() -> None:
    many, few = (sized("gpt-oss-20b", "H100", max_num_seqs=n, version="0.11.0").available.mid for n in (1024, 256))
    assert few - many > 4 * GIB


@pytest.mark.parametrize(
    ("settings", "verdict"),
    [
        ({"version": "0.26.0", "max_num_seqs": 256}, "does not fit"),  # log: exceeds available Mamba cache blocks (184)
        ({"version": "0.26.0", "max_num_seqs": 16}, "fits"),
        ({"version": "0.26.0", "max_num_seqs": 256, "eager": True}, "fits"),
        ({"version": "0.18.0", "max_num_seqs": 256}, "fits"),
    ],
)
def test_each_sequence_of_a_model_with_a_state_needs_a_block(settings: dict[str, Any], verdict: str) -> None:
    answer = sized("Qwen/Qwen3.8-27B-FP8", "L40S", max_model_len=16384, utilization=0.9, **settings)
    assert answer.verdict == verdict


def test_fewer_sequences_are_offered_where_states_are_what_lacks() -> None:
    before = sized("Qwen/Qwen3.8-27B-FP8", "L40S", max_model_len=16384, utilization=0.9, version="0.26.0")
    assert before.states > before.available.high > before.needed
    offered = [c for c in changes(before, []) if c.what.startswith("--max-num-seqs")]
    assert offered
    assert offered[0].why == "each holds a state"
    assert offered[0].fit.verdict == "fits"


def test_a_plain_model_needs_no_block_for_each_sequence() -> None:
    assert sized("Qwen/Qwen3-8B", "L4", max_model_len=8192, max_num_seqs=1024).states == 0


def test_vision_models_sample_as_the_others_do() -> None:
    of = engine("0.13.0")
    assert of.row["samplerMultimodal"][1] == of.row["sampler"][1]


def test_a_card_whose_memory_nvml_does_not_tell_takes_the_defaults_of_small_ones() -> None:
    answer = sized("Qwen/Qwen3-8B", "GB10", version="0.11.0")
    assert (answer.max_num_seqs, answer.batched_tokens) == (256, 2048)


def test_adapters_take_memory_by_number_and_rank() -> None:
    none, four, wide = (
        sized("llama-3.1-8b-instruct", "L4", max_model_len=8192, max_loras=n, max_lora_rank=r).available.mid
        for n, r in ((0, 16), (4, 16), (4, 64))
    )
    assert none > four > wide
    assert (none - wide) == pytest.approx(4 * (none - four), rel=0.01)


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"tensor": 3}, "--tensor"),
        ({"tensor": 0}, "--tensor"),
        ({"pipeline": 0}, "--pipeline"),
        ({"utilization": 1.2}, "--utilization"),
        ({"kv_dtype": "fp3"}, "--kv-dtype"),
        ({"quantization": "zip"}, "--quantization"),
        ({"max_model_len": 10**7}, "--max-model-len"),
    ],
)
def test_what_no_engine_takes_is_refused_by_its_flag(settings: dict[str, Any], flag: str) -> None:
    with pytest.raises(UserError, match=flag):
        sized("llama-3.1-8b-instruct", "L4", **settings)


def test_every_change_offered_fits() -> None:
    larger = sorted(gpus().values(), key=lambda g: g.memory_gib)
    for model, gpu in (("Qwen/Qwen3-32B", "L4"), ("openai/gpt-oss-120b", "H100"), ("llama-3.1-70b-instruct", "A100")):
        before = sized(model, gpu, version="0.11.0")
        offered = changes(before, larger)
        assert offered, model
        assert all(c.fit.verdict == "fits" for c in offered)


def test_changes_that_cost_no_gpu_come_first() -> None:
    offered = changes(sized("Qwen/Qwen3-32B", "H100", max_model_len=32768, version="0.11.0"), list(gpus().values()))
    costs = [c.fit.setup.gpus for c in offered]
    assert costs[0] == 1
    assert offered[0].what.startswith("--max-model-len")
