"""Memory of the weights on one GPU.

Checkpoints are exact (safetensors headers or the index's total_size); what a formula adds is only how they spread over
ranks and what the engine changes while loading: float32 on disk becomes bfloat16, vision towers are not split, MXFP4
experts are padded to 256 columns, a second copy of tied embeddings is dropped, draft layers are not loaded.
"""

from dataclasses import dataclass

from scripts.plan.interval import Interval
from scripts.plan.model_facts import Model

MXFP4_COLUMNS = 256
"""vLLM pads the columns of MXFP4 experts to a multiple of this (gpt-oss: 2880 to 3072; 12.82 to 13.47 GiB measured)."""


@dataclass(frozen=True)
class Parameters:
    """Parameter counts by where they go. ``active`` are those one token passes, embeddings not counted."""

    embeddings: float
    attention: float
    dense: float
    experts: float
    active: float

    @property
    def total(self) -> float:
        return self.embeddings + self.attention + self.dense + self.experts


def parameters(model: Model) -> Parameters:
    """Counts from the widths. Norms and biases are left out (under 0.1 %)."""
    embeddings = model.vocabulary * model.hidden * (1 if model.tied or model.pooling else 2)
    attention = sum(_attention_parameters(model, i) for i in range(len(model.attention)))
    experts = model.experts
    sparse = experts.layers if experts else 0
    matrices = 3 if model.gated else 2
    dense = matrices * model.hidden * model.width * model.dense_layers
    mixture = active_mixture = 0.0
    if experts:
        dense += matrices * model.hidden * experts.shared_width * sparse
        mixture = matrices * model.hidden * experts.width * experts.count * sparse
        active_mixture = mixture * experts.per_token / experts.count
    return Parameters(
        embeddings=embeddings,
        attention=attention,
        dense=dense,
        experts=mixture,
        active=attention + dense + active_mixture + model.vocabulary * model.hidden,
    )


def _attention_parameters(model: Model, index: int) -> float:
    group = model.attention[index]
    if group.kind == "mla":  # query down and up, latent down, keys and values up, output
        heads = model.heads
        return group.layers * (
            model.hidden * (1536 + group.head_dim) + heads * (1536 * 192 + 512 * 256 + 128 * model.hidden)
        )
    if group.kind == "state":
        return group.layers * group.state_parameters
    dim = group.head_dim or model.head_dim
    queries = model.heads * (2 if group.gated else 1)
    return group.layers * model.hidden * dim * (queries + model.heads + 2 * group.kv_heads)


def checkpoint_bytes(model: Model, quantization: str = "") -> float:
    """Size on disk: what the files say, else from the counts. ``quantization`` is one applied at load (fp8, int4)."""
    counts = parameters(model)
    plain = model.checkpoint_bytes or counts.total * model.dtype_bytes * _packed(model, counts)
    if not quantization or model.quantization:
        return plain
    bits = {"fp8": 8.1, "int8": 8.1, "awq": 4.25, "gptq": 4.25, "int4": 4.25, "mxfp4": 4.25, "nvfp4": 4.5}.get(
        quantization, 8.1
    )
    quantized = counts.total - counts.embeddings
    kept = max(plain - quantized * model.dtype_bytes, counts.embeddings * model.dtype_bytes)
    return kept + quantized * bits / 8


def _packed(model: Model, counts: Parameters) -> float:
    """Share of the plain size that a quantized checkpoint of this model has, where no file tells."""
    share = 1 - counts.embeddings / counts.total
    return 1 - share + share * model.weight_bits / 8 / model.dtype_bytes


def per_gpu(model: Model, *, tensor: int, pipeline: int, expert_ranks: int, quantization: str = "") -> Interval:
    """Bytes of weights on the fullest GPU.

    Args:
        tensor: ranks that share each layer.
        pipeline: stages; the first and the last hold an embedding beside their layers.
        expert_ranks: ranks the experts are spread over (tensor, or tensor x data with expert parallelism).
        quantization: applied at load to a plain checkpoint.
    """
    counts = parameters(model)
    on_disk = checkpoint_bytes(model, quantization) - model.unloaded_bytes - _second_head(model, counts)
    split = on_disk - model.replicated_bytes
    experts = split * _expert_share(model, counts)
    embeddings = counts.embeddings * model.dtype_bytes
    layers = max(split - experts - embeddings, 0)
    padded = experts * _padding(model)
    stage = (layers / tensor + padded / expert_ranks) / pipeline
    mid = stage + embeddings / tensor / min(pipeline, 2) + model.replicated_bytes
    doubt = 0.02 if model.checkpoint_bytes else 0.06
    return Interval(
        mid * (1 - doubt), mid, mid * (1 + doubt) + (0 if pipeline == 1 else stage / max(model.layers / pipeline, 1))
    )


def _second_head(model: Model, counts: Parameters) -> float:
    """Bytes of an lm_head stored although it is tied (Qwen3-0.6B: 1.40 GiB on disk, 1.12 loaded)."""
    if not model.tied or not model.checkpoint_bytes or model.replicated_bytes or model.multimodal:
        return 0
    head = model.vocabulary * model.hidden * model.dtype_bytes
    excess = model.checkpoint_bytes - counts.total * model.dtype_bytes * _packed(model, counts)
    return head if 0.7 * head < excess < 1.3 * head else 0


def _expert_share(model: Model, counts: Parameters) -> float:
    """Share of the split bytes that are experts. They are the quantized part, so they weigh less than their count."""
    if not model.experts:
        return 0
    experts = counts.experts * model.weight_bits / 8
    rest_bits = (
        16 if model.quantization in ("mxfp4", "compressed-tensors") and model.weight_bits < 8 else model.weight_bits
    )
    rest = (counts.attention + counts.dense) * rest_bits / 8 + counts.embeddings * model.dtype_bytes
    return experts / (experts + rest)


def _padding(model: Model) -> float:
    """Growth of MXFP4 experts by padding their columns."""
    if model.quantization != "mxfp4" or not model.experts:
        return 1
    columns = -(-model.experts.width // MXFP4_COLUMNS) * MXFP4_COLUMNS
    return columns / model.experts.width
