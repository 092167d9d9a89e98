"""What the planner must know of a model, read from its ``config.json``.

Sources of the keys: the models' own files and ``transformers``; of how the engine reads them: vLLM's
``ModelConfig`` and ``kv_cache_interface``. Only what decides memory and speed is kept.
"""

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from scripts.console import UserError

UNSUPPORTED = {
    "deepseek_v4": "its cache keeps compressed tokens of several rates, which this planner does not model",
    "deepseek_v32": "its sparse attention keeps an indexer cache, which this planner does not model",
    "glm_moe_dsa": "its sparse attention keeps an indexer cache, which this planner does not model",
    "t5": "encoder-decoder models keep a second cache, which this planner does not model",
    "whisper": "encoder-decoder models keep a second cache, which this planner does not model",
}

QUANTIZED_BITS = {"fp8": 8, "fbgemm_fp8": 8, "mxfp4": 4, "awq": 4, "gptq": 4, "bitsandbytes": 4, "int8": 8, "nvfp4": 4}
DTYPE_BYTES = {"bfloat16": 2, "float16": 2, "half": 2, "float32": 4, "float": 4, "auto": 2}


@dataclass(frozen=True)
class Attention:
    """Layers of one kind that share a cache format.

    kind: ``full``, ``sliding``, ``chunked``, ``mla`` or ``state`` (Mamba, gated delta net: a fixed state a sequence).
    For ``mla`` head_dim is the latent (kv_lora_rank + qk_rope_head_dim), held by every rank.
    """

    kind: str
    layers: int
    kv_heads: int = 0
    head_dim: int = 0
    head_dim_v: int = 0
    window: int = 0
    conv_bytes: int = 0
    """``state``: bytes of the convolution state of one layer and sequence, over all ranks."""
    state_bytes: int = 0
    """``state``: bytes of the recurrent state of one layer and sequence, over all ranks."""
    state_parameters: int = 0
    """``state``: weights of one layer's projections."""
    gated: bool = False
    """``full``: the query's projection makes an output gate as well (Qwen3-Next and later)."""


@dataclass(frozen=True)
class Experts:
    """A mixture: experts a layer, experts a token, their inner width, and the layers that have them."""

    count: int
    per_token: int
    width: int
    layers: int
    shared_width: int = 0


@dataclass(frozen=True)
class Model:
    """A model. Widths and counts are the whole model's, not one GPU's."""

    name: str
    kind: str
    hidden: int
    width: int
    layers: int
    heads: int
    head_dim: int
    vocabulary: int
    max_length: int
    attention: tuple[Attention, ...]
    experts: Experts | None
    weight_bits: float
    """Bits of one weight of a quantized layer: 16 for a plain checkpoint."""
    quantization: str
    """``""`` for a plain checkpoint."""
    tied: bool
    multimodal: bool
    pooling: bool
    dtype_bytes: int
    kv_dtype: str
    """Cache type the checkpoint asks for: ``auto`` or ``fp8``."""
    checkpoint_bytes: float
    """Size on disk; 0 where nothing tells."""
    dense_layers: int = 0
    """Layers with a feed-forward block that every token passes."""
    gated: bool = True
    """Whether that block has a gate beside up and down."""
    replicated_bytes: float = 0
    """Bytes that every rank holds whole (vision towers), of checkpoint_bytes."""
    unloaded_bytes: float = 0
    """Bytes on disk that the engine does not load (draft layers, a second copy of tied weights)."""
    source: str = ""


def from_config(name: str, config: dict[str, Any], *, checkpoint_bytes: float = 0, source: str = "") -> Model:
    """A model from the parsed ``config.json``. Raises UserError naming the key that is missing."""
    text = config.get("text_config") or config.get("llm_config") or config
    kind = str(text.get("model_type") or config.get("model_type") or "")
    if reason := UNSUPPORTED.get(kind):
        raise UserError(f"--model {name}: model_type {kind!r} cannot be sized", why=reason)
    hidden, heads = _need(name, text, "hidden_size"), _need(name, text, "num_attention_heads")
    layers = _need(name, text, "num_hidden_layers")
    head_dim = text.get("head_dim") or hidden // heads
    quantization, bits = _quantization(config, text)
    dtype = str(text.get("dtype") or text.get("torch_dtype") or config.get("torch_dtype") or "bfloat16")
    model = Model(
        name=name,
        kind=kind,
        hidden=hidden,
        width=text.get("intermediate_size") or text.get("moe_intermediate_size") or 4 * hidden,
        layers=layers,
        heads=heads,
        head_dim=head_dim,
        vocabulary=_need(name, text, "vocab_size"),
        max_length=_max_length(config, text),
        attention=_attention(name, text, layers, heads, head_dim),
        experts=_experts(text, layers),
        weight_bits=bits,
        quantization=quantization,
        tied=bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", False))),
        multimodal="vision_config" in config or "audio_config" in config,
        pooling=bool(config.get("pooling")) or _is_pooling(config),
        dtype_bytes=2 if dtype == "float32" else DTYPE_BYTES.get(dtype, 2),
        kv_dtype="fp8" if (config.get("quantization_config") or {}).get("kv_cache_scheme") else "auto",
        checkpoint_bytes=checkpoint_bytes,
        dense_layers=_dense_layers(kind, text, layers),
        gated=kind != "nemotron_h",
        source=source,
    )
    drafts = _draft_bytes(model, text.get("num_nextn_predict_layers") or 0, model.weight_bits)
    return replace(model, unloaded_bytes=drafts + _draft_bytes(model, text.get("mtp_num_hidden_layers") or 0, 16))


def _need(name: str, text: dict[str, Any], key: str) -> int:
    value = text.get(key)
    if not isinstance(value, int) or value <= 0:
        raise UserError(
            f"--model {name}: config.json has no usable {key} (found {value!r})",
            why="the size of weights and cache follows from it",
            fix=f"add {key} to the config.json, or name a model of `vllm-charts plan models`",
        )
    return value


def _is_pooling(config: dict[str, Any]) -> bool:
    architectures = config.get("architectures") or []
    return any("CausalLM" not in a and "Conditional" not in a for a in architectures) and bool(architectures)


def _max_length(config: dict[str, Any], text: dict[str, Any]) -> int:
    """The engine's default ``--max-model-len``: max_position_embeddings (configs of yarn models carry the long one)."""
    return int(text.get("max_position_embeddings") or config.get("max_position_embeddings") or 2048)


def _quantization(config: dict[str, Any], text: dict[str, Any]) -> tuple[str, float]:
    """Method and bits of the quantized layers. Scales count: 4.25 for MXFP4, 4.5 for NVFP4, 4.15 in groups of 128."""
    entry = config.get("quantization_config") or text.get("quantization_config") or {}
    method = str(entry.get("quant_method") or "")
    if not method:
        return "", 16
    bits = entry.get("bits") or _nested_bits(entry) or QUANTIZED_BITS.get(method, 8)
    exact = {"mxfp4": 4.25, "modelopt": 4.5, "nvfp4": 4.5}
    return method, exact.get(method, 4.15) if bits == 4 else float(bits)


def _nested_bits(entry: dict[str, Any]) -> int:
    """Bits of compressed-tensors and modelopt checkpoints, which keep them per group of layers."""
    groups = entry.get("config_groups") or {}
    found = [g["weights"]["num_bits"] for g in groups.values() if (g.get("weights") or {}).get("num_bits")]
    if str(entry.get("quant_algo", "")).upper().endswith("FP4"):
        return 4
    return min(found) if found else 0


def _experts(text: dict[str, Any], layers: int) -> Experts | None:
    count = text.get("n_routed_experts") or text.get("num_local_experts") or text.get("num_experts")
    if not count:
        return None
    width = text.get("moe_intermediate_size") or text.get("intermediate_size") or 0
    every = text.get("interleave_moe_layer_step") or text.get("decoder_sparse_step") or 1
    pattern = text.get("hybrid_override_pattern")
    sparse = pattern.count("E") if pattern else (layers - (text.get("first_k_dense_replace") or 0)) // every
    shared = text.get("shared_expert_intermediate_size") or (text.get("n_shared_experts") or 0) * width
    per_token = text.get("num_experts_per_tok") or text.get("top_k_experts") or 1
    return Experts(count=count, per_token=per_token, width=width, layers=sparse, shared_width=shared)


def _dense_layers(kind: str, text: dict[str, Any], layers: int) -> int:
    experts = _experts(text, layers)
    if pattern := text.get("hybrid_override_pattern"):
        return str(pattern).count("-")
    beside = kind == "gemma4" and experts is not None  # a dense block beside the experts in every layer
    return layers if beside else layers - (experts.layers if experts else 0)


def _attention(name: str, text: dict[str, Any], layers: int, heads: int, head_dim: int) -> tuple[Attention, ...]:
    """The layers by cache format. Layers that reuse another's cache (num_kv_shared_layers) have none of their own."""
    if text.get("kv_lora_rank"):
        latent = text["kv_lora_rank"] + text.get("qk_rope_head_dim", 0)
        return (Attention("mla", layers, kv_heads=1, head_dim=latent),)
    kinds = _layer_kinds(text, layers)[: layers - (text.get("num_kv_shared_layers") or 0)]
    kv_heads = text.get("num_key_value_heads") or heads
    groups = []
    for kind, count in Counter(kinds).items():
        if kind == "state":
            groups.append(_state_layers(name, text, count))
        elif kind == "full":
            global_heads = text.get("num_global_key_value_heads") or kv_heads
            dim = text.get("global_head_dim") or head_dim
            gated = text.get("attn_output_gate", "linear_num_value_heads" in text)
            groups.append(Attention("full", count, global_heads, dim, text.get("v_head_dim") or dim, gated=gated))
        elif kind in ("sliding", "chunked"):
            window = text.get("sliding_window") or text.get("attention_chunk_size") or 0
            groups.append(Attention(kind, count, kv_heads, head_dim, head_dim, window))
    return tuple(groups)


def _layer_kinds(text: dict[str, Any], layers: int) -> list[str]:
    """One kind a layer: ``full``, ``sliding``, ``chunked``, ``state`` or ``none`` (a layer without attention)."""
    names = {
        "full_attention": "full",
        "attention": "full",
        "sliding_attention": "sliding",
        "chunked_attention": "chunked",
        "linear_attention": "state",
        "mamba": "state",
        "moe": "none",
    }
    if text.get("layer_types"):
        return [names.get(t, "full") for t in text["layer_types"]]
    if pattern := text.get("hybrid_override_pattern"):  # Nemotron-H: M Mamba, * attention, E experts, - dense
        return [{"M": "state", "*": "full"}.get(c, "none") for c in pattern]
    if interval := text.get("full_attention_interval"):
        return ["full" if (i + 1) % interval == 0 else "state" for i in range(layers)]
    if text.get("attention_chunk_size"):  # Llama 4: every fourth layer sees everything
        return ["full" if (i + 1) % 4 == 0 else "chunked" for i in range(layers)]
    if not text.get("sliding_window") or text.get("use_sliding_window") is False:
        return ["full"] * layers
    period = text.get("sliding_window_pattern")
    return ["full" if period and (i + 1) % period == 0 else "sliding" for i in range(layers)]


def _state_layers(name: str, text: dict[str, Any], count: int) -> Attention:
    """Layers with a convolution and a recurrent state, in bytes of one layer and sequence, and their weights.

    Shapes as in vLLM's MambaStateShapeCalculator: gated delta net keeps conv_dim x (kernel - 1) and value heads x key
    dim x value dim; Mamba 2 keeps (inner + 2 x groups x state) x (kernel - 1) and heads x head dim x state. Weights are
    the projections in and out: of keys, queries, values, gate and two numbers a head (gated delta net), of the inner
    width twice, groups and one number a head (Mamba 2).
    """
    hidden = text["hidden_size"]
    wide = 4 if (text.get("mamba_ssm_dtype") or text.get("mamba_ssm_cache_dtype")) == "float32" else 2
    if "linear_num_value_heads" in text:
        key = text["linear_num_key_heads"] * text["linear_key_head_dim"]
        value = text["linear_num_value_heads"] * text["linear_value_head_dim"]
        conv = (2 * key + value) * (text["linear_conv_kernel_dim"] - 1) * 2
        made = 2 * key + 2 * value + 2 * text["linear_num_value_heads"]
        weights, state = hidden * (made + value), value * text["linear_key_head_dim"] * wide
    elif "mamba_num_heads" in text:
        inner = text["mamba_num_heads"] * text["mamba_head_dim"]
        conv = (inner + 2 * text["n_groups"] * text["ssm_state_size"]) * (text["conv_kernel"] - 1) * 2
        made = 2 * inner + 2 * text["n_groups"] * text["ssm_state_size"] + text["mamba_num_heads"]
        weights, state = hidden * (made + inner), inner * text["ssm_state_size"] * wide
    else:
        raise UserError(
            f"--model {name}: its layers keep a recurrent state whose shape config.json does not give",
            why="neither linear_num_value_heads (gated delta net) nor mamba_num_heads (Mamba 2) is there",
        )
    return Attention("state", count, conv_bytes=conv, state_bytes=state, state_parameters=weights)


def _draft_bytes(model: Model, drafts: int, bits: float) -> float:
    """Bytes of multi-token-prediction layers: on disk, not loaded unless speculative decoding is on."""
    if not drafts or not model.experts:
        return 0
    e = model.experts
    weights = 3 * model.hidden * (e.count * e.width + e.shared_width) + 2 * model.hidden**2
    return drafts * weights * bits / 8
