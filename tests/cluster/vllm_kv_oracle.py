# mypy: ignore-errors
"""Asks vLLM's own classes how many sequences a KV cache holds. Run by the Python of the engine's environment.

Standard input: a JSON list of cases {layers: [{kind, count, heads, dim, window, conv, state, padded}], block, length,
batched, available, dtype}. Standard output: a JSON list of {blocks, perRequest, concurrency}. No GPU, no weights.
"""

import json
import sys
from types import SimpleNamespace
from typing import Any

import torch
from vllm.v1.core import kv_cache_utils as utils
from vllm.v1.kv_cache_interface import FullAttentionSpec, MambaSpec, MLAAttentionSpec, SlidingWindowSpec


def spec(layer: dict[str, Any], case: dict[str, Any]) -> Any:
    dtype = {"bf16": torch.bfloat16, "fp8": torch.uint8}[case["dtype"]]
    shape = {"block_size": case["block"], "num_kv_heads": layer["heads"], "head_size": layer["dim"], "dtype": dtype}
    if layer["kind"] == "sliding":
        return SlidingWindowSpec(sliding_window=layer["window"], **shape)
    if layer["kind"] == "mla":
        return MLAAttentionSpec(**shape)
    if layer["kind"] == "state":
        # One page holds both states; the engine pads it to the page of an attention block.
        return MambaSpec(
            block_size=case["length"],
            shapes=((layer["conv"] // 2,), (layer["state"] // 4,)),
            dtypes=(torch.bfloat16, torch.float32),
            page_size_padded=layer["padded"],
            mamba_cache_mode="align",
        )
    return FullAttentionSpec(**shape)


def config(case: dict[str, Any]) -> Any:
    """As much of a VllmConfig as the functions read."""
    return SimpleNamespace(
        max_in_flight_tokens=case["batched"],
        model_config=SimpleNamespace(max_model_len=case["length"]),
        parallel_config=SimpleNamespace(decode_context_parallel_size=1, prefill_context_parallel_size=1),
        scheduler_config=SimpleNamespace(
            max_num_batched_tokens=case["batched"], disable_hybrid_kv_cache_manager=False, max_num_seqs=256
        ),
        cache_config=SimpleNamespace(
            num_gpu_blocks_override=None, mamba_cache_mode="align", enable_prefix_caching=True
        ),
        attention_config=SimpleNamespace(hisparse_config=None),
        speculative_config=None,
        num_speculative_tokens=0,
    )


def answer(case: dict[str, Any]) -> dict[str, float]:
    layers = {f"{i}.{n}": spec(layer, case) for i, layer in enumerate(case["layers"]) for n in range(layer["count"])}
    uniform = {type(s) for s in layers.values()}
    of = config(case)
    if len(uniform) > 1:
        layers = utils.unify_kv_cache_spec_page_size(layers)
    groups = (
        utils._get_kv_cache_groups_uniform_spec(layers)
        if utils.is_kv_cache_spec_uniform(layers)
        else utils._get_kv_cache_groups_uniform_page_size(layers)
    )
    page = next(iter(groups)).kv_cache_spec.page_size_bytes
    widest = max(len(g.layer_names) for g in groups)
    blocks = int(case["available"] // (page * widest))
    holder = SimpleNamespace(kv_cache_groups=groups, num_blocks=blocks)
    concurrency = utils.get_max_concurrency_for_kv_cache_config(of, holder)
    return {"blocks": blocks, "perRequest": blocks / concurrency, "concurrency": concurrency}


if __name__ == "__main__":
    print(json.dumps([answer(case) for case in json.load(sys.stdin)]))
