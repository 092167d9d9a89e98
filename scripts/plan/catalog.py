"""The dated tables beside the code: GPUs, prices, overhead by engine version."""

import difflib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from scripts.console import UserError

HERE = Path(__file__).parent
GIB = 2**30


@dataclass(frozen=True)
class Gpu:
    """One kind of GPU. Memory in GiB as the driver reports it, bandwidths in GB/s, compute in dense TFLOPS."""

    name: str
    memory_gib: float
    bandwidth: float
    bf16_tflops: float
    fp8_tflops: float
    link: float
    capability: float
    product: str
    instance: tuple[str, int, int, int] | None
    """The smallest machine of a cloud: name, GPUs, vCPU, memory in GiB."""

    @property
    def large(self) -> bool:
        """Whether vLLM's defaults for big cards apply: 70 GiB and more, and not an A100 (get_batch_defaults).

        NVML tells no memory of a GB10 (it is the host's), and the engine then takes the defaults of small cards.
        """
        return self.memory_gib >= 70 and not self.name.startswith(("A100", "GB10"))


def load(name: str) -> Any:
    """A table of this package, parsed."""
    return yaml.load((HERE / name).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


@cache
def gpus() -> dict[str, Gpu]:
    """All GPUs by name."""
    return {name: _gpu(name, entry) for name, entry in load("gpus.yaml").items()}


def _gpu(name: str, entry: dict[str, Any]) -> Gpu:
    instance = entry.get("instance")
    return Gpu(
        name=name,
        memory_gib=entry["memoryGiB"],
        bandwidth=entry["bandwidthGBs"],
        bf16_tflops=entry["bf16TFLOPS"],
        fp8_tflops=entry["fp8TFLOPS"],
        link=entry["linkGBs"],
        capability=entry["capability"],
        product=entry["product"],
        instance=tuple(instance) if instance else None,
    )


def find_gpu(name: str) -> Gpu:
    """A GPU by name; letter case and the usual spellings (A100, H100-80GB, L4-24GB, RTX4090) do not matter."""
    wanted = _plain(name)
    aliases = {"a100": "a10080gb", "h100sxm": "h100", "h200sxm": "h200"}
    wanted = aliases.get(wanted, wanted)
    plain = {_plain(known): gpu for known, gpu in gpus().items()}
    if exact := plain.get(wanted):
        return exact
    # L4-24GB, H200-141GB: the name and what the box says of its memory. The longest name that matches is meant.
    sized = [k for k in plain if wanted.startswith(k) and wanted.endswith("gb") and wanted[len(k) : -2].isdigit()]
    if sized:
        return plain[max(sized, key=len)]
    close = difflib.get_close_matches(name, gpus(), n=1, cutoff=0.5)
    raise UserError(
        f"--gpu: {name!r} is not in the catalogue" + (f" (did you mean {close[0]}?)" if close else ""),
        why=f"known are {', '.join(gpus())}",
        fix="choose one of these, and say --gpu-memory-gib where yours has another size",
    )


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum()).removeprefix("nvidia")
