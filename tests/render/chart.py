"""Short words for the tests of this folder: render one model, and look at its parts."""

from collections.abc import Mapping
from typing import Any

from scripts.render import Object, Render, render, serving_pod
from tests.render.variants import Values as Values

MODEL: Values = {"model": {"id": "org/model"}, "weights": {"sizeGiB": 15}}
"""The least that renders, with a size, so that numbers in tests are round."""


def model(values: Mapping[str, Any] | None = None, **options: Any) -> Render:
    """Renders ``vllm-model`` with the least values and those given over them: release ``demo``, namespace ``llm``."""
    return render("vllm-model", [MODEL, values or {}], **{"namespace": "llm", **options})


def workload(made: Render) -> Object:
    """The object that makes the serving pods."""
    found = [body for body in made.objects if serving_pod(body) is not None]
    assert len(found) == 1, [body["kind"] for body in found]
    return found[0]


def pod(made: Render) -> Object:
    """The spec of the pods that serve."""
    spec = serving_pod(workload(made))
    assert spec is not None
    return spec


def engine(made: Render) -> Object:
    """The container of the engine in a serving pod."""
    container: Object = pod(made)["containers"][0]
    return container


def arguments(made: Render) -> list[str]:
    """The engine's command line after its command."""
    found: list[str] = engine(made)["args"]
    return found


def flag(made: Render, name: str) -> str | None:
    """The value of ``--name=value``; empty for a bare ``--name``, None where it is absent. Fails if it stands twice."""
    found = [text for text in arguments(made) if text == f"--{name}" or text.startswith(f"--{name}=")]
    assert len(found) < 2, found
    return found[0].removeprefix(f"--{name}").removeprefix("=") if found else None


def environment(container: Object) -> dict[str, Any]:
    """A container's variables by name: text, or what ``valueFrom`` says."""
    names = [entry["name"] for entry in container.get("env", [])]
    assert len(names) == len(set(names)), f"set twice: {names}"
    return {entry["name"]: entry["value"] if "value" in entry else entry["valueFrom"] for entry in container["env"]}


def pod_specs(body: Object) -> list[tuple[str, Object]]:
    """Every pod that an object makes, with where it stands: of a LeaderWorkerSet two, of a Secret none."""
    spec = body.get("spec") or {}
    match body["kind"]:
        case "Pod":
            return [("spec", spec)]
        case "LeaderWorkerSet":
            halves = spec["leaderWorkerTemplate"]
            return [(half, halves[half]["spec"]) for half in ("leaderTemplate", "workerTemplate")]
        case "InferenceService":
            return [("predictor", spec["predictor"])]
        case _ if "template" in spec:
            return [("template", spec["template"]["spec"])]
    return []


def containers(spec: Object) -> list[Object]:
    """Init containers and containers of a pod."""
    return [*spec.get("initContainers", []), *spec["containers"]]
