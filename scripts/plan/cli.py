"""``vllm-charts plan``: the commands of the planner."""

from typing import Annotated

import typer

from scripts.plan import bench_command, check_command, cost_command, simulate_command, tables, values_command
from scripts.plan import options as o
from scripts.plan import startup as starts
from scripts.plan.catalog import GIB, find_gpu, gpus
from scripts.plan.cost import known_price
from scripts.plan.fit import Setup, changes
from scripts.plan.fit import fit as size
from scripts.plan.overhead import DEFAULT_VERSION
from scripts.plan.sources import find_model, known_models
from scripts.plan.weights import checkpoint_bytes, parameters

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode="rich")


@app.command()
def fit(
    model: o.ModelName,
    gpu: o.GpuName,
    gpu_memory_gib: o.GpuMemory = None,
    tensor: o.Tensor = 1,
    pipeline: o.Pipeline = 1,
    data: o.Data = 1,
    expert_parallel: o.ExpertParallel = False,
    quantization: o.Quantization = "",
    kv_dtype: o.KvDtype = "auto",
    max_model_len: o.MaxModelLen = None,
    max_num_seqs: o.MaxNumSeqs = None,
    max_num_batched_tokens: o.BatchedTokens = None,
    utilization: o.Utilization = None,
    vllm_version: o.Version = DEFAULT_VERSION,
    enforce_eager: o.Eager = False,
    weights_gib_per_gpu: Annotated[
        float | None, typer.Option(min=0.01, help='Measured weights of one GPU ("Model loading took ...").')
    ] = None,
    max_loras: Annotated[int, typer.Option(min=0, help="LoRA adapters held at once (--max-loras).")] = 0,
    max_lora_rank: Annotated[int, typer.Option(min=1, help="Largest rank of an adapter.")] = 16,
    language_model_only: Annotated[
        bool, typer.Option("--language-model-only", help="Do not load vision towers.")
    ] = False,
    hybrid_manager: Annotated[
        bool, typer.Option(help="Off: sliding windows are charged as full attention (some KV connectors).")
    ] = True,
    json: o.Json = False,
) -> None:
    """Will a model start on a GPU, and how many tokens does its KV cache hold?

    Example: [bold]vllm-charts plan fit --model meta-llama/Llama-3.1-8B-Instruct --gpu L4 --max-model-len 8192[/]

    Exit status 1 where it does not fit.
    """
    found = find_model(model)
    setup = Setup(
        gpu=find_gpu(gpu),
        gpu_memory_gib=gpu_memory_gib,
        tensor=tensor,
        pipeline=pipeline,
        data=data,
        expert_parallel=expert_parallel,
        quantization=quantization,
        kv_dtype=kv_dtype,
        max_model_len=max_model_len,
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max_num_batched_tokens,
        utilization=utilization,
        version=vllm_version,
        eager=enforce_eager,
        language_model_only=language_model_only,
        hybrid_manager=hybrid_manager,
        weights_gib_per_gpu=weights_gib_per_gpu,
        max_loras=max_loras,
        max_lora_rank=max_lora_rank,
    )
    answer = size(found, setup)
    larger = sorted((g for g in gpus().values() if known_price(g)), key=lambda g: known_price(g) or 0)
    possible = [] if answer.verdict == "fits" else changes(answer, larger)
    if json:
        tables.print_json(tables.fit_json(answer, possible))
    else:
        tables.print_fit(answer, possible)
    if answer.verdict == "does not fit":
        raise typer.Exit(1)


@app.command()
def startup(
    model: Annotated[str | None, typer.Option("--model", "-m", help="A model, for its size.")] = None,
    size_gib: Annotated[
        float | None, typer.Option(min=0, help="Size of the checkpoint on disk, instead of --model.")
    ] = None,
    gpu_count: Annotated[int, typer.Option("--gpus", min=1, help="GPUs of one replica, over all its nodes.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes of one replica.")] = 1,
    storage: Annotated[
        str, typer.Option(help="unknown, nfs, gp3-default, gp3, io2, nvme, s3, fabric, page-cache, ram.")
    ] = "unknown",
    loader: Annotated[
        str, typer.Option(help="safetensors (default), fastsafetensors, runai_streamer, tensorizer, instanttensor.")
    ] = "safetensors",
    downloads: Annotated[
        bool, typer.Option("--downloads", help="The engine itself downloads from a hub first.")
    ] = False,
    quantization: o.Quantization = "",
    enforce_eager: o.Eager = False,
    warm: Annotated[bool, typer.Option("--warm", help="The compile cache is there from an earlier start.")] = False,
    image_present: Annotated[bool, typer.Option("--image-present", help="The node has the image already.")] = False,
    node_present: Annotated[bool, typer.Option("--node-present", help="A node with free GPUs is there.")] = False,
    image_gib: Annotated[float | None, typer.Option(min=0, help="Compressed size of the image.")] = None,
    read_mib_per_second: Annotated[
        float | None, typer.Option(min=1, help="Measured read rate, instead of --storage.")
    ] = None,
    download_mib_per_second: Annotated[float | None, typer.Option(min=1, help="Measured download rate.")] = None,
    vllm_version: o.Version = DEFAULT_VERSION,
    json: o.Json = False,
) -> None:
    """How long does a replica start, and what must the startup probe allow?

    Example: [bold]vllm-charts plan startup --model meta-llama/Llama-3.1-70B-Instruct --gpus 2 --storage nvme[/]
    """
    if (model is None) == (size_gib is None):
        raise typer.BadParameter("give one of --model and --size-gib", param_hint="--model / --size-gib")
    size_on_disk = size_gib if model is None else checkpoint_bytes(find_model(model), quantization) / GIB
    answer = starts.plan(
        starts.Start(
            size_gib=size_on_disk or 0,
            gpus=gpu_count,
            nodes=nodes,
            loader=loader,
            storage=storage,
            downloads=downloads,
            eager=enforce_eager,
            warm=warm,
            image_present=image_present,
            node_present=node_present,
            image_gib=image_gib,
            compiles=starts.compiles(vllm_version),
            read_rate=read_mib_per_second,
            download_rate=download_mib_per_second,
        )
    )
    if json:
        tables.print_json(tables.start_json(answer))
    else:
        tables.print_start(answer)


@app.command()
def models(json: o.Json = False) -> None:
    """Lists the models that are known without a network.

    Example: [bold]vllm-charts plan models[/]
    """
    found = {
        name: (checkpoint_bytes(m) / GIB, parameters(m).total / 1e9, m.max_length, m.quantization or "-")
        for name, m in sorted(known_models().items())
    }
    if json:
        keys = ("weightsGiB", "parametersBillion", "maxModelLen", "quantization")
        tables.print_json({name: dict(zip(keys, values, strict=True)) for name, values in found.items()})
        return
    tables.rows(
        "Models of scripts/plan/models.yaml (another: --model FOLDER or a Hugging Face id)",
        ("model", "weights GiB", "parameters", "longest", "quantization"),
        [(n, f"{w:.1f}", f"{p:.1f} B", f"{length:,}", q) for n, (w, p, length, q) in found.items()],
    )


@app.command(name="gpus")
def list_gpus(json: o.Json = False) -> None:
    """Lists the GPUs that are known.

    Example: [bold]vllm-charts plan gpus --json[/]
    """
    if json:
        tables.print_json({name: vars(g) for name, g in gpus().items()})
        return
    body = [
        (
            g.name,
            f"{g.memory_gib:.2f}",
            f"{g.bandwidth:,.0f}",
            f"{g.bf16_tflops:,.0f}",
            f"{g.fp8_tflops:,.0f}" if g.fp8_tflops else "-",
            g.instance[0] if g.instance else "-",
        )
        for g in gpus().values()
    ]
    columns = ("GPU", "GiB (driver)", "GB/s", "BF16 TFLOPS", "FP8 TFLOPS", "smallest machine")
    tables.rows("GPUs of scripts/plan/gpus.yaml", columns, body)


app.command(name="values")(values_command.command)
app.command(name="check")(check_command.command)
app.command(name="cost")(cost_command.command)
app.command(name="simulate")(simulate_command.command)
app.command(name="bench")(bench_command.command)
