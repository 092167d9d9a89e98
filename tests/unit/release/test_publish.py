"""Archives are signed with a key of GnuPG, and pushed to an OCI registry and taken from it again, as a release is."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts import tools
from scripts.cluster import wait_until
from scripts.cluster.host import install
from scripts.console import UserError
from scripts.kubernetes_yaml import load_all
from scripts.ports import free_port
from scripts.release.package import Signing, package_all
from scripts.render import helm_path

NAME = "Release Key"
HELMS = ("helm", "helm3")
NEEDED = {"vllm-model": ["--set", "model.id=org/model"], "llm-platform": []}
"""What each chart cannot be rendered without."""


def run(*command: str | Path, **settings: str) -> str:
    environment = os.environ | tools.helm_folders() | settings
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with exported keyrings, secring.gpg and pubring.gpg, of one key made for this run."""
    if not Path("/usr/bin/gpg").exists():
        install(["gnupg"], purpose="a signed release")
    folder = tmp_path_factory.mktemp("keys")
    folder.chmod(0o700)
    gpg = ("gpg", "--batch", "--homedir", str(folder))
    run(*gpg, "--passphrase", "", "--quick-generate-key", f"{NAME} <release@example.com>", "rsa2048", "sign", "never")
    run(*gpg, "--output", folder / "secring.gpg", "--export-secret-keys")
    run(*gpg, "--output", folder / "pubring.gpg", "--export")
    run("gpgconf", "--homedir", folder, "--kill", "all")
    return folder


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    """An OCI registry in memory: its host and port."""
    address = f"127.0.0.1:{free_port()}"
    command = [str(tools.ensure("crane")), "registry", "serve", "--address", address]
    served = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def answers() -> bool:
        try:
            return httpx.get(f"http://{address}/v2/").is_success
        except httpx.TransportError:
            return False

    try:
        wait_until("the registry answers", answers, seconds=20)
        yield f"oci://{address}/charts"
    finally:
        served.terminate()
        served.wait(10)


@pytest.mark.parametrize("helm", HELMS)
def test_a_signed_archive_is_verified_by_its_key(helm: str, umbrella: Path, keys: Path, tmp_path: Path) -> None:
    for archive in package_all(tmp_path / "dist", Signing(NAME, keys / "secring.gpg"), umbrella):
        run(helm_path(helm), "verify", archive, "--keyring", keys / "pubring.gpg")


def test_an_archive_that_was_changed_after_signing_is_not(umbrella: Path, keys: Path, tmp_path: Path) -> None:
    archive, _ = package_all(tmp_path / "dist", Signing(NAME, keys / "secring.gpg"), umbrella)
    archive.write_bytes(archive.read_bytes() + b"x")
    with pytest.raises(AssertionError, match="sha256 sum does not match"):
        run(helm_path("helm"), "verify", archive, "--keyring", keys / "pubring.gpg")


def test_the_signature_of_an_earlier_archive_does_not_stay(umbrella: Path, keys: Path, tmp_path: Path) -> None:
    package_all(tmp_path / "dist", Signing(NAME, keys / "secring.gpg"), umbrella)
    package_all(tmp_path / "dist", umbrella=umbrella)
    assert list((tmp_path / "dist").glob("*.prov")) == []


def test_a_keyring_that_is_not_there_is_said_with_the_command_that_makes_it(umbrella: Path, tmp_path: Path) -> None:
    missing = tmp_path / "secring.gpg"
    with pytest.raises(UserError, match="no keyring") as refused:
        package_all(tmp_path / "dist", Signing(NAME, missing), umbrella)
    assert refused.value.fix == f"gpg --export-secret-keys > {missing}"
    assert not (tmp_path / "dist").exists()


def test_a_key_that_is_not_in_the_keyring_is_said(umbrella: Path, keys: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="private key not found") as refused:
        package_all(tmp_path / "dist", Signing("Nobody", keys / "secring.gpg"), umbrella)
    assert "--show-keys" in refused.value.fix
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize("helm", HELMS)
def test_what_is_pushed_to_a_registry_comes_back_and_renders(
    helm: str, umbrella: Path, registry: str, tmp_path: Path
) -> None:
    for archive in package_all(tmp_path / "dist", umbrella=umbrella):
        name, version = archive.stem.rsplit("-", 1)
        run(helm_path(helm), "push", archive, registry, "--plain-http")
        source = (f"{registry}/{name}", "--version", version, "--plain-http")
        run(helm_path(helm), "pull", *source, "--destination", tmp_path)
        assert (tmp_path / archive.name).read_bytes() == archive.read_bytes()
        rendered = run(helm_path(helm), "template", "llm", *source, *NEEDED[name])
        assert [body for body in load_all(rendered) if body]
