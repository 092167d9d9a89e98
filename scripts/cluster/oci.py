"""Writes container images from local files: an archive in the OCI image layout that ``ctr images import`` takes.

No registry, no daemon, no base image. The same content always gives the same digest: every time stamp is zero.
"""

import hashlib
import io
import json
import os
import platform
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"

USERS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n"
GROUPS = "root:x:0:\nnogroup:x:65534:\n"


@dataclass(frozen=True)
class Image:
    """An image to be written.

    Attributes:
        reference: the full name with its tag. Names under ``localhost/`` are never looked for in a registry.
        entrypoint: the program that the container runs.
        files: path in the image and where its content comes from: a file, a folder (taken whole) or text.
        links: path in the image and what the symbolic link says.
        environment: variables of every container of the image.
        user: numeric user, or empty for root.
        folder: working folder.
    """

    reference: str
    entrypoint: tuple[str, ...]
    files: Mapping[str, Path | str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    folder: str = "/"


class LayerWriter:
    """Writes the one layer of an image, parents before children, each path once."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self.archive = archive
        self.written: set[str] = set()

    def entry(self, path: str, kind: bytes, mode: int) -> tarfile.TarInfo | None:
        """A header for a path that has not been written yet; makes its parents first."""
        parent = str(PurePosixPath(path).parent)
        if parent != "/":
            self.folder(parent)
        if path in self.written:
            return None
        self.written.add(path)
        info = tarfile.TarInfo(path.lstrip("/"))
        info.type, info.mode = kind, mode
        return info

    def folder(self, path: str, mode: int = 0o755) -> None:
        if info := self.entry(path, tarfile.DIRTYPE, mode):
            self.archive.addfile(info)

    def link(self, path: str, target: str) -> None:
        if info := self.entry(path, tarfile.SYMTYPE, 0o777):
            info.linkname = target
            self.archive.addfile(info)

    def text(self, path: str, content: str) -> None:
        if info := self.entry(path, tarfile.REGTYPE, 0o644):
            data = content.encode()
            info.size = len(data)
            self.archive.addfile(info, io.BytesIO(data))

    def file(self, path: str, source: Path) -> None:
        mode = 0o755 if os.access(source, os.X_OK) else 0o644
        if info := self.entry(path, tarfile.REGTYPE, mode):
            info.size = source.stat().st_size
            with source.open("rb") as content:
                self.archive.addfile(info, content)

    def tree(self, path: str, source: Path) -> None:
        """A folder whole, links kept as links, without caches of bytecode made by the host."""
        self.folder(path)
        for item in sorted(source.iterdir()):
            target = f"{path}/{item.name}"
            if item.is_symlink():
                self.link(target, str(item.readlink()))
            elif item.is_dir():
                self.tree(target, item)
            elif item.is_file():
                self.file(target, item)


def write_layer(image: Image, out: Path) -> None:
    """The file system of an image as an uncompressed tar: it is imported on the same machine at once."""
    with tarfile.open(out, "w") as archive:
        writer = LayerWriter(archive)
        writer.folder("/tmp", 0o1777)  # noqa: S108 (inside the image)
        for path, target in image.links.items():
            writer.link(path, target)
        texts = {"/etc/passwd": USERS, "/etc/group": GROUPS, "/etc/nsswitch.conf": "hosts: files dns\n"}
        for path, source in {**texts, **image.files}.items():
            if isinstance(source, str):
                writer.text(path, source)
            elif source.is_dir():
                writer.tree(path, source)
            else:
                writer.file(path, source)


def digest_of(path: Path) -> str:
    """``sha256:...`` of a file."""
    with path.open("rb") as content:
        return f"sha256:{hashlib.file_digest(content, 'sha256').hexdigest()}"


def descriptor(kind: str, digest: str, size: int, **more: Any) -> dict[str, Any]:
    """How one part of an image names another."""
    return {"mediaType": kind, "digest": digest, "size": size, **more}


def write_image(image: Image, out: Path) -> None:
    """Writes the archive; it appears under its name only when it is whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    layer, temporary = out.with_suffix(".layer"), out.with_suffix(".partial")
    try:
        write_layer(image, layer)
        with tarfile.open(temporary, "w") as archive:
            write_archive(archive, image, layer)
        temporary.rename(out)
    finally:
        layer.unlink(missing_ok=True)
        temporary.unlink(missing_ok=True)


def write_archive(archive: tarfile.TarFile, image: Image, layer: Path) -> None:
    """The OCI layout: index, manifest, configuration, layer; content addressed by digest."""
    layer_digest = digest_of(layer)
    container = {
        "Entrypoint": list(image.entrypoint),
        "Env": [f"{name}={value}" for name, value in image.environment.items()],
        "User": image.user,
        "WorkingDir": image.folder,
    }
    config = as_json(
        architecture=ARCHITECTURES.get(platform.machine(), platform.machine()),
        os="linux",
        config=container,
        rootfs={"type": "layers", "diff_ids": [layer_digest]},
    )
    manifest = as_json(
        schemaVersion=2,
        mediaType=MANIFEST,
        config=descriptor(CONFIG, digest_of_bytes(config), len(config)),
        layers=[descriptor(LAYER, layer_digest, layer.stat().st_size)],
    )
    names = {"io.containerd.image.name": image.reference, "org.opencontainers.image.ref.name": image.reference}
    entry = descriptor(MANIFEST, digest_of_bytes(manifest), len(manifest), annotations=names)
    index = as_json(schemaVersion=2, manifests=[entry])
    add_bytes(archive, [("oci-layout", as_json(imageLayoutVersion="1.0.0")), ("index.json", index)])
    add_bytes(archive, [(blob(digest_of_bytes(data)), data) for data in (manifest, config)])
    info = tarfile.TarInfo(blob(layer_digest))
    info.size, info.mode = layer.stat().st_size, 0o644
    with layer.open("rb") as content:
        archive.addfile(info, content)


def as_json(**values: Any) -> bytes:
    """JSON in one fixed form, so that digests are stable."""
    return json.dumps(values, sort_keys=True).encode()


def digest_of_bytes(data: bytes) -> str:
    """``sha256:...`` of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def blob(digest: str) -> str:
    """Where the layout keeps content."""
    return f"blobs/{digest.replace(':', '/')}"


def add_bytes(archive: tarfile.TarFile, files: Iterable[tuple[str, bytes]]) -> None:
    """Adds small files to the archive."""
    for name, data in files:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o644
        archive.addfile(info, io.BytesIO(data))
