"""Will it start? Weights, overhead and KV cache against the memory of one GPU.

The engine refuses to start when one sequence of ``max_model_len`` does not fit what is left for the KV cache
(``_check_enough_kv_cache_memory``). What is left is an interval, so there are three verdicts: ``fits`` (even at the
pessimistic bound), ``does not fit`` (not even at the optimistic one) and ``tight`` between them.

Models with a recurrent state need a second thing: before it captures CUDA graphs, the engine asks for one block for
each of ``max_num_seqs`` (``resolve_cudagraph_mode_and_sizes``: "exceeds available Mamba cache blocks").
"""

from dataclasses import dataclass, replace

from scripts.console import UserError
from scripts.plan import kv_cache, weights
from scripts.plan.catalog import GIB, Gpu
from scripts.plan.interval import Interval
from scripts.plan.model_facts import Model
from scripts.plan.overhead import DEFAULT_VERSION, Engine, Overhead, engine, overhead, parse_version

TIGHT_MARGIN = 0.08
"""The margin inside which ``tight`` is an answer: this share of the GPU's memory around the need."""

STATE_BLOCKS_SINCE = (0, 19)
"""The first version that refuses more sequences than blocks (vllm pull 38270); those before shrank their graphs."""

KV_DTYPES = (
    "auto",
    "bfloat16",
    "float16",
    "fp8",
    "fp8_e4m3",
    "fp8_e5m2",
    "fp8_ds_mla",
    "int8_per_token_head",
    "fp8_per_token_head",
    "nvfp4",
)
LOAD_QUANTIZATIONS = ("fp8", "int8", "int4", "awq", "gptq", "nvfp4", "mxfp4")


@dataclass(frozen=True)
class Setup:
    """A configuration of one replica, in the engine's own terms. None: the engine's default."""

    gpu: Gpu
    gpu_memory_gib: float | None = None
    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    expert_parallel: bool = False
    quantization: str = ""
    kv_dtype: str = "auto"
    max_model_len: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    utilization: float | None = None
    version: str = DEFAULT_VERSION
    eager: bool = False
    language_model_only: bool = False
    """Vision and audio towers are not loaded (--language-model-only)."""
    block_size: int = kv_cache.BLOCK
    hybrid_manager: bool = True
    prefix_caching: bool = True
    weights_gib_per_gpu: float | None = None
    """Measured weights of one GPU ("Model loading took ..."), where they are known."""
    max_loras: int = 0
    max_lora_rank: int = 16

    @property
    def memory(self) -> float:
        """Bytes of one GPU."""
        return (self.gpu_memory_gib or self.gpu.memory_gib) * GIB

    @property
    def gpus(self) -> int:
        return self.tensor * self.pipeline * self.data


@dataclass(frozen=True)
class Fit:
    """The answer. Bytes, on the fullest GPU."""

    model: Model
    setup: Setup
    engine: Engine
    max_model_len: int
    max_num_seqs: int
    batched_tokens: int
    utilization: float
    weights: Interval
    loras: Interval
    overhead: Overhead
    available: Interval
    """Left for the KV cache."""
    layout: kv_cache.Layout
    needed: int
    """KV cache of one sequence of max_model_len."""
    states: int
    """KV cache of a first block for each of max_num_seqs, where the engine asks for them; else 0."""

    @property
    def least(self) -> int:
        """KV cache without which the engine refuses to start."""
        return max(self.needed, self.states)

    @property
    def verdict(self) -> str:
        """States are held to the best guess only: some engines lower max_num_seqs by themselves (draft layers)."""
        if self.available.high < self.least or self.weights.low > self.setup.memory:
            return "does not fit"
        return "fits" if self.available.low >= self.needed and self.available.mid >= self.states else "tight"

    @property
    def spare(self) -> float:
        """Best guess of bytes left after what the engine asks for; negative where it lacks them."""
        return self.available.mid - self.least

    @property
    def full_sequences(self) -> float:
        return self.layout.concurrency(self.available.mid, self.max_model_len)

    @property
    def kv_tokens(self) -> int:
        return self.layout.tokens(self.available.mid, self.max_model_len)

    @property
    def longest(self) -> int:
        """The longest max_model_len that fits at the pessimistic bound."""
        return self.layout.longest(self.available.low, self.model.max_length)


def fit(model: Model, setup: Setup) -> Fit:
    """Sizes a configuration. Raises UserError where a value cannot be, naming the flag."""
    of = engine(setup.version)
    _check(model, setup)
    if setup.language_model_only:
        model = replace(
            model, multimodal=False, unloaded_bytes=model.unloaded_bytes + model.replicated_bytes, replicated_bytes=0
        )
    length = setup.max_model_len or model.max_length
    sequences = setup.max_num_seqs or of.sequences(setup.gpu)
    batched = setup.max_num_batched_tokens or of.batched_tokens(setup.gpu, length)
    utilization = setup.utilization or of.utilization
    on_gpu = _weights(model, setup)
    loras = _loras(model, setup)
    taken = overhead(model, of, tensor=setup.tensor, sequences=sequences, batched_tokens=batched, eager=setup.eager)
    cache = kv_cache.layout(
        model,
        tensor=setup.tensor,
        pipeline=setup.pipeline,
        kv_dtype=model.kv_dtype if setup.kv_dtype == "auto" else setup.kv_dtype,
        block_size=setup.block_size,
        in_flight_tokens=batched * of.in_flight,
        hybrid_manager=setup.hybrid_manager,
        prefix_caching=setup.prefix_caching,
    )
    graphs = not setup.eager and parse_version(setup.version) >= STATE_BLOCKS_SINCE
    return Fit(
        model=model,
        setup=setup,
        engine=of,
        max_model_len=length,
        max_num_seqs=sequences,
        batched_tokens=batched,
        utilization=utilization,
        weights=on_gpu,
        loras=loras,
        overhead=taken,
        available=(on_gpu + loras + taken.total).rest_of(setup.memory * utilization),
        layout=cache,
        needed=cache.request_bytes(length),
        states=sequences * cache.block_bytes if graphs and cache.stateful else 0,
    )


def _weights(model: Model, setup: Setup) -> Interval:
    if setup.weights_gib_per_gpu:
        return Interval.exact(setup.weights_gib_per_gpu * GIB)
    ranks = setup.tensor * setup.data if setup.expert_parallel else setup.tensor
    return weights.per_gpu(
        model, tensor=setup.tensor, pipeline=setup.pipeline, expert_ranks=ranks, quantization=setup.quantization
    )


def _loras(model: Model, setup: Setup) -> Interval:
    """Buffers for adapters: rank x (inputs + outputs) of every layer's matrices, two bytes, for each adapter at once.

    Low: all split over the ranks; high: none.
    """
    if not setup.max_loras:
        return Interval.exact(0)
    kv = sum(a.kv_heads * a.head_dim for a in model.attention[:1])
    attention = 2 * (model.hidden + model.heads * model.head_dim) + 2 * (model.hidden + kv)
    whole = 2 * setup.max_loras * setup.max_lora_rank * model.layers * (attention + 3 * (model.hidden + model.width))
    return Interval(whole / setup.tensor, whole / setup.tensor**0.5, whole)


def _check(model: Model, setup: Setup) -> None:
    """Values that no engine takes, one error each."""
    for flag, value in (("--tensor", setup.tensor), ("--pipeline", setup.pipeline), ("--data", setup.data)):
        if value < 1:
            raise UserError(f"{flag}: {value} is less than 1", why="it counts GPUs", fix=f"{flag} 1")
    if model.heads % setup.tensor:
        allowed = [n for n in (1, 2, 4, 8, 16) if model.heads % n == 0]
        raise UserError(
            f"--tensor: {setup.tensor} does not divide the {model.heads} attention heads of {model.name}",
            why="vLLM refuses to start: every rank holds whole heads",
            fix=f"--tensor {' or '.join(str(n) for n in allowed)}",
        )
    if setup.utilization is not None and not 0 < setup.utilization <= 1:
        raise UserError(
            f"--utilization: {setup.utilization} is not in (0, 1]",
            why="it is the share of all memory of the GPU, for weights, activations and cache together",
            fix="--utilization 0.9",
        )
    if setup.kv_dtype not in KV_DTYPES:
        raise UserError(f"--kv-dtype: {setup.kv_dtype!r} is unknown", fix=f"choose one of {', '.join(KV_DTYPES)}")
    if setup.quantization and setup.quantization not in LOAD_QUANTIZATIONS:
        raise UserError(
            f"--quantization: {setup.quantization!r} is unknown", fix=f"choose one of {', '.join(LOAD_QUANTIZATIONS)}"
        )
    if setup.max_model_len and setup.max_model_len > model.max_length:
        raise UserError(
            f"--max-model-len: {setup.max_model_len} is more than {model.name} was made for ({model.max_length})",
            why="vLLM refuses it unless VLLM_ALLOW_LONG_MAX_MODEL_LEN is set, and answers get worse",
            fix=f"--max-model-len {model.max_length}",
        )


@dataclass(frozen=True)
class Change:
    """A change after which the configuration fits."""

    what: str
    why: str
    fit: Fit


SHORTER = (131072, 65536, 32768, 16384, 8192, 4096, 2048)
FEWER = (512, 256, 128, 64, 32)


def changes(before: Fit, larger: list[Gpu]) -> list[Change]:
    """The nearest changes after which it fits: first those that cost no GPU, then those that do.

    Args:
        larger: GPUs to try, in order.
    """
    free = [*_first(before, _lengths(before)), *_first(before, _sequences(before)), *_each(before, _cheaper(before))]
    if not free:
        both = [
            (f"{a} {b}", y, f"{w}, and {v}") for a, x, w in _cheaper(before) for b, y, v in _lengths(_with(before, x))
        ]
        free = _first(before, both)
    more = _first(before, _ranks(before)) or _first(before, _ranks_and_lengths(before))
    bigger = [
        (f"--gpu {g.name}", replace(before.setup, gpu=g, gpu_memory_gib=None), f"{g.memory_gib:.0f} GiB")
        for g in larger
    ]
    return [*free, *more, *_first(before, [b for b in bigger if b[1].memory > before.setup.memory])]


Candidate = tuple[str, Setup, str]


def _with(before: Fit, setup: Setup) -> Fit:
    return fit(before.model, setup)


def _each(before: Fit, candidates: list[Candidate]) -> list[Change]:
    """Those of the candidates that fit."""
    found = []
    for what, setup, why in candidates:
        if before.model.heads % setup.tensor == 0 and (after := fit(before.model, setup)).verdict == "fits":
            found.append(Change(what, why, after))
    return found


def _first(before: Fit, candidates: list[Candidate]) -> list[Change]:
    """The first candidate that fits, if there is one: they are steps of one knob."""
    for candidate in candidates:
        if found := _each(before, [candidate]):
            return found
    return []


def _lengths(before: Fit) -> list[Candidate]:
    shorter = [n for n in SHORTER if n < before.max_model_len]
    return [(f"--max-model-len {n}", replace(before.setup, max_model_len=n), "shorter contexts") for n in shorter]


def _sequences(before: Fit) -> list[Candidate]:
    fewer = [n for n in FEWER if n < before.max_num_seqs]
    why = "each holds a state" if before.states > before.needed else "the sampler's buffers grow with it"
    return [(f"--max-num-seqs {n}", replace(before.setup, max_num_seqs=n), why) for n in fewer]


def _cheaper(before: Fit) -> list[Candidate]:
    """Changes of type and share that cost no GPU."""
    setup, model = before.setup, before.model
    found: list[Candidate] = []
    fp8 = setup.gpu.capability >= 8.9
    if before.utilization < 0.95:
        found.append(("--utilization 0.95", replace(setup, utilization=0.95), "leaves less for other users of the GPU"))
    if setup.kv_dtype == "auto" and fp8:
        found.append(("--kv-dtype fp8", replace(setup, kv_dtype="fp8"), "half the cache a token"))
    if not model.quantization and not setup.quantization:
        if fp8:
            found.append(
                ("--quantization fp8", replace(setup, quantization="fp8"), "half the weights, quantized at load")
            )
        found.append(
            ("--quantization awq", replace(setup, quantization="awq"), "a 4-bit build: a quarter of the weights")
        )
    return found


def _ranks(before: Fit) -> list[Candidate]:
    """More GPUs: tensor parallelism up to a node of 8, then a second node as a pipeline stage."""
    setup = before.setup
    wider = [n for n in (2, 4, 8) if n > setup.tensor]
    found: list[Candidate] = [(f"--tensor {n}", replace(setup, tensor=n), f"{n} GPUs") for n in wider]
    stages = replace(setup, tensor=8, pipeline=2)
    return [*found, ("--tensor 8 --pipeline 2", stages, "two nodes of 8 GPUs")]


def _ranks_and_lengths(before: Fit) -> list[Candidate]:
    """The fewest GPUs with a context that is still of use."""
    return [
        (f"{wider} {shorter}", setup, f"{count}, {why}")
        for wider, ranks, count in _ranks(before)
        if before.model.heads % ranks.tensor == 0
        for shorter, setup, why in _lengths(_with(before, ranks))
    ]
