"""Options that several commands of the planner share."""

from typing import Annotated

import typer

ModelName = Annotated[
    str,
    typer.Option("--model", "-m", help="Folder with config.json, a name of `plan models`, or a Hugging Face id."),
]
GpuName = Annotated[str, typer.Option("--gpu", "-g", help="A GPU of `plan gpus`: L4, A10G, H100 ...")]
GpuMemory = Annotated[
    float | None, typer.Option("--gpu-memory-gib", min=0.1, help="Memory of one GPU as the driver reports it.")
]
Tensor = Annotated[int, typer.Option("--tensor", "-t", help="GPUs that share each layer (--tensor-parallel-size).")]
Pipeline = Annotated[int, typer.Option("--pipeline", help="Stages the layers are divided into.")]
Data = Annotated[int, typer.Option("--data", help="Copies of the model behind one endpoint.")]
ExpertParallel = Annotated[bool, typer.Option("--expert-parallel", help="Spread the experts over all GPUs.")]
Quantization = Annotated[
    str, typer.Option("--quantization", "-q", help="Of a plain checkpoint: fp8 at load, or its awq, gptq, int4 build.")
]
KvDtype = Annotated[str, typer.Option("--kv-dtype", help="Type of the KV cache (--kv-cache-dtype): auto, fp8 ...")]
MaxModelLen = Annotated[
    int | None,
    typer.Option("--max-model-len", "-l", min=1, help="Longest sequence. Default: what the model was made for."),
]
MaxNumSeqs = Annotated[
    int | None, typer.Option("--max-num-seqs", min=1, help="Sequences at once. Default: the engine's for this GPU.")
]
BatchedTokens = Annotated[
    int | None, typer.Option("--max-num-batched-tokens", min=1, help="Tokens of one step. Default: the engine's.")
]
Utilization = Annotated[
    float | None,
    typer.Option(
        "--utilization", "-u", help="--gpu-memory-utilization. Default: the engine's (0.92; 0.9 before 0.21)."
    ),
]
Version = Annotated[str, typer.Option("--vllm-version", help="Engine version: the memory it takes for itself differs.")]
Eager = Annotated[bool, typer.Option("--enforce-eager", help="No CUDA graphs, no torch.compile.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
