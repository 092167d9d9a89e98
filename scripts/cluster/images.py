"""The images of the local cluster, made from files of this machine."""

import hashlib
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts import tools
from scripts.cluster import engine, host, model
from scripts.cluster.configs import PAUSE_IMAGE
from scripts.cluster.libraries import MERGED_LINKS, in_image, shared_libraries
from scripts.cluster.oci import Image, write_image
from scripts.locks import locked
from scripts.paths import CACHE
from scripts.tools.catalog import TOOLS

RECIPE = 3
"""Raise it when images are to be written anew although none of their files has changed."""

PYTHON_IMAGE = "localhost/python:1"
"""Python, a shell and a few small programs: for helper pods, clients and load generators of tests."""

COREDNS_IMAGE = "localhost/coredns:1"
TINY_MODEL = "/models/tiny"
"""Where the engine's image holds the tiny model."""

PROGRAMS = (
    *("cat", "chmod", "cp", "date", "df", "dirname", "env", "grep", "head", "hostname", "id", "ln", "ls", "lscpu"),
    *("mkdir", "mv", "nproc", "realpath", "rm", "sed", "sh", "sleep", "sort", "tail", "touch", "uname", "wc"),
)
"""Small programs of the Python image. lscpu is not for people: vLLM asks it which cores it may use."""


def engine_reference() -> str:
    """Name and tag of the image with the CPU build of vLLM."""
    return f"localhost/vllm-cpu:{engine.version()}"


def pause() -> Image:
    """The first process of every pod."""
    return Image(PAUSE_IMAGE, ("/pause",), {"/pause": tools.ensure("pause")}, user="65535:65535")


def coredns() -> Image:
    """Cluster DNS."""
    return Image(COREDNS_IMAGE, ("/coredns",), {"/coredns": tools.ensure("coredns")})


def small_programs(*more: str) -> dict[str, Path]:
    """The small programs that this machine has, and others by name: path in the image and file."""
    found = {name: shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin") for name in (*PROGRAMS, *more)}
    return {f"/usr/bin/{name}": Path(path).resolve() for name, path in found.items() if path}


def python_files() -> dict[str, Path]:
    """The interpreter and its standard library, at the paths that they have on this machine."""
    python = engine.base_python()
    code = "import sysconfig; print(sysconfig.get_paths()['stdlib'])"
    library = Path(subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip())
    own = [path for path in library.iterdir() if path.name not in {"site-packages", "dist-packages", "test", "tests"}]
    return {str(python): python} | {in_image(str(path)): path for path in own if path.exists()}


def with_libraries(files: Mapping[str, Path]) -> dict[str, Path]:
    """Adds the shared libraries that the files need."""
    binaries = [path for path in files.values() if path.is_file()]
    binaries += [path for folder in files.values() if folder.is_dir() for path in folder.rglob("*.so*")]
    return shared_libraries(binaries) | dict(files)


def python() -> Image:
    """Python without packages."""
    interpreter = str(engine.base_python())
    return Image(
        PYTHON_IMAGE,
        ("/usr/bin/python3",),
        with_libraries(python_files() | small_programs()),
        links=MERGED_LINKS | {"/usr/bin/python3": interpreter},
        environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"},
    )


def vllm() -> Image:
    """The engine: Python, the libraries that the environment needs from the host, and the tiny model.

    The environment itself is mounted at /opt/vllm into containers that ask for a GPU. In others the image still has
    ``python3``, which is what the chart's test pods use.
    """
    base, home = python(), engine.ensure()
    host.require_libraries(engine.LIBRARIES)
    needed = shared_libraries(path for path in home.rglob("*.so*") if "nvidia" not in path.parts)
    outside = {name: path for name, path in needed.items() if not path.is_relative_to(home)}
    return Image(
        engine_reference(),
        ("vllm", "serve"),  # as in the upstream image
        {**outside, **base.files, TINY_MODEL: model.ensure()},
        links=base.links,
        environment={**base.environment, "PATH": f"{engine.MOUNT}/bin:{base.environment['PATH']}"},
        folder="/vllm-workspace",
    )


def archive(image: Image) -> Path:
    """The archive of any image in the cache, written first if it or a file of it is new."""
    return stored(image.reference, key(image), lambda: image)


def node_archives() -> list[Path]:
    """The archives that every cluster starts with."""
    pause_key, coredns_key = TOOLS["pause"].key, TOOLS["coredns"].key
    return [
        stored(PAUSE_IMAGE, f"{pause_key}-{RECIPE}", pause),
        stored(COREDNS_IMAGE, f"{coredns_key}-{RECIPE}", coredns),
        stored(PYTHON_IMAGE, python_key(), python),
    ]


def engine_archive() -> Path:
    """The archive of the engine's image."""
    return stored(engine_reference(), f"{engine.environment().name}-{python_key()}-{model.RECIPE}", vllm)


def stored(reference: str, key: str, make: Callable[[], Image]) -> Path:
    """An archive by its key. The image itself is put together only if it has to be written: that takes seconds."""
    name = reference.rpartition("/")[2].replace(":", "-")
    path = CACHE / "images" / f"{name}-{key}.tar"
    if not path.exists():
        with locked("images"):
            if not path.exists():
                write_image(make(), path)
    return path


def python_key() -> str:
    """Changes with the interpreter and with the choice of programs."""
    python = engine.base_python()
    digest = hashlib.sha256(f"{RECIPE}{python}{python.stat().st_mtime_ns}{PROGRAMS}".encode())
    return digest.hexdigest()[:12]


def key(image: Image) -> str:
    """A digest of everything that an image is made of."""
    digest = hashlib.sha256(f"{RECIPE}{image.reference}{image.entrypoint}{image.links}{image.environment}".encode())
    digest.update(f"{image.user}{image.folder}".encode())
    for path, source in sorted(image.files.items()):
        digest.update(f"{path}{source}".encode())
        if isinstance(source, Path):
            state = source.stat()
            digest.update(f"{state.st_size}{state.st_mtime_ns}".encode())
    return digest.hexdigest()[:12]
