"""``vllm-charts deps``: the operators that the umbrella chart depends on, and their custom resource definitions.

KEDA keeps its CRDs among its templates, and Helm maps every object of a release to a kind before it installs any: a
ScaledObject in KEDA's own first release fails. A chart's ``crds/`` folder is installed before that, so KEDA's are
unpacked into the umbrella's. Archives and CRDs are never committed; the archives' SHA-256 and the keys of their values
are.
"""

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from scripts import dependency_keys
from scripts.console import UserError, console, step
from scripts.kubernetes_yaml import load, load_all
from scripts.platform_chart import MODEL, UMBRELLA, Dependency, dependencies
from scripts.schema.dependencies import FOLDER, recorded
from scripts.tools import ensure
from scripts.tools.build import helm_folders

ARCHIVES = UMBRELLA / "charts"
CRDS = UMBRELLA / "crds"
HASHES = UMBRELLA / "dependencies.sha256"
"""SHA-256 of the archives, as ``sha256sum`` writes them. Chart.lock would say nothing about what is in them."""

KEYS = FOLDER
"""Where the keys of their values stand."""

KEDA = "keda"

app = typer.Typer()


@app.command()
def fetch(
    folder: Annotated[
        Path | None, typer.Option("--from", help="Take the archives from this folder instead of the network.")
    ] = None,
    record: Annotated[bool, typer.Option(help="Write down their SHA-256 and the keys of their values.")] = False,
) -> None:
    """Bring the operators' charts into the umbrella, check them, and unpack KEDA's CRDs."""
    with tempfile.TemporaryDirectory(prefix="deps-") as scratch:
        source = folder or pull(Path(scratch))
        archives = find_archives(source)
        known = {} if record else read_hashes(HASHES)
        unknown = check_hashes(archives, known)
        crds = keda_crds(archives[KEDA])
        place(archives.values())
        write_crds(crds)
    if record:
        write_hashes(archives.values(), HASHES)
        written = record_keys(archives)
        console.print(f"recorded: {', '.join([HASHES.name, *written])}; now: make generate")
    else:
        for remark in remarks(archives, unknown):
            console.print(f"[yellow]note:[/] {remark}; look at them, then: --record")
    console.print(
        f"{len(archives)} operators in {ARCHIVES.relative_to(UMBRELLA.parent.parent)}, {len(crds)} CRDs of KEDA"
    )


@app.command("crds-upgrade")
def crds_upgrade(
    context: Annotated[str, typer.Option(help="Context of the kubeconfig. Default: the current one.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Ask the cluster, change nothing.")] = False,
) -> None:
    """Apply the CRDs of the pinned operators to a cluster, server-side: Helm never upgrades what is in crds/."""
    archives = find_archives(ARCHIVES)
    documents = [body for _, body in sorted(read_crds(CRDS).items())]
    for archive in archives.values():
        documents += load_all(helm("show", "crds", archive))
    if not documents:
        raise UserError("there are no CRDs to apply", fix="vllm-charts deps fetch")
    command: list[str | Path] = [ensure("kubectl"), "apply", "--server-side", "--force-conflicts", "--filename", "-"]
    command += ["--context", context] if context else []
    command += ["--dry-run=server"] if dry_run else []
    with step(f"Apply {len(documents)} CRDs"):
        done = subprocess.run(command, input=yaml.safe_dump_all(documents), text=True, capture_output=True, check=False)
    if done.returncode:
        raise UserError("the cluster did not take the CRDs", why=done.stderr.strip(), fix="kubectl cluster-info")


def helm(*arguments: str | Path) -> str:
    """What Helm says, with folders of the project's own.

    Raises:
        UserError: it failed.
    """
    done = subprocess.run(
        [ensure("helm"), *arguments], capture_output=True, text=True, env=os.environ | helm_folders(), check=False
    )
    if done.returncode:
        raise UserError(f"helm {arguments[0]} failed", why=done.stderr.strip())
    return done.stdout


def remote() -> list[Dependency]:
    """The dependencies that are not part of this tree."""
    return [dependency for dependency in dependencies() if not dependency.is_local]


def archive_name(dependency: Dependency) -> str:
    """What ``helm pull`` calls the archive."""
    return f"{dependency.name}-{dependency.version}.tgz"


def pull_command(dependency: Dependency) -> list[str]:
    """Helm's arguments that bring one archive into the current folder."""
    return ["pull", dependency.name, "--repo", dependency.repository, "--version", dependency.version]


def pull(folder: Path) -> Path:
    """Brings all archives from their repositories.

    Raises:
        UserError: one cannot be had, with the way round for sites without internet.
    """
    for dependency in remote():
        with step(f"Pull {dependency.name} {dependency.version}"):
            try:
                helm(*pull_command(dependency), "--destination", folder)
            except UserError as error:
                raise UserError(
                    f"{dependency.name} {dependency.version} cannot be had from {dependency.repository}",
                    why=error.why,
                    fix="without internet: bring the archives here, then vllm-charts deps fetch --from FOLDER",
                ) from error
    return folder


def find_archives(folder: Path) -> dict[str, Path]:
    """The archive of every dependency in a folder, by the chart's name, after a look at what is in each.

    Raises:
        UserError: some are missing (how to get them), or an archive is another chart or version than its name says.
    """
    found = {dependency.name: folder / archive_name(dependency) for dependency in remote()}
    missing = [dependency for dependency in remote() if not found[dependency.name].is_file()]
    if missing:
        commands = "\n".join(f"helm {' '.join(pull_command(dependency))}" for dependency in missing)
        names = ", ".join(archive_name(dependency) for dependency in missing)
        raise UserError(f"missing in {folder}: {names}", fix=f"where there is internet:\n{commands}")
    for dependency in remote():
        chart = load(read_member(found[dependency.name], f"{dependency.name}/Chart.yaml"))
        if (chart["name"], str(chart["version"])) != (dependency.name, dependency.version):
            raise UserError(
                f"{found[dependency.name]} holds {chart['name']} {chart['version']}",
                why=f"Chart.yaml of the umbrella asks for {dependency.name} {dependency.version}",
                fix=f"helm {' '.join(pull_command(dependency))}",
            )
    return found


def read_member(archive: Path, name: str) -> str:
    """The text of one file in an archive.

    Raises:
        UserError: the archive is none, or has no such file.
    """
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile(name)
            assert member is not None
            return member.read().decode()
    except (tarfile.TarError, KeyError, OSError) as error:
        raise UserError(f"{archive} is not the archive of a chart", why=str(error)) from error


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_hashes(path: Path) -> dict[str, str]:
    """SHA-256 by file name; nothing if nobody has recorded any."""
    if not path.is_file():
        return {}
    lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    return {name: digest for digest, name in lines}


def write_hashes(archives: Iterable[Path], path: Path) -> None:
    """Writes what ``sha256sum --check`` reads."""
    lines = sorted(f"{sha256(archive)}  {archive.name}\n" for archive in archives)
    path.write_text("".join(lines), encoding="utf-8")


def check_hashes(archives: Mapping[str, Path], known: Mapping[str, str]) -> list[str]:
    """Holds archives against the recorded hashes.

    Returns:
        The names of archives that nobody has recorded.

    Raises:
        UserError: one is not what was recorded.
    """
    for archive in archives.values():
        if archive.name in known and sha256(archive) != known[archive.name]:
            raise UserError(
                f"{archive} is not the archive that was recorded",
                why=f"its SHA-256 is {sha256(archive)}, {HASHES.name} says {known[archive.name]}",
                fix="get it again from its repository; if it is meant to differ: vllm-charts deps fetch --record",
            )
    return [archive.name for archive in archives.values() if archive.name not in known]


def place(archives: Iterable[Path]) -> None:
    """Puts archives and the model's chart into the umbrella's ``charts/``, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=UMBRELLA) as scratch:
        fresh = Path(scratch, "charts")
        fresh.mkdir()
        helm("package", MODEL, "--destination", fresh)
        for archive in archives:
            shutil.copy2(archive, fresh)
        if ARCHIVES.exists():
            ARCHIVES.rename(Path(scratch, "old"))
        fresh.rename(ARCHIVES)


def keda_crds(archive: Path) -> dict[str, Any]:
    """KEDA's CRDs by name, as its chart renders them, without what makes them part of a Helm release.

    Raises:
        UserError: there are none: the chart has changed.
    """
    text = helm("template", KEDA, archive, "--set", "crds.install=true")
    found = {
        body["metadata"]["name"]: body for body in load_all(text) if body.get("kind") == "CustomResourceDefinition"
    }
    if not found:
        raise UserError(f"{archive} renders no CRDs", why="KEDA's chart keeps them elsewhere than it did")
    for body in found.values():
        labels = body["metadata"].get("labels", {})
        kept = {name: text for name, text in labels.items() if name not in RELEASE_LABELS}
        body["metadata"] = {key: value for key, value in body["metadata"].items() if key != "labels"}
        if kept:
            body["metadata"]["labels"] = kept
    return found


RELEASE_LABELS = {"app.kubernetes.io/managed-by", "app.kubernetes.io/instance", "helm.sh/chart"}


def write_crds(crds: Mapping[str, Any]) -> None:
    """Writes the umbrella's ``crds/``, a file each, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=UMBRELLA) as scratch:
        fresh = Path(scratch, "crds")
        fresh.mkdir()
        for name, body in crds.items():
            (fresh / f"{name}.yaml").write_text(yaml.safe_dump(body, sort_keys=False), encoding="utf-8")
        if CRDS.exists():
            CRDS.rename(Path(scratch, "old"))
        fresh.rename(CRDS)


def read_crds(folder: Path) -> dict[str, Any]:
    """The CRDs of a folder by file name."""
    return {path.name: load(path.read_text(encoding="utf-8")) for path in folder.glob("*.yaml")}


def record_keys(archives: Mapping[str, Path]) -> list[str]:
    """Writes which keys the values of each chart have, for the umbrella's schema, and says into which files."""
    for name, archive in archives.items():
        found = dependency_keys.record(dependency_keys.read(archive, name))
        (KEYS / f"{name}.yaml").write_text(dependency_keys.text_of(name, found), encoding="utf-8")
    return [f"{KEYS.name}/{name}.yaml" for name in archives]


def remarks(archives: Mapping[str, Path], unknown: list[str]) -> Iterator[str]:
    """What is not recorded, in words: hashes, and keys of values."""
    if unknown:
        yield f"{HASHES.name} has no SHA-256 of {', '.join(unknown)}"
    for name in unrecorded_keys(archives):
        yield f"the values of {name} have keys that are not recorded, so the umbrella's schema would refuse them"


def unrecorded_keys(archives: Mapping[str, Path]) -> list[str]:
    """Charts whose values have keys that the schema does not know: Helm would refuse the chart's own defaults."""
    fresh = {name: dependency_keys.record(dependency_keys.read(archive, name)) for name, archive in archives.items()}
    return [
        name
        for name, found in fresh.items()
        if dependency_keys.more(found["keys"], recorded(name).keys, recorded(name).open)
    ]
