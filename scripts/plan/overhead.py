"""Memory that profiling finds beside the weights: activations, sampler, non-torch, CUDA graphs.

The peak is that of the forward pass or that of the sampler, whichever is larger: they come one after the other. The
sampler's is ``copies x max_num_seqs x vocabulary x 4`` bytes and explains what other tools call the activations of
mixtures (docs/planner.md, "Where the memory goes"). The constants belong to engine versions: ``overhead.yaml``.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from scripts.console import UserError
from scripts.plan.catalog import GIB, Gpu, load
from scripts.plan.interval import Interval
from scripts.plan.model_facts import Model

DEFAULT_VERSION = "0.33.0"
NO_CHUNKS_UP_TO = 32768
"""Before chunked prefill was general, contexts up to this were profiled in one piece."""


@dataclass(frozen=True)
class Engine:
    """The row of overhead.yaml that an engine version belongs to."""

    version: str
    row: dict[str, Any]

    @property
    def utilization(self) -> float:
        return float(self.row["utilization"])

    @property
    def in_flight(self) -> int:
        """Steps whose tokens a sliding window keeps blocks for."""
        return int(self.row["inFlight"])

    def sequences(self, gpu: Gpu) -> int:
        """Default ``--max-num-seqs``."""
        return int(self.row["sequences"][0 if gpu.large else 1])

    def batched_tokens(self, gpu: Gpu, length: int) -> int:
        """Default ``--max-num-batched-tokens``: 16384 on 160 GiB; a whole context where prefill is not chunked."""
        if not self.row["chunked"] and length <= NO_CHUNKS_UP_TO:
            return max(length, 2048)
        if self.row["chunked"] and gpu.memory_gib >= 160:
            return 16384
        return int(self.row["batched"][0 if gpu.large else 1])


def parse_version(text: str) -> tuple[int, ...]:
    """``v0.11.0``, ``0.26.1rc1.dev608``, ``~0.6.5 (V0)`` -> (0, 11, 0). Raises UserError where there is no number."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if not found:
        raise UserError(
            f"--vllm-version: {text!r} is not a version",
            why="the memory that an engine takes for itself differs by version",
            fix=f"--vllm-version {DEFAULT_VERSION}",
        )
    return tuple(int(part or 0) for part in found.groups())


@cache
def engine(version: str = DEFAULT_VERSION) -> Engine:
    """The engine of a version."""
    wanted = parse_version(version)
    rows = [r for r in load("overhead.yaml") if parse_version(r["from"]) <= wanted]
    return Engine(version, rows[-1])


@dataclass(frozen=True)
class Overhead:
    """Bytes on one GPU."""

    activation: Interval
    non_torch: Interval
    graphs: Interval

    @property
    def total(self) -> Interval:
        return self.activation + self.non_torch + self.graphs


def overhead(
    model: Model,
    of: Engine,
    *,
    tensor: int,
    sequences: int,
    batched_tokens: int,
    eager: bool = False,
) -> Overhead:
    """What profiling will find on one GPU.

    Args:
        sequences: ``max_num_seqs``.
        batched_tokens: tokens of the profiled forward pass.
        eager: no CUDA graphs.
    """
    activation = Interval.largest(
        _sampler(model, of, sequences, batched_tokens), _forward(model, tensor, batched_tokens)
    )
    if model.multimodal:
        activation += Interval(*of.row["encoder"]).scaled(GIB)
    by_rank = of.row["nonTorch"]
    ranks = max(k for k in by_rank if k <= max(tensor, 1))
    non_torch = Interval(*by_rank[ranks]).scaled(GIB)
    stateful = any(a.kind == "state" for a in model.attention)
    captured = 0.4 + 0.6 * min(1, sequences / 256)  # the first graph costs most; few sequences mean few graphs
    graphs = Interval(*of.row["graphsState" if stateful else "graphs"]).scaled(0 if eager else GIB * captured)
    return Overhead(activation, non_torch, graphs)


def _sampler(model: Model, of: Engine, sequences: int, batched_tokens: int) -> Interval:
    """Logits of one sampling step. Only the driver rank has them, whole: tensor parallelism does not split this."""
    if model.pooling:
        return Interval.exact(0)
    row = min(sequences, batched_tokens) * model.vocabulary * 4
    return Interval(*of.row["samplerMultimodal" if model.multimodal else "sampler"]).scaled(row)


def _forward(model: Model, tensor: int, batched_tokens: int) -> Interval:
    """Peak of one layer over ``batched_tokens`` tokens, in two-byte values.

    Dense: gate, up and their product (3 x width / ranks) beside four hidden vectors; 110 KB a token for Llama 3.1 8B,
    as vllm issue 10517 measures (2.07 GiB at 20,000 tokens, 2.99 at 29,000). Mixtures: each token once for each of its
    experts (fused_moe's workspaces).
    """
    per_token = 3 * model.width / tensor + 4 * model.hidden
    if model.experts:
        inner = model.experts.width / tensor
        per_token = model.experts.per_token * (max(2 * inner, model.hidden) + inner) + 4 * model.hidden
    mid = 2.0 * per_token * batched_tokens
    return Interval(mid * 0.7, mid, mid * (2.5 if model.experts else 1.25))
