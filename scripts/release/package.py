"""Chart archives with everything in them: the umbrella carries its dependencies and the CRDs they need."""

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from scripts.console import UserError
from scripts.kubernetes_yaml import load
from scripts.platform_chart import MODEL, UMBRELLA, dependencies
from scripts.render import helm_path

SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Signing:
    """How Helm signs: the key's name and the keyring that has it (``helm package --sign``)."""

    key: str
    keyring: Path


def package_all(destination: Path, signing: Signing | None = None, umbrella: Path = UMBRELLA) -> list[Path]:
    """Packages both charts.

    Args:
        destination: folder for the archives; made if need be, and only written to when all archives are whole.
        signing: makes a provenance file (``.prov``) beside each archive.
        umbrella: folder of the umbrella with its dependencies.

    Returns:
        The archives, the model's first.

    Raises:
        UserError: the umbrella's dependencies or the keyring are not there, or Helm refuses.
    """
    missing = missing_dependencies(umbrella)
    if missing:
        raise UserError(
            f"charts/{umbrella.name} is not complete: {', '.join(missing)}",
            why="an archive without them would not install",
            fix="make deps, or without internet: make deps ARGS='--from DIR'",
        )
    if signing is not None and not signing.keyring.is_file():
        raise UserError(
            f"there is no keyring {signing.keyring}",
            why="Helm reads exported keys only, and GnuPG has kept its own elsewhere since 2.1",
            fix=f"gpg --export-secret-keys > {signing.keyring}",
        )
    with tempfile.TemporaryDirectory(prefix="package-") as scratch:
        made = package_into(Path(scratch), signing, umbrella)
        destination.mkdir(parents=True, exist_ok=True)
        for path in made:
            # The signature of an archive that was here before is none of this one.
            (destination / f"{path.name}.prov").unlink(missing_ok=True)
            for file in path.parent.glob(f"{path.name}*"):
                shutil.copy2(file, destination)
    archives = [destination / path.name for path in made]
    write_sums(destination, archives)
    return archives


def package_into(scratch: Path, signing: Signing | None, umbrella: Path) -> list[Path]:
    """Packages into a scratch folder: the model's chart, then the umbrella with that very archive inside."""
    model = helm_package(MODEL, scratch / "out", signing)
    whole = scratch / UMBRELLA.name
    shutil.copytree(umbrella, whole)
    shutil.rmtree(whole / "charts" / MODEL.name, ignore_errors=True)
    for link in (whole / "charts").glob(f"{MODEL.name}-*.tgz"):
        link.unlink()
    shutil.copy2(model, whole / "charts")
    platform = helm_package(whole, scratch / "out", signing)
    if lost := missing_in(platform):
        raise UserError(f"{platform.name} lacks {', '.join(lost)}", why="helm package left it out: see .helmignore")
    return [model, platform]


def missing_dependencies(chart: Path) -> list[str]:
    """What ``make deps`` brings and is not there: archives by name, and the folder with the CRDs."""
    lost = [
        f"charts/{entry.name}-{entry.version}.tgz"
        for entry in dependencies(chart)
        if not entry.is_local and not (chart / "charts" / f"{entry.name}-{entry.version}.tgz").is_file()
    ]
    return lost if any((chart / "crds").glob("*.yaml")) else [*lost, "crds/"]


def missing_in(archive: Path) -> list[str]:
    """What a packaged umbrella should hold and does not."""
    with tarfile.open(archive) as file:
        names = set(file.getnames())
    wanted = [f"{UMBRELLA.name}/charts/{entry.name}" for entry in dependencies()]
    lost = [name for name in wanted if not any(found.startswith(name) for found in names)]
    has_crds = any(name.startswith(f"{UMBRELLA.name}/crds/") for name in names)
    return lost if has_crds else [*lost, f"{UMBRELLA.name}/crds/"]


def helm_package(chart: Path, destination: Path, signing: Signing | None) -> Path:
    """Calls ``helm package`` and gives the archive's path.

    Raises:
        UserError: with what Helm said.
    """
    command = [helm_path("helm"), "package", str(chart), "--destination", str(destination)]
    if signing is not None:
        command += ["--sign", "--key", signing.key, "--keyring", str(signing.keyring)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        fix = f"the keys that are there: gpg --show-keys {signing.keyring}" if signing else ""
        raise UserError(f"{chart.name} cannot be packaged", why=done.stderr.strip(), fix=fix)
    return destination / f"{chart.name}-{version(chart)}.tgz"


def version(chart: Path) -> str:
    """The version in Chart.yaml."""
    return str(load((chart / "Chart.yaml").read_text(encoding="utf-8"))["version"])


def write_sums(folder: Path, archives: list[Path]) -> None:
    """Writes SHA256SUMS as ``sha256sum --check`` reads it."""
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in archives]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
