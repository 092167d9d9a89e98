"""The planner's cache layout against vLLM's own classes.

It stands among the tests of the cluster because the engine is installed there anyway; it needs no cluster. The engine
takes up to a minute to import. The logs in tests/unit/test_plan_fit.py cover the same ground fast.
"""

import json
import subprocess
from math import isclose
from pathlib import Path
from typing import Any

from scripts.cluster import engine
from scripts.plan.kv_cache import layout, token_bytes
from scripts.plan.sources import known_models

BUDGET_SECONDS = 90

ORACLE = Path(__file__).parent / "vllm_kv_oracle.py"
AVAILABLE = 10 * 2**30
CASES = [
    ("meta-llama/Llama-3.1-8B-Instruct", 1, 8192, 2048, "bf16"),
    ("meta-llama/Llama-3.1-70B-Instruct", 8, 131072, 8192, "bf16"),
    ("Qwen/Qwen3-235B-A22B-FP8", 8, 40960, 8192, "fp8"),
    ("deepseek-ai/DeepSeek-R1", 8, 163840, 8192, "bf16"),
    ("openai/gpt-oss-20b", 1, 131072, 8192, "bf16"),
    ("google/gemma-3-27b-it", 1, 131072, 8192, "bf16"),
    ("google/gemma-4-26B-A4B", 1, 131072, 8192, "bf16"),
    ("google/gemma-4-E2B", 1, 8192, 2048, "bf16"),
    ("Qwen/Qwen3.6-35B-A3B-NVFP4", 1, 131072, 8192, "fp8"),
    ("Qwen/Qwen3.8-27B-FP8", 2, 262144, 2048, "fp8"),
]


def question(name: str, tensor: int, length: int, in_flight: int, dtype: str) -> dict[str, Any]:
    """The layers as vLLM's specs are built from; blocks of hybrid models as its platform code enlarges them."""
    model = known_models()[name]
    kv_dtype = "fp8" if dtype == "fp8" else "auto"
    groups = layout(model, tensor=tensor, kv_dtype=kv_dtype, in_flight_tokens=in_flight).groups
    hybrid = any(a.kind == "state" for a in model.attention)
    block = max(g.block_size for g in groups) if hybrid else 16
    page = max(token_bytes(a, tensor=tensor, kv_dtype=kv_dtype) for a in model.attention) * block
    layers = [
        {
            "kind": a.kind,
            "count": a.layers,
            "heads": max(1, a.kv_heads // tensor),
            "dim": a.head_dim,
            "window": a.window,
            "conv": a.conv_bytes // tensor,
            "state": a.state_bytes // tensor,
            "padded": page,
        }
        for a in model.attention
    ]
    return {
        "layers": layers,
        "block": block,
        "length": length,
        "batched": in_flight,
        "available": AVAILABLE,
        "dtype": dtype,
    }


def test_full_sequences_at_once_are_those_of_vllms_own_specs() -> None:
    asked = json.dumps([question(*case) for case in CASES])
    # -P: the modules beside the script are none of its own.
    command: list[str | Path] = [engine.ensure() / "bin" / "python3", "-P", ORACLE]
    ran = subprocess.run(command, input=asked, capture_output=True, text=True, check=False, timeout=500)
    assert ran.returncode == 0, ran.stderr[-2000:]
    for case, said in zip(CASES, json.loads(ran.stdout.splitlines()[-1]), strict=True):
        name, tensor, length, in_flight, dtype = case
        kv_dtype = "fp8" if dtype == "fp8" else "auto"
        mine = layout(known_models()[name], tensor=tensor, kv_dtype=kv_dtype, in_flight_tokens=in_flight)
        assert mine.blocks(length) == said["perRequest"], name
        assert isclose(mine.concurrency(AVAILABLE, length), said["concurrency"]), name
