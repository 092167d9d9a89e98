"""Every image that an install may pull, for sites without internet."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from scripts.platform_chart import UMBRELLA, dependencies
from scripts.render import Object, release_name, render

IMAGE_IN_ARGUMENT = re.compile(
    r"^--[a-z-]*(?:image|reloader|config-reloader)[a-z-]*=(?P<image>[\w./-]+(?::[\w.-]+|@sha256:[0-9a-f]{64}))$"
)
"""``--prometheus-config-reloader=quay.io/...:v0.1``: operators are told by flags which images to run."""

LOCAL = "localhost/"
"""Images that are made on the machine (the demo's engine) and cannot be pulled from anywhere."""


def images_of(objects: Iterable[Object]) -> set[str]:
    """All images in a set of objects: of containers, of image volumes, in flags and in the operators' own resources."""
    return {image for body in objects for image in _images(body) if image and not image.startswith(LOCAL)}


def _images(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from _named(value)
        for inner in value.values():
            yield from _images(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _images(inner)
    elif isinstance(value, str) and (found := IMAGE_IN_ARGUMENT.match(value)):
        yield found["image"]


def _named(value: dict[str, Any]) -> Iterator[str]:
    """The image that a mapping itself names, in one of the three ways there are."""
    image, volume = value.get("image"), value.get("image")
    if isinstance(image, str) and "repository" in value and "version" in value:  # ClusterPolicy of the GPU Operator
        separator = "@" if str(value["version"]).startswith("sha256:") else ":"
        yield f"{value['repository']}/{image}{separator}{value['version']}"
    elif isinstance(image, str) and re.search(r"[:@]", image):
        yield image
    elif isinstance(volume, dict) and isinstance(volume.get("reference"), str):  # an image volume
        yield volume["reference"]


def of_model(path: Path) -> set[str]:
    """Images of one values file of charts/vllm-model, its test and its downloads included."""
    return images_of(render("vllm-model", [path], release=release_name(path)).objects)


def of_platform(path: Path | None) -> set[str]:
    """Images of the umbrella with its operators, whose archives must be there (``make deps``)."""
    return images_of(render(UMBRELLA, [path] if path else [], release="llm").objects)


def has_dependencies() -> bool:
    """Whether the umbrella can be rendered with its real operators."""
    return all(
        entry.is_local or (UMBRELLA / "charts" / f"{entry.name}-{entry.version}.tgz").is_file()
        for entry in dependencies()
    )
