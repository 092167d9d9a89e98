"""The KV cache as vLLM lays it out: blocks, groups of layers, pages.

Source: vllm/v1/kv_cache_interface.py (bytes of a page, memory of one request by kind of layer) and
vllm/v1/core/kv_cache_utils.py (grouping, number of blocks, concurrency). The tests compare with those classes where
the CPU build of vLLM is installed.
"""

from dataclasses import dataclass
from math import ceil

from scripts.plan.model_facts import Attention, Model

BLOCK = 16
FP8_MLA_BYTES = 656
"""One token and layer of DeepSeek's packed fp8 latent (flashmla_sparse)."""


@dataclass(frozen=True)
class Layout:
    """The cache of one GPU.

    A *block* here spans one layer of every group slot, so that all blocks of the pool have the same ``block_bytes``.
    """

    block_bytes: int
    groups: tuple["Group", ...]
    in_flight_tokens: int

    def blocks(self, length: int) -> int:
        """Blocks that one sequence of ``length`` tokens holds at most."""
        return sum(g.copies * g.blocks(length, self.in_flight_tokens) for g in self.groups)

    def request_bytes(self, length: int) -> int:
        return self.blocks(length) * self.block_bytes

    def concurrency(self, available: float, length: int) -> float:
        """Sequences of full length at once: vLLM's ``Maximum concurrency for N tokens per request``."""
        return max(0, int(available // self.block_bytes)) / self.blocks(length) if self.groups else 0.0

    def tokens(self, available: float, length: int) -> int:
        """vLLM's ``GPU KV cache size``, which is concurrency x length and not a capacity."""
        return int(self.concurrency(available, length) * length)

    def longest(self, available: float, most: int) -> int:
        """The longest sequence that fits, up to ``most``; 0 where none does (vLLM's estimate_max_model_len)."""
        low, high = 0, most
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.request_bytes(middle) <= available else (low, middle - 1)
        return low

    @property
    def stateful(self) -> bool:
        """Whether a sequence holds a recurrent state, and with it at least one block."""
        return any(g.kind == "state" for g in self.groups)

    @property
    def token_bytes(self) -> float:
        """Bytes that one more token of a long sequence costs: layers with a window or a state add nothing."""
        return sum(g.copies * self.block_bytes / g.block_size for g in self.groups if g.kind in ("full", "mla"))


@dataclass(frozen=True)
class Group:
    """Layers of one kind, ``copies`` groups of them, with blocks of ``block_size`` tokens."""

    kind: str
    copies: int
    block_size: int
    window: int
    state_blocks: int

    def blocks(self, length: int, in_flight_tokens: int) -> int:
        if self.kind == "state":
            return self.state_blocks
        if self.kind == "sliding":  # + 1: the window need not start at a block's edge
            return ceil(min(self.window - 1 + in_flight_tokens, length) / self.block_size) + 1
        if self.kind == "chunked":
            return ceil(min(self.window + in_flight_tokens, length) / self.block_size)
        return ceil(length / self.block_size)


def token_bytes(group: Attention, *, tensor: int, kv_dtype: str, dtype_bytes: int = 2) -> int:
    """Bytes of one token in one layer on one GPU.

    KV heads are copied when there are fewer than ranks; a latent (MLA) is never split.
    """
    if group.kind == "state":
        return 0
    if group.kind == "mla":
        if kv_dtype == "fp8_ds_mla":
            return FP8_MLA_BYTES
        return group.head_dim * _element_bytes(kv_dtype, dtype_bytes)
    heads = max(1, group.kv_heads // tensor)
    width = group.head_dim + group.head_dim_v
    if kv_dtype == "nvfp4":  # two values a byte, and one scale for sixteen
        return heads * (width // 2 + width // 16)
    scales = 2 * 4 if kv_dtype.endswith("per_token_head") else 0
    return heads * (width * _element_bytes(kv_dtype, dtype_bytes) + scales)


def _element_bytes(kv_dtype: str, dtype_bytes: int) -> int:
    if kv_dtype == "auto":
        return dtype_bytes
    return 1 if kv_dtype.startswith(("fp8", "int8")) else 2


def layout(
    model: Model,
    *,
    tensor: int = 1,
    pipeline: int = 1,
    kv_dtype: str = "auto",
    block_size: int = BLOCK,
    in_flight_tokens: int = 2048,
    hybrid_manager: bool = True,
    prefix_caching: bool = True,
) -> Layout:
    """The cache of the fullest pipeline stage.

    Args:
        in_flight_tokens: tokens of the steps that are under way at once: windows keep blocks for them.
        hybrid_manager: off (some KV connectors), windows and chunks are charged as full attention.
        prefix_caching: keeps two states a sequence in models with a recurrent state (mode ``align``), else one.
    """
    kinds = _merged([_charged(a, hybrid_manager) for a in model.attention])
    layers = [ceil(a.layers / pipeline) for a in kinds]
    tokens = [token_bytes(a, tensor=tensor, kv_dtype=kv_dtype, dtype_bytes=model.dtype_bytes) for a in kinds]
    state_page = max((ceil((a.conv_bytes + a.state_bytes) / tensor) for a in kinds), default=0)
    widest = max(tokens, default=0)
    size = _group_size(layers)
    if not widest:
        return Layout(state_page * size, tuple(Group("state", 1, BLOCK, 0, 1) for _ in kinds), in_flight_tokens)
    if state_page > block_size * widest:  # attention blocks grow until their page holds a state
        block_size = ceil(state_page / widest / BLOCK) * BLOCK
    page = block_size * widest
    states = 2 if prefix_caching else 1
    groups = tuple(
        Group(a.kind, ceil(n / size), page // t if t else block_size, a.window, states)
        for a, n, t in zip(kinds, layers, tokens, strict=True)
    )
    return Layout(page * size, groups, in_flight_tokens)


def _charged(attention: Attention, hybrid_manager: bool) -> Attention:
    if hybrid_manager or attention.kind not in ("sliding", "chunked"):
        return attention
    return Attention("full", attention.layers, attention.kv_heads, attention.head_dim, attention.head_dim_v)


def _merged(kinds: list[Attention]) -> list[Attention]:
    """Groups of the same format become one (windows charged as full attention)."""
    merged: dict[tuple[str, int, int, int, int], Attention] = {}
    for a in kinds:
        key = (a.kind, a.kv_heads, a.head_dim, a.head_dim_v, a.window)
        before = merged.get(key)
        layers = a.layers + (before.layers if before else 0)
        merged[key] = Attention(
            a.kind, layers, a.kv_heads, a.head_dim, a.head_dim_v, a.window, a.conv_bytes, a.state_bytes
        )
    return list(merged.values())


def _group_size(layers: list[int]) -> int:
    """Layers a group holds: the smallest kind, or the largest where padding costs little (kv_cache_utils)."""
    smallest, largest = min(layers), max(layers)
    return largest if largest < smallest * 1.25 else smallest
