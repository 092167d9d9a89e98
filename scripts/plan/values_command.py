"""``plan values``: writes a values file for charts/vllm-model."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
import yaml

from scripts.console import UserError, console
from scripts.plan import options as o
from scripts.plan import tables
from scripts.plan.catalog import find_gpu
from scripts.plan.fit import Setup
from scripts.plan.latency import Slo
from scripts.plan.overhead import DEFAULT_VERSION
from scripts.plan.sources import find_model
from scripts.plan.values import Wish, Written, write
from scripts.schema import generate, validate
from scripts.schema import values as merging


def command(
    model: o.ModelName,
    gpu: o.GpuName,
    rate: Annotated[float, typer.Option(min=0, help="Requests a second in the busiest hour. 0: one replica.")] = 0,
    prompt: Annotated[int, typer.Option(min=1, help="Prompt tokens of a request.")] = 1000,
    output: Annotated[int, typer.Option(min=1, help="Answered tokens of a request.")] = 500,
    slo_ttft: Annotated[float, typer.Option(min=0.01, help="Promise: seconds to the first token.")] = 2.0,
    slo_tpot: Annotated[float, typer.Option(min=0.001, help="Promise: seconds between tokens.")] = 0.1,
    tensor: Annotated[
        int | None, typer.Option("--tensor", "-t", help="GPUs that share each layer. Default: the fewest.")
    ] = None,
    pipeline: o.Pipeline = 1,
    quantization: o.Quantization = "",
    kv_dtype: o.KvDtype = "auto",
    max_model_len: Annotated[
        int | None,
        typer.Option("--max-model-len", "-l", min=1, help="Longest sequence. Default: up to 32768, four at once."),
    ] = None,
    max_num_seqs: o.MaxNumSeqs = None,
    max_num_batched_tokens: o.BatchedTokens = None,
    utilization: o.Utilization = None,
    gpu_memory_gib: o.GpuMemory = None,
    storage: Annotated[str, typer.Option(help="What the weights are read from, as in `plan startup`.")] = "unknown",
    loader: Annotated[str, typer.Option(help="What reads them, as in `plan startup`.")] = "safetensors",
    prometheus: Annotated[str, typer.Option(help="Its URL: an autoscaler is written instead of fixed replicas.")] = "",
    model_id: Annotated[str, typer.Option(help="model.id to write, where --model is a folder.")] = "",
    vllm_version: o.Version = DEFAULT_VERSION,
    file: Annotated[Path | None, typer.Option("--out", help="Write there, not to standard output.")] = None,
    json: o.Json = False,
) -> None:
    """Writes a values file for charts/vllm-model, with the reason of every choice, checked against the chart's schema.

    Example: [bold]vllm-charts plan values --model Qwen/Qwen3-14B --gpu L40S --rate 3 --out qwen.yaml[/]
    """
    found = find_model(model)
    setup = Setup(
        gpu=find_gpu(gpu),
        gpu_memory_gib=gpu_memory_gib,
        pipeline=pipeline,
        quantization=quantization,
        kv_dtype=kv_dtype,
        max_model_len=max_model_len,
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max_num_batched_tokens,
        utilization=utilization,
        version=vllm_version,
    )
    wish = Wish(
        setup=setup,
        tensor=tensor,
        prompt=prompt,
        output=output,
        rate=rate,
        slo=Slo(slo_ttft, slo_tpot),
        storage=storage,
        loader=loader,
        prometheus=prometheus,
    )
    written = write(replace(found, name=model_id or found.name), wish)
    check(written)
    if json:
        tables.print_json({"values": written.values, "reasons": written.reasons})
    elif file:
        file.write_text(written.text, encoding="utf-8")
        console.print(f"wrote {file}: helm install NAME charts/vllm-model -f {file}")
    else:
        console.print(written.text, markup=False, soft_wrap=True, end="")


def check(written: Written) -> None:
    """Holds the file against the chart's own schema. Raises UserError: nothing is written that helm would refuse."""
    stated = merging.coalesce(generate.ChartSchema("vllm-model").defaults, yaml.safe_load(written.text))
    refused = validate.problems(validate.schema_of("vllm-model"), stated)
    if refused:
        raise UserError(
            "the planned values are refused by the chart's schema: "
            + "; ".join(f"{p.where}: {p.what}" for p in refused),
            why="planner and chart do not belong to the same version",
            fix="use both from one checkout",
        )
