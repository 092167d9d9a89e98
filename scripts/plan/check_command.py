"""``plan check``: do the models of values files start on the GPUs that the files name?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts.console import UserError
from scripts.plan import options as o
from scripts.plan import tables
from scripts.plan.catalog import Gpu, find_gpu, gpus
from scripts.plan.fit import Fit, Setup, fit
from scripts.plan.overhead import DEFAULT_VERSION, parse_version
from scripts.plan.sources import find_model
from scripts.schema import generate
from scripts.schema import values as merging

PRODUCT = "nvidia.com/gpu.product"


@dataclass(frozen=True)
class Checked:
    """A values file and the answer; or why there is none."""

    file: Path
    answer: Fit | None
    skipped: str = ""


def command(
    files: Annotated[list[Path], typer.Argument(help="Values files of charts/vllm-model.")],
    gpu: Annotated[str, typer.Option("--gpu", "-g", help="The GPU, where a file names none that is known.")] = "",
    json: o.Json = False,
) -> None:
    """Do the models of values files start on the GPUs that the files name?

    Example: [bold]vllm-charts plan check values/models/*.yaml[/]

    Exit status 1 where one does not fit.
    """
    checked = [check(file, gpu) for file in files]
    if json:
        tables.print_json({str(c.file): tables.fit_json(c.answer, []) if c.answer else c.skipped for c in checked})
    else:
        tables.rows(
            "Values files", ("file", "GPUs", "verdict", "KV GiB", "sequences at once"), [_row(c) for c in checked]
        )
    if any(c.answer and c.answer.verdict == "does not fit" for c in checked):
        raise typer.Exit(1)


def check(file: Path, gpu: str = "") -> Checked:
    """Sizes one file. Raises UserError where it names no model or no GPU that is known."""
    values = merging.coalesce(generate.ChartSchema("vllm-model").defaults, merging.read(file))
    model = values["model"]["id"]
    if not model:
        raise UserError(f"{file}: model.id is empty", why="there is nothing to size", fix="model: {id: org/name}")
    card = find_gpu(gpu) if gpu else _named(values)
    if card is None and not values["gpu"]["memoryGiB"]:
        return Checked(file, None, f"names no GPU ({PRODUCT} under gpu.nodeLabels, or --gpu)")
    if card is None:
        fix = f"--gpu NAME (of `plan gpus`), or gpu.nodeLabels: {{{PRODUCT}: [NVIDIA-L4]}}"
        raise UserError(f"{file}: gpu.nodeLabels names no GPU that is known", why="speed and memory differ", fix=fix)
    return Checked(file, fit(find_model(model), setup_of(values, card)))


def _named(values: dict[str, Any]) -> Gpu | None:
    """The first GPU of the file's labels that is in the catalogue."""
    products = values["gpu"]["nodeLabels"].get(PRODUCT) or []
    return next((g for product in products for g in gpus().values() if g.product == product), None)


def setup_of(values: dict[str, Any], gpu: Gpu) -> Setup:
    """The chart's values as the planner's question."""
    flags, split, image = values["engine"]["flags"], values["parallelism"], values["engine"]["image"]
    version = values["engine"]["version"] or image["tag"]
    return Setup(
        gpu=gpu,
        gpu_memory_gib=values["gpu"]["memoryGiB"],
        tensor=split["tensor"],
        pipeline=split["pipeline"],
        data=split["data"],
        expert_parallel=split["expert"],
        kv_dtype=flags.get("kvCacheDtype") or "auto",
        max_model_len=flags.get("maxModelLen"),
        max_num_seqs=flags.get("maxNumSeqs"),
        max_num_batched_tokens=flags.get("maxNumBatchedTokens"),
        utilization=flags.get("gpuMemoryUtilization"),
        version=version if _is_version(version) else DEFAULT_VERSION,
        eager=bool(flags.get("enforceEager")),
        max_loras=(flags.get("maxLoras") or 1) if values["model"]["adapters"] else 0,
        max_lora_rank=flags.get("maxLoraRank") or 16,
    )


def _is_version(text: str) -> bool:
    try:
        parse_version(text)
    except UserError:
        return False
    return True


def _row(checked: Checked) -> tuple[str, ...]:
    if checked.answer is None:
        return checked.file.name, "-", checked.skipped, "-", "-"
    answer = checked.answer
    colour = tables.COLOURS[answer.verdict]
    return (
        checked.file.name,
        f"{answer.setup.gpus} x {answer.setup.gpu.name}",
        f"[{colour}]{answer.verdict}[/]",
        tables.gib(answer.available.mid),
        f"{answer.full_sequences:.1f} of {answer.max_model_len:,}",
    )
