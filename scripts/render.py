"""Rendering a chart with Helm, cached by content.

A render depends on the chart's files, the values, a few arguments and the helm binary, and on nothing else. All of them
go into one hash, so tests over the same render, and the workers of one test run, share a single call of Helm.
A chart is always rendered whole: ``--show-only`` hides the errors of every other template.
"""

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from scripts.console import UserError, console
from scripts.kubernetes_modules import KUBERNETES_VERSION
from scripts.kubernetes_yaml import load
from scripts.paths import CACHE, CHARTS
from scripts.tools import ensure

Object = dict[str, Any]
"""One Kubernetes object. Renders are shared: never change one in place."""

Values = Mapping[str, Any] | Path | str
"""Values as a mapping, or the path of a values file."""

CACHED_CHARTS = 24
"""Contents of charts whose renders are kept on disk; the least recently written go first."""

_FORMAT = 1
"""Part of every key: raise it when what is stored changes."""


class RenderError(UserError):
    """Helm refused to render.

    Attributes:
        stderr: all that Helm said.
        message: the same without Helm's prefix and call stack: what a template's ``fail`` or the schema says.
    """

    def __init__(self, stderr: str) -> None:
        self.stderr = stderr
        text = stderr.strip().removesuffix("Use --debug flag to render out invalid YAML").strip()
        self.message = re.sub(r"^Error: (execution error at \([^)]*\): )?", "", text)
        super().__init__("Helm refuses to render", why=self.message)


@dataclass(frozen=True)
class Render:
    """What Helm made of a chart.

    Attributes:
        text: Helm's output as it is.
        documents: each object with the template it came from (``vllm-model/templates/service.yaml``).
    """

    text: str
    documents: tuple[tuple[str, Object], ...]

    @functools.cached_property
    def objects(self) -> list[Object]:
        """Every object, in Helm's order."""
        return [body for _, body in self.documents]

    def all(self, kind: str) -> list[Object]:
        """The objects of a kind."""
        return [body for body in self.objects if body["kind"] == kind]

    def one(self, kind: str, name: str | None = None) -> Object:
        """The only object of a kind (and name). Fails if there is none or more than one."""
        found = [body for body in self.all(kind) if name in (None, body["metadata"]["name"])]
        if len(found) != 1:
            there = ", ".join(f"{body['kind']}/{body['metadata'].get('name')}" for body in self.objects)
            raise LookupError(f"{len(found)} objects {kind}/{name or '*'}, wanted one; there are: {there}")
        return found[0]


@functools.cache
def helm_path(helm: str) -> str:
    """The pinned binary of ``helm`` or ``helm3``. Its path names its version and recipe."""
    return str(ensure(helm))


def render(
    chart: Path | str,
    values: Sequence[Values] = (),
    *,
    release: str = "demo",
    namespace: str = "default",
    kube_version: str = KUBERNETES_VERSION,
    api_versions: Sequence[str] = (),
    helm: str = "helm",
    set_: Sequence[str] = (),
) -> Render:
    """Renders a chart.

    Args:
        chart: its folder, or its name under ``charts/``.
        values: files or mappings, a later one over an earlier one, as with ``-f``.
        release: name of the release.
        namespace: namespace of the release.
        kube_version: the version that the chart believes it meets.
        api_versions: what the cluster serves beside Helm's built-in list (``keda.sh/v1alpha1/ScaledObject``).
        helm: ``helm`` (4) or ``helm3``.
        set_: ``key=value``, as with ``--set``.

    Raises:
        RenderError: Helm refused: a schema, a template, or the chart's validator.
    """
    folder = CHARTS / chart if isinstance(chart, str) and (CHARTS / chart).is_dir() else Path(chart)
    layers = tuple(_layer(entry) for entry in values)
    arguments = (
        *("--namespace", namespace, "--kube-version", kube_version),
        *(part for api in api_versions for part in ("--api-versions", api)),
        *(part for pair in set_ for part in ("--set", pair)),
    )
    content = chart_digest(folder)
    key = _digest(json.dumps([_FORMAT, content, layers, release, arguments, helm_path(helm)]).encode())
    return _from_stored(_stored(str(folder), content, key, layers, release, arguments, helm_path(helm)))


def _layer(values: Values) -> str:
    """One layer of values as text. A mapping becomes JSON, which is YAML."""
    if isinstance(values, Mapping):
        return json.dumps(values, sort_keys=True)
    return Path(values).read_text(encoding="utf-8")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]


def chart_digest(folder: Path) -> str:
    """Hash of the files of a chart that a render can depend on: all but its tests, examples and documents."""
    if not (folder / "Chart.yaml").is_file():
        raise UserError(f"{folder} is not a chart", why="it has no Chart.yaml", fix="ls charts/")
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in ("tests", "ci") and path.suffix != ".md"
    )
    stamps = tuple((str(path), status.st_size, status.st_mtime_ns) for path in files for status in (path.stat(),))
    return _digest_files(str(folder), stamps)


@functools.lru_cache(maxsize=64)
def _digest_files(folder: str, stamps: tuple[tuple[str, int, int], ...]) -> str:
    """Hash of names and contents. Sizes and times only tell when to read again: a copy elsewhere has the same hash."""
    whole = hashlib.sha256()
    for name, _, _ in stamps:
        content = Path(name).read_bytes()
        whole.update(f"{Path(name).relative_to(folder)}\0{len(content)}\0".encode())
        whole.update(content)
    return whole.hexdigest()[:16]


@functools.lru_cache(maxsize=4096)
def _stored(
    folder: str, content: str, key: str, layers: tuple[str, ...], release: str, arguments: tuple[str, ...], binary: str
) -> "Render | str":
    """The render of a key, from disk or from Helm; text is Helm's refusal. Only ``key`` decides, the rest makes it."""
    path = CACHE / "renders" / content / key
    try:
        return _unpack(path.read_bytes())
    except FileNotFoundError:
        result = _run(folder, layers, release, arguments, binary)
        _keep(path, result)
        return result


def _from_stored(stored: Render | str) -> Render:
    if isinstance(stored, str):
        raise RenderError(stored)
    return stored


def _run(folder: str, layers: Iterable[str], release: str, arguments: Iterable[str], binary: str) -> Render | str:
    """Calls Helm with an environment of its own: no cluster, no plugins, no settings of the user."""
    with tempfile.TemporaryDirectory(prefix="render-") as scratch:
        files: list[str] = []
        for number, layer in enumerate(layers):
            path = Path(scratch, f"{number}.yaml")
            path.write_text(layer, encoding="utf-8")
            files += ["--values", str(path)]
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("HELM_", "KUBE"))}
        environment |= {f"HELM_{kind}_HOME": f"{scratch}/{kind.lower()}" for kind in ("CACHE", "CONFIG", "DATA")}
        environment["KUBECONFIG"] = os.devnull
        command = [binary, "template", release, folder, *files, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return parse(done.stdout) if done.returncode == 0 else done.stderr.replace(scratch, "values")


def parse(text: str) -> Render:
    """Splits Helm's output into its objects. Block scalars are indented, so ``---`` at a line's start is a boundary."""
    documents: list[tuple[str, Object]] = []
    source = ""
    for part in re.split(r"(?m)^---[ \t]*$", text):
        if named := re.search(r"(?m)^# Source: (\S+)$", part):
            source = named.group(1)
        body = load(part)
        if body is not None:
            documents.append((source, body))
    return Render(text, tuple(documents))


def _unpack(data: bytes) -> Render | str:
    stored = json.loads(zlib.decompress(data))
    if isinstance(stored, str):
        return stored
    return Render(stored["text"], tuple((source, body) for source, body in stored["documents"]))


def _keep(path: Path, result: Render | str) -> None:
    """Writes a result whole or not at all, and drops the oldest charts' renders when a new chart comes in."""
    fresh = not path.parent.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = result if isinstance(result, str) else {"text": result.text, "documents": result.documents}
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as scratch:
        scratch.write(zlib.compress(json.dumps(stored).encode(), 1))
    Path(scratch.name).replace(path)
    if fresh:
        charts = sorted(path.parent.parent.iterdir(), key=lambda folder: folder.stat().st_mtime)
        for old in charts[:-CACHED_CHARTS]:
            shutil.rmtree(old, ignore_errors=True)


app = typer.Typer(rich_markup_mode=None)


@app.command()
def command(
    files: Annotated[list[Path], typer.Argument(help="Values files. Each is rendered on its own.", exists=True)],
    overlay: Annotated[list[Path] | None, typer.Option("--overlay", "-f", help="Laid over each file.")] = None,
    chart: Annotated[Path | None, typer.Option(help="The chart. Default: by what the file sets.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value, as in Helm.")] = None,
    kube_version: Annotated[str, typer.Option(help="Kubernetes version to render for.")] = KUBERNETES_VERSION,
    helm: Annotated[str, typer.Option(help="helm (4) or helm3.")] = "helm",
    output: Annotated[str, typer.Option("--output", "-o", help="summary or yaml.")] = "summary",
) -> None:
    """Render values files: a table of what each makes, checked against Kubernetes' schemas, or the objects."""
    from scripts.kubernetes_schemas import problems

    rows: list[tuple[Path, Render]] = []
    wrong: list[str] = []
    for path in files:
        made = render(
            chart or chart_of(path),
            [path, *(overlay or [])],
            release=release_name(path),
            kube_version=kube_version,
            helm=helm,
            set_=set_ or [],
        )
        rows.append((path, made))
        wrong += [f"{path}: {problem}" for body in made.objects for problem in problems(body)]
    if output == "yaml":
        for _, made in rows:
            typer.echo(made.text)
    else:
        _print_summary(rows)
    if wrong:
        raise UserError("objects that Kubernetes would refuse", why="\n".join(wrong), fix="look at the values named")


def chart_of(path: Path) -> str:
    """Which chart a values file is for: the umbrella if it has a map of models, else the model's."""
    values = load(path.read_text(encoding="utf-8")) or {}
    return "llm-platform" if {"models", "gateway", "vllm-model"} & values.keys() else "vllm-model"


def release_name(path: Path) -> str:
    """A release name made from a file's: lower case, no dots, at most 53 characters."""
    return re.sub(r"[^a-z0-9-]+", "-", path.stem.lower())[:53].strip("-")


def _print_summary(rows: Iterable[tuple[Path, Render]]) -> None:
    """One line a workload: what it asks of the cluster, and how long it may take to start and to leave."""
    table = Table(box=None, header_style="bold")
    table.add_column("values", overflow="fold")
    table.add_column("workload", no_wrap=True)
    for title in ("pods", "devices", "CPU", "memory", "start", "grace", "objects"):
        table.add_column(title, justify="right", no_wrap=True)
    for path, made in rows:
        for body in made.objects:
            if (pod := serving_pod(body)) is not None:
                table.add_row(*(escape(cell) for cell in _summary(path, body, pod)), str(len(made.objects)))
    console.print(table)


def serving_pod(body: Object) -> Object | None:
    """The spec of the pods that serve, if the object makes such pods: of a group of nodes, the leader's."""
    spec = body.get("spec") or {}
    match body["kind"]:
        case "Deployment" | "Rollout":
            pod: Object = spec["template"]["spec"]
        case "LeaderWorkerSet":
            pod = spec["leaderWorkerTemplate"]["leaderTemplate"]["spec"]
        case "InferenceService":
            pod = spec["predictor"]
        case _:
            return None
    return pod


def sure_seconds(container: Object) -> int:
    """Seconds that a startup probe surely allows: the kubelet kills at the last failure, not one period after it."""
    probe = container.get("startupProbe") or {}
    periods = int(probe.get("failureThreshold", 1)) - 1
    return int(probe.get("initialDelaySeconds", 0)) + periods * int(probe.get("periodSeconds", 10))


def _summary(path: Path, body: Object, pod: Object) -> list[str]:
    engine = pod["containers"][0]
    requests = engine["resources"]["requests"]
    devices = {key.removeprefix("nvidia.com/"): value for key, value in requests.items() if "/" in key}
    replicas = (body.get("spec") or {}).get("replicas")
    return [
        path.name,
        body["kind"],
        "scaled" if replicas is None else str(replicas),
        ", ".join(f"{value} {key}" for key, value in devices.items()) or "none",
        str(requests.get("cpu", "")),
        str(requests.get("memory", "")),
        f"{sure_seconds(engine)} s",
        f"{pod.get('terminationGracePeriodSeconds', 30)} s",
    ]
