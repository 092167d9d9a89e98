"""Where things are: the tree, and the cache outside it.

Nothing built or downloaded is ever written into the tree but ``.venv`` and ``.artifacts`` (both ignored by git).
"""

import os
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
CHARTS = REPO / "charts"
SCHEMAS = REPO / "schemas"
VALUES = REPO / "values"
TESTS = REPO / "tests"
TOOLS = REPO / "tools"
REQUIREMENTS = REPO / "requirements"

VENV = REPO / ".venv"
"""The Python environment that ``scripts/bootstrap.sh`` makes."""

ARTIFACTS = REPO / ".artifacts"
"""Reports of test runs: timings, logs of the local cluster."""


def _cache() -> Path:
    """The cache folder: ``$VLLM_CHARTS_CACHE``, else ``vllm-charts`` in the XDG cache folder."""
    if explicit := os.environ.get("VLLM_CHARTS_CACHE"):
        return Path(explicit).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).expanduser().resolve() / "vllm-charts"


CACHE = _cache()
BIN = CACHE / "bin"
"""Built tools under their plain names (``helm``, ``kubectl``, ``etcd`` ...)."""

GO_BUILD_CACHE = CACHE / "go-build"
LOCKS = CACHE / "locks"
LOGS = CACHE / "log"
ENGINE = CACHE / "engine"
"""Environments of the CPU build of vLLM, one per version and recipe."""
