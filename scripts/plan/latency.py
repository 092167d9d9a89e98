"""How fast a replica is: a roofline with measured efficiencies.

A decode step reads the weights its tokens touch and the caches of all running sequences, or computes, whichever takes
longer; a prefill computes. The efficiencies are fitted to published measured rows (docs/planner.md, "How fast"): they
are of whole engines under load, so they hold scheduling, sampling and kernel gaps too.
"""

from dataclasses import dataclass
from functools import cached_property

from scripts.plan import weights
from scripts.plan.catalog import GIB, Gpu
from scripts.plan.fit import Fit
from scripts.plan.model_facts import Model

WEIGHT_SHARE = {"dense": 0.88, "mixture": 0.75}
"""Of the data sheet's memory bandwidth, that reading weights reaches."""
CACHE_SHARE = 0.70
"""Of the same, that reading the KV cache reaches."""
COMPUTE_SHARE = {"dense": 0.60, "mixture": 0.36}
"""Of the data sheet's dense TFLOPS, that prefill reaches."""
STEP_SECONDS = 0.0005
"""Of every step, whatever its size."""
LAYER_SECONDS = {"dense": 13e-6, "mixture": 34e-6}
"""Of every layer: kernels too small to fill the GPU, routing."""
REDUCE_SECONDS = 23e-6
"""Latency of one all-reduce over the ranks; two a layer."""
REDUCE_SHARE = 1.5
"""Time of a large all-reduce over what the link alone would take."""
QUEUE_SHARE = 4.2
"""How much longer than one queue of prefills a first token waits under load: prefills come in bursts."""
FIRST_TOKEN_STEPS = 8.3
"""Steps between a prefill and its first token at the client: scheduling, batching, detokenizing, HTTP."""


@dataclass(frozen=True)
class Speed:
    """Speed of one replica of ``tensor`` ranks (pipeline stages add latency, not speed, to one step)."""

    model: Model
    gpu: Gpu
    tensor: int = 1
    pipeline: int = 1
    weight_gib: float = 0
    """Weights of one GPU, where known; else counted."""
    kv_token_bytes: float = 0
    """KV cache of one token on one GPU."""
    quantization: str = ""

    @classmethod
    def of(cls, fit: Fit) -> "Speed":
        s = fit.setup
        return cls(
            fit.model, s.gpu, s.tensor, s.pipeline, fit.weights.mid / GIB, fit.layout.token_bytes, s.quantization
        )

    @cached_property
    def _counts(self) -> weights.Parameters:
        return weights.parameters(self.model)

    @cached_property
    def _weight_bytes(self) -> float:
        if self.weight_gib:
            return self.weight_gib * GIB
        ranks = self.tensor
        return weights.per_gpu(
            self.model, tensor=ranks, pipeline=self.pipeline, expert_ranks=ranks, quantization=self.quantization
        ).mid

    @property
    def _kind(self) -> str:
        return "mixture" if self.model.experts else "dense"

    @cached_property
    def _flops(self) -> float:
        """Dense operations a second and GPU, at the width the weights are multiplied in."""
        bits = 8 if self.quantization == "fp8" else self.model.weight_bits
        wide = bits == 8 and self.gpu.fp8_tflops
        return (self.gpu.fp8_tflops if wide else self.gpu.bf16_tflops) * 1e12 * COMPUTE_SHARE[self._kind]

    def _read_bytes(self, sequences: float) -> float:
        """Weights that a step over so many sequences touches on one GPU: all, but of experts only those asked."""
        e = self.model.experts
        if not e:
            return self._weight_bytes * self.pipeline
        share = self._counts.experts / self._counts.total
        touched = 1 - float((1 - e.per_token / e.count) ** max(sequences, 1))
        return self._weight_bytes * self.pipeline * (1 - share + share * touched)

    def step_seconds(self, sequences: float, context: float) -> float:
        """One decode step for ``sequences`` of ``context`` tokens each: the time between their tokens."""
        read = self._read_bytes(sequences) / WEIGHT_SHARE[self._kind]
        read += sequences * context * self.kv_token_bytes * self.pipeline / CACHE_SHARE
        memory = read / (self.gpu.bandwidth * 1e9)
        compute = 2 * self._counts.active * sequences / self.tensor / self._flops
        return max(memory, compute) + self._fixed + self._reduce(sequences)

    def prefill_seconds(self, tokens: float, context: float = 0) -> float:
        """Computing ``tokens`` of prompt after ``context`` tokens that are there already."""
        linear = 2 * self._counts.active * tokens
        span = tokens * (context + tokens / 2)
        attention = 4 * self.model.heads * self.model.head_dim * self.model.layers * span
        return (linear + attention) / self.tensor / self._flops + REDUCE_SHARE * self._reduce(tokens)

    @property
    def _fixed(self) -> float:
        return STEP_SECONDS + LAYER_SECONDS[self._kind] * self.model.layers

    def _reduce(self, tokens: float) -> float:
        """Two all-reduces a layer, in two-byte values."""
        if self.tensor == 1:
            return 0
        size = tokens * self.model.hidden * 2 * 2 * (self.tensor - 1) / self.tensor
        return 2 * self.model.layers * (REDUCE_SECONDS + size / (self.gpu.link * 1e9))

    def under_load(self, sequences: float, prompt: float, output: float) -> tuple[float, float]:
        """(time to first token, time per output token), with ``sequences`` running all the time.

        Each is a prompt and an answer of so many tokens. For every step ``sequences x prompt / output`` tokens of
        prompt are computed beside the decoding ones.
        """
        own = self.prefill_seconds(prompt)
        per_step = own * sequences / output
        token = self.step_seconds(sequences, prompt + output / 2) + per_step
        busy = min(0.95, per_step / token)
        return own * (1 + QUEUE_SHARE * busy / (1 - busy)) + FIRST_TOKEN_STEPS * token, token


@dataclass(frozen=True)
class Slo:
    """What a user is promised: seconds to the first token, seconds between tokens."""

    ttft: float = 2.0
    tpot: float = 0.1


@dataclass(frozen=True)
class Rate:
    """What one replica carries inside an SLO."""

    sequences: int
    """Running at once; 0 where not even one meets it."""
    requests_per_second: float
    ttft: float
    tpot: float


def sustainable(speed: Speed, slo: Slo, *, prompt: float, output: float, sequences: int, kv_tokens: float) -> Rate:
    """The most requests a second that one replica answers inside the SLO, all prompts and answers being equally long.

    Args:
        sequences: ``max_num_seqs``.
        kv_tokens: tokens that the KV cache of one replica holds.
    """
    most = int(min(sequences, kv_tokens / (prompt + output)))
    low, high = 0, max(0, most)
    while low < high:  # both times grow with the number of sequences
        middle = (low + high + 1) // 2
        ttft, tpot = speed.under_load(middle, prompt, output)
        low, high = (middle, high) if ttft <= slo.ttft and tpot <= slo.tpot else (low, middle - 1)
    if not low:
        return Rate(0, 0.0, *speed.under_load(1, prompt, output))
    ttft, tpot = speed.under_load(low, prompt, output)
    return Rate(low, low / (ttft + output * tpot), ttft, tpot)
