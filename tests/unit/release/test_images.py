"""The list of images."""

from typing import Any

import pytest

from scripts.paths import VALUES
from scripts.release.images import images_of, of_model


def pod(**parts: Any) -> dict[str, Any]:
    return {"kind": "Pod", "spec": parts}


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (pod(containers=[{"image": "a/b:1"}], initContainers=[{"image": "c:2"}]), {"a/b:1", "c:2"}),
        (pod(volumes=[{"image": {"reference": "weights:1"}}]), {"weights:1"}),
        (pod(containers=[{"image": "a@sha256:" + "0" * 64}]), {"a@sha256:" + "0" * 64}),
        ({"spec": {"driver": {"repository": "r.io/n", "image": "driver", "version": "580"}}}, {"r.io/n/driver:580"}),
        (
            {"spec": {"driver": {"repository": "r.io", "image": "d", "version": "sha256:ab"}}},
            {"r.io/d@sha256:ab"},
        ),
        (
            pod(containers=[{"image": "o:1", "args": ["--prometheus-config-reloader=q.io/r:v2"]}]),
            {"o:1", "q.io/r:v2"},
        ),
        (pod(containers=[{"image": "localhost/vllm-cpu:1"}]), set()),
    ],
    ids=["containers", "volume", "digest", "operator", "operator-digest", "flag", "made-here"],
)
def test_images_are_found_wherever_they_are_named(body: dict[str, Any], wanted: set[str]) -> None:
    assert images_of([body]) == wanted


def test_a_model_that_copies_from_a_bucket_needs_the_copying_image_too() -> None:
    path = VALUES / "models" / "llama-3.1-8b-instruct-l4.yaml"
    assert of_model(path) == {"vllm/vllm-openai:v0.33.0"}


@pytest.mark.parametrize("path", sorted((VALUES / "models").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_image_of_every_model_is_pinned(path: Any) -> None:
    for image in of_model(path):
        assert not image.endswith(":latest")
        assert ":" in image or "@" in image
