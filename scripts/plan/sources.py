"""Where a model's facts come from: a local folder, the table of this package, or the Hugging Face hub."""

import difflib
import json
import os
import struct
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from scripts.console import UserError
from scripts.plan.catalog import GIB, load
from scripts.plan.model_facts import Model, from_config

TOWERS = (
    "visual.",
    "vision_",
    "model.visual",
    "model.vision",
    "audio_",
    "model.audio",
    "multi_modal_projector",
    "embed_vision",
)
DRAFTS = ("mtp.", "model.mtp")
BYTES = {"F64": 8, "F32": 4, "I32": 4, "U32": 4, "I64": 8, "BF16": 2, "F16": 2, "I16": 2, "U16": 2}


def find_model(name: str) -> Model:
    """A model by folder, by name in the table, or by its id on the hub. Raises UserError that says the ways round."""
    folder = Path(name).expanduser()
    if (folder / "config.json").is_file():
        return from_folder(folder)
    if folder.is_dir():
        raise UserError(
            f"--model: {folder} has no config.json",
            why="the size of weights and cache follows from it",
            fix="name the folder that holds config.json and the safetensors files",
        )
    return known_models()[_spelled(name)] if _spelled(name) in known_models() else from_hub(name)


@cache
def known_models() -> dict[str, Model]:
    """The table of this package."""
    found = {}
    for name, entry in load("models.yaml")["models"].items():
        model = from_config(
            name, entry["config"], checkpoint_bytes=entry.get("weightsGiB", 0) * GIB, source="models.yaml"
        )
        found[name] = replace(model, replicated_bytes=entry.get("towersGiB", 0) * GIB)
    return found


def _spelled(name: str) -> str:
    """The name as the table has it, whatever the letter case, with or without the organisation."""
    for known in known_models():
        if name.lower() in (known.lower(), known.lower().split("/")[-1]):
            return known
    return name


def from_folder(folder: Path) -> Model:
    """A model from ``config.json`` and what is there of its safetensors files: their headers, or the index."""
    config = _json(folder / "config.json")
    headers = [_header(file) for file in sorted(folder.glob("*.safetensors"))]
    if headers:
        tensors = {name: info for header in headers for name, info in header.items()}
        model = from_config(folder.name, config, checkpoint_bytes=_sum(tensors), source=str(folder))
        return _with_tensors(model, tensors)
    index = folder / "model.safetensors.index.json"
    size = float((_json(index).get("metadata") or {}).get("total_size", 0)) if index.is_file() else 0
    source = f"{folder} ({'index' if size else 'no weights there: size counted from config.json'})"
    return from_config(folder.name, config, checkpoint_bytes=size, source=source)


def from_hub(name: str) -> Model:
    """A model from the hub (HF_ENDPOINT, HF_TOKEN): config.json and the safetensors index or header, no weights."""
    base = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/") + f"/{name}/resolve/main/"
    token = os.environ.get("HF_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.Client(base_url=base, headers=headers, follow_redirects=True, timeout=10) as hub:
            config = hub.get("config.json").raise_for_status().json()
            index = hub.get("model.safetensors.index.json")
            if index.status_code == httpx.codes.OK:
                size = float(index.json()["metadata"]["total_size"])
                return from_config(name, config, checkpoint_bytes=size, source="hub")
            tensors = _remote_header(hub)
    except (httpx.HTTPError, ValueError, KeyError) as error:
        raise _unreachable(name, error) from error
    model = from_config(name, config, checkpoint_bytes=_sum(tensors), source="hub")
    return _with_tensors(model, tensors)


def _remote_header(hub: httpx.Client) -> dict[str, Any]:
    """The header of the only safetensors file of a repository, by two ranges."""
    first = hub.get("model.safetensors", headers={"Range": "bytes=0-7"}).raise_for_status().content
    (length,) = struct.unpack("<Q", first[:8])
    body = hub.get("model.safetensors", headers={"Range": f"bytes=8-{7 + length}"}).raise_for_status().content
    header: dict[str, Any] = json.loads(body[:length])
    header.pop("__metadata__", None)
    return header


def _unreachable(name: str, error: Exception) -> UserError:
    close = difflib.get_close_matches(name, known_models(), n=1, cutoff=0.4)
    return UserError(
        f"--model: {name!r} is no folder, not in the table, and the hub gave nothing ({error})",
        why="without config.json nothing can be sized; a gated model needs HF_TOKEN, no network needs a folder",
        fix="--model FOLDER with its config.json and model.safetensors.index.json"
        + (f", or --model {close[0]}" if close else "")
        + "; `vllm-charts plan models` lists the table",
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"--model: {path} cannot be read: {error}", fix="repair the file, or name another folder"
        ) from error
    if not isinstance(value, dict):
        raise UserError(f"--model: {path} is not a JSON object", fix="name the folder of a Hugging Face model")
    return value


def _header(file: Path) -> dict[str, Any]:
    """Names, types and shapes of the tensors in a safetensors file: 8 bytes of length, then JSON."""
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length))
    except (OSError, ValueError, struct.error) as error:
        raise UserError(f"--model: {file} is not a safetensors file: {error}", fix="download it again") from error
    header.pop("__metadata__", None)
    return dict(header)


def _sum(tensors: dict[str, Any], prefixes: tuple[str, ...] = ("",)) -> float:
    """Bytes of the tensors whose names begin so."""
    return float(sum(t["data_offsets"][1] - t["data_offsets"][0] for n, t in tensors.items() if n.startswith(prefixes)))


def _with_tensors(model: Model, tensors: dict[str, Any]) -> Model:
    """What only tensor names and types tell: towers, draft layers, float32 that is loaded as the model's type."""
    wide = sum(
        (t["data_offsets"][1] - t["data_offsets"][0]) / 2
        for n, t in tensors.items()
        if t["dtype"] == "F32" and n.endswith(".weight") and len(t["shape"]) >= 2
    )
    drafts = _sum(tensors, (*DRAFTS, f"model.layers.{model.layers}."))
    return replace(
        model,
        checkpoint_bytes=model.checkpoint_bytes - wide,
        replicated_bytes=_sum(tensors, TOWERS) if model.multimodal else 0,
        unloaded_bytes=drafts,
    )
