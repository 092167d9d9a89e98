"""Fetches a model from the Hugging Face hub into the cache, once.

Runs in the engine's own image, with nothing but its huggingface_hub. What was fetched before is not fetched again:
whole files are kept, a file that broke off goes on, and the marker, written last, says that all are there.

Environment: MODEL, REVISION (empty: the default branch), MARKER (a path in the cache), and what huggingface_hub reads.
"""

import os
import pathlib

from huggingface_hub import HfApi, snapshot_download

ALWAYS = ("original/*", "metal/*", "onnx/*", "openvino/*", "*.pth", "*.gguf", "*.onnx", "*.h5", "*.msgpack", "*.ot")
"""Forms of the same weights that vLLM does not read; the first two are as large as the weights themselves."""

BESIDE_SAFETENSORS = ("*.bin", "*.pt")
"""Older forms, read only where there is no safetensors."""


def left_out(files: list[str]) -> list[str]:
    """Patterns of files that the engine would not read."""
    has_safetensors = any(name.endswith(".safetensors") and "/" not in name for name in files)
    return [*ALWAYS, *(BESIDE_SAFETENSORS if has_safetensors else ())]


def main() -> None:
    model, revision = os.environ["MODEL"], os.environ["REVISION"] or None
    marker = pathlib.Path(os.environ["MARKER"])
    if marker.exists():
        print(f"the weights are whole: {marker.read_text()}")
        return
    ignored = left_out(HfApi().list_repo_files(model, revision=revision))
    path = snapshot_download(model, revision=revision, ignore_patterns=ignored)
    marker.write_text(path)
    print(f"downloaded to {path}")


if __name__ == "__main__":
    main()
