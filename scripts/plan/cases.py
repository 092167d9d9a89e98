"""Measured cases: rows of public logs and tables, made into what the planner is asked.

Three files: ``kv_cases.csv`` (memory as engines logged it, one row a start), ``startup_cases.csv`` (seconds a phase
took) and ``latency_cases.csv`` (what users saw under a steady load). Their cells are what the sources say, in words;
here they become flags. What a row does not tell is listed, and the row left out before anything is scored.
"""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from scripts.console import UserError
from scripts.plan.catalog import GIB, find_gpu
from scripts.plan.fit import Setup
from scripts.plan.kv_cache import layout
from scripts.plan.latency import Speed
from scripts.plan.model_facts import Model
from scripts.plan.sources import known_models
from scripts.plan.startup import Start, compiles

T = TypeVar("T")

KV_COLUMNS = ("case_id", "model", "gpu", "tp", "vllm_version", "gpu_memory_utilization", "outcome", "source")
LATENCY_COLUMNS = (
    "case_id",
    "model",
    "gpu",
    "tensor",
    "prompt_tokens",
    "output_tokens",
    "concurrency",
    "ttft_ms",
    "tpot_ms",
)
STARTUP_COLUMNS = (
    "case_id",
    "checkpoint_gb",
    "n_gpu",
    "loader",
    "storage",
    "phase",
    "seconds",
    "cache_state",
    "source",
)


@dataclass(frozen=True)
class MemoryCase:
    """One start of an engine. Memory in bytes on one GPU; None where the source does not say."""

    name: str
    model: Model
    setup: Setup
    starts: bool
    kv_bytes: float | None
    exact_version: bool
    """The version is stated by the source, not inferred from a date."""


@dataclass(frozen=True)
class LatencyCase:
    """A measured load: so many requests running all the time, and what their users saw. Seconds."""

    name: str
    speed: Speed
    prompt: float
    output: float
    concurrency: int
    ttft: float
    tpot: float
    fitted: bool
    """The row was used to fit the efficiencies; the others judge them."""


@dataclass(frozen=True)
class StartCase:
    """One measured phase, in seconds. ``phases`` are the planner's phases it spans."""

    name: str
    start: Start
    phases: tuple[str, ...]
    seconds: float


def rows(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """The rows of a CSV file. Raises UserError naming the file and what it lacks."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            found = list(csv.DictReader(stream))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}", fix="name a CSV file of measured cases") from error
    missing = [c for c in columns if not found or c not in found[0]]
    if missing:
        raise UserError(
            f"{path} lacks the column {missing[0]}",
            why="it is not a table of measured cases",
            fix=f"columns: {', '.join(columns)}",
        )
    return found


def memory_cases(path: Path) -> tuple[list[MemoryCase], list[tuple[str, str]]]:
    """The cases that can be asked, and (case, reason) of those that cannot."""
    return _sorted_out(rows(path, KV_COLUMNS), _memory_case)


def start_cases(path: Path) -> tuple[list[StartCase], list[tuple[str, str]]]:
    """The cases that can be asked, and (case, reason) of those that cannot."""
    return _sorted_out(rows(path, STARTUP_COLUMNS), _start_case)


def latency_cases(path: Path) -> tuple[list[LatencyCase], list[tuple[str, str]]]:
    """The cases that can be asked, and (case, reason) of those that cannot."""
    return _sorted_out(rows(path, LATENCY_COLUMNS), _latency_case)


def _latency_case(row: dict[str, str]) -> LatencyCase:
    model = _model(row["model"], "")
    tensor = int(row["tensor"])
    return LatencyCase(
        name=row["case_id"],
        speed=Speed(
            model,
            find_gpu(row["gpu"]),
            tensor,
            kv_token_bytes=layout(model, tensor=tensor).token_bytes,
            quantization=row["quantization"],
        ),
        prompt=float(row["prompt_tokens"]),
        output=float(row["output_tokens"]),
        concurrency=int(row["concurrency"]),
        ttft=float(row["ttft_ms"]) / 1000,
        tpot=float(row["tpot_ms"]) / 1000,
        fitted=row["used_for_the_fit"] == "yes",
    )


def _sorted_out(
    table: list[dict[str, str]], parse: Callable[[dict[str, str]], T]
) -> tuple[list[T], list[tuple[str, str]]]:
    cases, left_out = [], []
    for row in table:
        try:
            cases.append(parse(row))
        except (ValueError, UserError) as reason:
            left_out.append((row["case_id"], reason.what if isinstance(reason, UserError) else str(reason)))
    return cases, left_out


def number(text: str) -> float | None:
    """The first number in a cell: ``0.9``, ``default (0.9)``, ``31.4 usable``; None where there is none."""
    found = re.search(r"\d+(?:\.\d+)?", text or "")
    return float(found.group()) if found else None


def _whole(row: dict[str, str], column: str, default: int | None = None) -> int | None:
    value = number(row.get(column, ""))
    return default if value is None else int(value)


def _memory_case(row: dict[str, str]) -> MemoryCase:
    """Raises ValueError with the reason why a row cannot be asked."""
    if not re.search(r"\d+\.\d+", row["vllm_version"]):
        raise ValueError("engine version not stated")
    if "+" in row["gpu"]:
        raise ValueError("two kinds of GPU in one replica")
    if "nodes" in row["gpu"]:
        raise ValueError("layout over the nodes not stated")
    model = _model(row["model"], row.get("quant", ""))
    stated = number(row["gpu_memory_utilization"])
    memory = number(row.get("gpu_total_gib", "")) or _usable(row["gpu"], stated)
    available = row.get("available_kv_gib_per_gpu", "")
    logged = None if not available.strip() or stated is None else float(available) * GIB
    notes = row.get("notes", "")
    return MemoryCase(
        name=row["case_id"],
        model=model,
        setup=Setup(
            gpu=find_gpu(re.split(r"[ (/]", row["gpu"].strip())[0]),
            gpu_memory_gib=memory,
            tensor=_whole(row, "tp", 1) or 1,
            pipeline=_whole(row, "pp", 1) or 1,
            data=_whole(row, "dp", 1) or 1,
            expert_parallel=(_whole(row, "dp", 1) or 1) > 1 and model.experts is not None,
            kv_dtype=row.get("kv_cache_dtype", "").split(" ")[0] or "auto",
            max_model_len=_whole(row, "max_model_len"),
            max_num_seqs=_whole(row, "max_num_seqs"),
            max_num_batched_tokens=_whole(row, "max_num_batched_tokens"),
            block_size=_whole(row, "block_size", 16) or 16,
            utilization=stated,
            version=row["vllm_version"],
            eager=row.get("enforce_eager", "").strip().lower() == "true",
            language_model_only="--language-model-only" in notes,
            hybrid_manager="connector" not in notes.lower(),
        ),
        starts=row["outcome"].strip().startswith("starts"),
        kv_bytes=logged,
        exact_version=not row["vllm_version"].startswith("~") or "doc pins" in row["vllm_version"],
    )


def _model(name: str, quantization: str) -> Model:
    """A model of the table by its name in a row: ``org/name``, ``name``, ``name (what was done to it)``."""
    plain = re.sub(r"\(.*?\)", "", name).strip().split("/")[-1].lower()
    found = {known.split("/")[-1].lower(): model for known, model in known_models().items()}
    if plain == "phi-4" and "gptq" in quantization.lower():
        plain = "phi-4-autoround-gptq-4bit"
    bare = plain.removesuffix("-instruct").removesuffix("-it")
    for spelled in (plain, plain.removeprefix("meta-"), f"meta-{plain}", bare, f"{bare}-instruct", f"{bare}-it"):
        if spelled in found:
            return found[spelled]
    raise ValueError(f"model {name!r} is not in the planner's table")


def _usable(gpu: str, utilization: float | None) -> float | None:
    """GiB where the cell says them: ``(31.4 usable)``, ``unified (121.7)``, ``(23.08 after util 0.98)``."""
    inside = re.search(r"\((\d+\.\d+)(.*)\)", gpu)
    if not inside:
        return None
    value = float(inside.group(1))
    return value / utilization if "after util" in inside.group(2) and utilization else value


PHASES = (
    (
        r"vllm start|container start|pod start|start -> ready|^total|cold start|end to end",
        ("imports", "download", "load", "compile", "graphs and warm-up"),
    ),
    (r"init engine|post-load", ("compile", "graphs and warm-up")),
    (r"image", ("image",)),
    (r"node", ("node",)),
    (r"download", ("download",)),
    (r"nccl|p2p|imports|tp setup", ("imports",)),
    (r"graph|warm|profil|dummy", ("graphs and warm-up",)),
    (r"weights|load", ("load",)),
    (r"compile|dynamo|inductor", ("compile",)),
)
STORAGES = (
    (r"tmpfs", "ram"),
    (r"page cache|hot|^warm \(", "page-cache"),
    (r"networked storage|50 gb/s", "fabric"),
    (r"io2", "io2"),
    (r"gp3", "gp3"),
    (r"s3|gcs|r2", "s3"),
    (r"efs|nfs|shared volume", "nfs"),
    (r"nvme|oci image", "nvme"),
)


def _start_case(row: dict[str, str]) -> StartCase:
    """Raises ValueError with the reason why a row cannot be asked."""
    size = number(row["checkpoint_gb"])
    phases = next((p for pattern, p in PHASES if re.search(pattern, row["phase"].lower())), None)
    if phases is None:
        raise ValueError(f"phase {row['phase']!r} is none of the planner's")
    if size is None and phases not in (("image",), ("node",)):
        raise ValueError("size of the checkpoint not stated")
    if "extraction" in row["phase"] or (phases == ("image",) and "weights baked" in row.get("notes", "")):
        raise ValueError("the weights are in the image")
    seconds = number(row["seconds"])
    if not seconds:
        raise ValueError("a phase that did not happen")
    cache = row["cache_state"].lower()
    where = f"{cache} {row['storage'].lower()}"
    storage = next((s for pattern, s in STORAGES if re.search(pattern, where)), "unknown")
    version = row.get("vllm_version", "")
    return StartCase(
        name=row["case_id"],
        start=Start(
            size_gib=(size or 0) * 1e9 / GIB,
            gpus=max(1, _whole(row, "n_gpu", 1) or 1),
            loader=_loader(row["loader"]),
            storage=storage,
            downloads="download" in row["storage"].lower() or phases == ("download",) or "download" in cache,
            warm="warm" in cache,
            compiles=not re.search(r"\d+\.\d+", version) or compiles(version),
            image_gib=number(row["model"]) if phases == ("image",) else None,
        ),
        phases=phases,
        seconds=seconds,
    )


def _loader(text: str) -> str:
    names = {"run": "runai_streamer", "fast": "fastsafetensors", "tensorizer": "tensorizer", "instant": "instanttensor"}
    return next((loader for start, loader in names.items() if text.startswith(start)), "safetensors")
