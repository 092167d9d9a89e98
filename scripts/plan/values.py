"""A values file for ``charts/vllm-model`` from a model, a GPU, a rate and a promise, with the reason of every choice.

The planner decides what follows from memory, speed and start. What a team decides (tool parsers, adapters, names,
ingress, who may call) is left to the chart's defaults and to other values files laid over this one.
"""

import math
import textwrap
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from scripts.console import UserError
from scripts.plan import startup
from scripts.plan.catalog import GIB
from scripts.plan.fit import Fit, Setup, fit
from scripts.plan.latency import Rate, Slo, Speed, sustainable
from scripts.plan.model_facts import Model
from scripts.plan.weights import checkpoint_bytes

LENGTHS = (32768, 16384, 8192, 4096, 2048)
"""Lengths the planner chooses among. Longer ones are asked for with --max-model-len: they cost concurrency."""
COMFORTABLE = 4
"""Full-length sequences that should fit at once before a longer context is offered."""
KEEP_FROM_GIB = 40
"""Weights from which on a claim keeps them: below, a restart downloads for minutes."""
PLANNED_SHARE = 0.8
GATED = ("meta-llama/", "google/gemma", "mistralai/")
NODE_GPUS = 8


@dataclass(frozen=True)
class Wish:
    """What the user asks for. Lengths in tokens, rate in requests a second; None: the planner chooses."""

    setup: Setup
    tensor: int | None = None
    prompt: int = 1000
    output: int = 500
    rate: float = 0.0
    slo: Slo = field(default_factory=Slo)
    storage: str = "unknown"
    loader: str = "safetensors"
    prometheus: str = ""


@dataclass(frozen=True)
class Written:
    """Values, and the comment before a key by its path (``engine.flags.maxModelLen``)."""

    values: dict[str, Any]
    reasons: dict[str, str]
    answer: Fit
    rate: Rate

    @property
    def text(self) -> str:
        return "\n".join([*_header(self), *_emit(self.values, self.reasons, ())]) + "\n"


def write(model: Model, wish: Wish) -> Written:
    """The values file. Raises UserError where no number of GPUs up to two nodes holds the model."""
    answer = choose(model, wish)
    tokens = answer.layout.concurrency(answer.available.mid, answer.max_model_len) * answer.max_model_len
    rate = Rate(0, 0.0, 0.0, 0.0)
    if not model.pooling:
        rate = sustainable(
            Speed.of(answer),
            wish.slo,
            prompt=wish.prompt,
            output=wish.output,
            sequences=answer.max_num_seqs,
            kv_tokens=tokens,
        )
    values: dict[str, Any] = {"model": {"id": model.name}}
    reasons: dict[str, str] = {}
    for part in (_weights, _parallelism, _gpu, _resources, _flags, _replicas, _cache):
        part(answer, wish, rate, values, reasons)
    return Written(values, reasons, answer, rate)


def choose(model: Model, wish: Wish) -> Fit:
    """The fewest GPUs, then the longest comfortable context, then as many sequences as the cache can hold."""
    for tensor, pipeline in _ranks(model, wish):
        answer = _longest(model, wish, replace(wish.setup, tensor=tensor, pipeline=pipeline))
        if answer:
            return answer
    raise UserError(
        f"--model {model.name} fits no number of {wish.setup.gpu.name} up to two nodes of {NODE_GPUS}",
        why="not even 2,048 tokens of context are sure to fit",
        fix=f"vllm-charts plan fit --model {model.name} --gpu {wish.setup.gpu.name} names what would",
    )


def _ranks(model: Model, wish: Wish) -> list[tuple[int, int]]:
    if wish.tensor:
        return [(wish.tensor, wish.setup.pipeline)]
    return [(n, 1) for n in (1, 2, 4, 8) if model.heads % n == 0] + [(NODE_GPUS, 2)]


def _longest(model: Model, wish: Wish, setup: Setup) -> Fit | None:
    """The longest comfortable length that fits; else the longest that fits at all; None where none does."""
    lengths = [setup.max_model_len] if setup.max_model_len else [n for n in LENGTHS if n <= model.max_length]
    fitting = []
    for length in lengths or [model.max_length]:
        answer = _sequences(model, wish, replace(setup, max_model_len=length))
        if answer.verdict != "fits":
            continue
        if answer.full_sequences >= COMFORTABLE:
            return answer
        fitting.append(answer)
    return fitting[0] if fitting else None


def _sequences(model: Model, wish: Wish, setup: Setup) -> Fit:
    """The number of sequences that the cache holds of the mix, as a power of two: more only takes memory."""
    if setup.max_num_seqs:
        return fit(model, setup)
    tokens = fit(model, replace(setup, max_num_seqs=64)).kv_tokens
    held = max(16.0, tokens / (wish.prompt + wish.output))
    most = int(min(256, 2 ** math.ceil(math.log2(held))))
    answer = fit(model, replace(setup, max_num_seqs=most))
    while most > 16 and answer.states > max(answer.needed, answer.available.low):  # a state for each, surely
        most //= 2
        answer = fit(model, replace(setup, max_num_seqs=most))
    return answer


def _weights(answer: Fit, wish: Wish, _: Rate, values: dict[str, Any], reasons: dict[str, str]) -> None:
    size = round(checkpoint_bytes(answer.model, wish.setup.quantization) / GIB, 2)
    weights: dict[str, Any] = {"sizeGiB": size}
    reasons["weights.sizeGiB"] = "the checkpoint on disk; the startup budget follows from it"
    if wish.storage != "unknown" or wish.loader != "safetensors":
        sure, _usual = startup.read_rate(wish.storage, wish.loader, answer.setup.gpus)
        weights["readMiBPerSecond"] = round(sure)
        reasons["weights.readMiBPerSecond"] = f"what {wish.storage} storage and the {wish.loader} loader surely reach"
    if answer.model.name.startswith(GATED):
        weights["huggingface"] = {"tokenSecret": {"name": "hf-token"}}
        reasons["weights.huggingface"] = "gated: kubectl create secret generic hf-token --from-literal=token=..."
    values["weights"] = weights


def _parallelism(answer: Fit, _: Wish, __: Rate, values: dict[str, Any], reasons: dict[str, str]) -> None:
    setup = answer.setup
    if setup.gpus == 1:
        return
    split: dict[str, Any] = {"tensor": setup.tensor}
    reasons["parallelism.tensor"] = "the fewest GPUs that surely hold weights, activations and cache"
    if setup.pipeline > 1:
        split["pipeline"] = setup.pipeline
    if setup.gpus > NODE_GPUS:
        split["nodes"] = math.ceil(setup.gpus / NODE_GPUS)
        reasons["parallelism.nodes"] = f"{NODE_GPUS} GPUs a node"
    values["parallelism"] = split


def _gpu(answer: Fit, _: Wish, __: Rate, values: dict[str, Any], reasons: dict[str, str]) -> None:
    gpu = answer.setup.gpu
    values["gpu"] = {
        "memoryGiB": math.floor(answer.setup.memory / GIB * 10) / 10,
        "nodeLabels": {"nvidia.com/gpu.product": [gpu.product]},
    }
    reasons["gpu.memoryGiB"] = "as the driver reports it; with it the chart refuses weights that cannot fit"


def _resources(answer: Fit, _: Wish, __: Rate, values: dict[str, Any], reasons: dict[str, str]) -> None:
    """Three quarters of the machine's share of these GPUs: a pod that asks for all of it never runs."""
    instance = answer.setup.gpu.instance
    if not instance:
        return
    name, gpus, cpus, memory = instance
    on_node = min(answer.setup.gpus, NODE_GPUS)
    cpu, gib = (math.floor(0.75 * amount / gpus * on_node) for amount in (cpus, memory))
    values["resources"] = {"requests": {"cpu": str(min(cpu, 64)), "memory": f"{min(gib, 512)}Gi"}}
    reasons["resources"] = f"three quarters of the share that {name} has for {on_node} of its GPUs"
    values["sharedMemory"] = {"sizeGiB": min(8, max(2, gib // 6))}


def _flags(answer: Fit, wish: Wish, _: Rate, values: dict[str, Any], reasons: dict[str, str]) -> None:
    setup = answer.setup
    flags: dict[str, Any] = {}
    if setup.gpu.capability < 8:
        flags["dtype"] = "half"
        reasons["engine.flags.dtype"] = f"{setup.gpu.name} has no bfloat16"
    if answer.model.pooling:
        flags["runner"] = "pooling"
    if wish.setup.quantization:
        flags["quantization"] = wish.setup.quantization
    if setup.kv_dtype != "auto":
        flags["kvCacheDtype"] = setup.kv_dtype
    flags["gpuMemoryUtilization"] = answer.utilization
    flags["maxModelLen"] = answer.max_model_len
    flags["maxNumSeqs"] = answer.max_num_seqs
    flags["maxNumBatchedTokens"] = answer.batched_tokens
    values["engine"] = {"flags": flags}
    reasons["engine.flags.maxModelLen"] = (
        f"{answer.full_sequences:.1f} sequences of this length at once; made for {answer.model.max_length:,}"
    )
    reasons["engine.flags.maxNumSeqs"] = (
        f"the cache holds about {answer.kv_tokens / (wish.prompt + wish.output):.0f} requests of "
        f"{wish.prompt} + {wish.output} tokens; each sequence more takes sampler memory from it"
    )


def _replicas(_: Fit, wish: Wish, rate: Rate, values: dict[str, Any], reasons: dict[str, str]) -> None:
    """Fixed replicas for the rate, or an autoscaler where Prometheus is known."""
    if not wish.rate or not rate.requests_per_second:
        return
    needed = max(1, math.ceil(wish.rate / (rate.requests_per_second * PLANNED_SHARE) - 1e-9))
    concurrency = max(1, round(PLANNED_SHARE * rate.sequences))
    one = f"{rate.requests_per_second:.2f} a replica"
    said = f"{wish.rate:g} requests a second at {one}, {PLANNED_SHARE:.0%} of it planned with"
    if not wish.prometheus:
        values["replicas"] = needed
        reasons["replicas"] = said + "; with --prometheus URL an autoscaler is written instead"
        return
    values["autoscaling"] = {
        "type": "keda",
        "minReplicas": 1,
        "maxReplicas": needed + max(1, needed // 4),
        "prometheus": {"serverAddress": wish.prometheus},
        "triggers": {
            "demand": {"targetConcurrency": concurrency},
            "runningRequests": {"enabled": True, "threshold": concurrency},
        },
    }
    reasons["autoscaling.maxReplicas"] = f"{needed} for {said}, and a quarter more"
    reasons["autoscaling.triggers"] = (
        f"{PLANNED_SHARE:.0%} of the {rate.sequences} requests that one replica answers inside the promise; "
        "demand counts behind the gateway, running requests without it"
    )


def _cache(answer: Fit, _: Wish, __: Rate, values: dict[str, Any], reasons: dict[str, str]) -> None:
    """Large weights on a claim: of one pod where one pod is enough, else shared and filled once by a Job."""
    weights = values["weights"]
    size = weights["sizeGiB"]
    several = "autoscaling" in values or values.get("replicas", 1) > 1 or answer.setup.gpus > NODE_GPUS
    if size < KEEP_FROM_GIB:
        return
    weights["cache"] = {"type": "claim"}
    reasons["weights.cache"] = f"{size:.0f} GiB are not downloaded again at every start"
    if several:
        weights["downloader"] = "job"
        weights["cache"]["accessModes"] = ["ReadWriteMany"]
        reasons["weights.cache.accessModes"] = "several pods mount it: name a StorageClass that can do that"
    else:
        values["availability"] = {"strategy": {"type": "recreate"}}
        reasons["availability"] = "a claim that one node mounts: the old pod goes before the new one comes"


def _header(written: Written) -> list[str]:
    answer, rate, setup = written.answer, written.rate, written.answer.setup
    of = f"{setup.gpus} x {setup.gpu.name}" if setup.gpus > 1 else f"one {setup.gpu.name}"
    gib = [f"{v / GIB:.1f}" for v in (answer.available.low, answer.available.mid, answer.available.high)]
    lines = [
        "yaml-language-server: $schema=../../schemas/generated/vllm-model.overlay.schema.json",
        "",
        f"{answer.model.name} on {of}, vLLM {setup.version}. Written by `vllm-charts plan values`.",
        "",
        f"KV cache     {gib[1]} GiB on each GPU ({gib[0]} to {gib[2]}), {answer.kv_tokens:,} tokens",
        f"Concurrency  {answer.full_sequences:.1f} sequences of {answer.max_model_len:,} tokens",
    ]
    if rate.requests_per_second:
        lines.append(
            f"Rate         {rate.requests_per_second:.2f} requests a second with {rate.sequences} at once: "
            f"{rate.ttft:.2f} s to the first token, {1000 * rate.tpot:.0f} ms a token"
        )
    return [f"# {line}".rstrip() for line in lines]


def _emit(node: dict[str, Any], reasons: dict[str, str], path: tuple[str, ...]) -> list[str]:
    """YAML with the reasons as comments: maps in blocks, lists and scalars on one line."""
    lines: list[str] = []
    indent = "  " * len(path)
    for key, value in node.items():
        here = (*path, key)
        if reason := reasons.get(".".join(here)):
            text = reason[0].upper() + reason[1:] + ("" if reason.endswith(".") else ".")
            lines += [f"{indent}# {line}" for line in textwrap.wrap(text, 114 - len(indent))]
        name = yaml.safe_dump(key).strip().removesuffix("\n...")
        if isinstance(value, dict):
            lines += [f"{indent}{name}:", *_emit(value, reasons, here)]
        else:
            lines.append(
                f"{indent}{name}: {yaml.safe_dump(value, default_flow_style=True, width=1000).splitlines()[0]}"
            )
    return lines
