"""What happens on a machine that lacks something: the message names it, and nothing is half-done."""

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.cluster import host
from scripts.paths import REPO

NEEDED = ("bash", "cat", "cut", "dirname", "flock", "mkdir", "sha256sum")
NO_VENV = "#!/bin/bash\n[[ $2 == *ensurepip* ]] && exit 1\nexit 0\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without an environment, and a PATH with only what every system has."""
    for path in ("scripts/bootstrap.sh", "pyproject.toml", "requirements/bootstrap.txt", "requirements/dev.txt"):
        (tmp_path / "tree" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPO / path, tmp_path / "tree" / path)
    (tmp_path / "bin").mkdir()
    for name in NEEDED:
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    program(tmp_path, "id", "#!/bin/bash\necho 1000\n")
    return tmp_path


def program(checkout: Path, name: str, text: str) -> None:
    """Puts a program on the PATH of the checkout."""
    path = checkout / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


def bootstrap(checkout: Path) -> subprocess.CompletedProcess[str]:
    """Runs the script there."""
    environment = {"PATH": str(checkout / "bin"), "HOME": str(checkout / "home")}
    command = [str(checkout / "bin" / "bash"), str(checkout / "tree" / "scripts" / "bootstrap.sh")]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_without_python_the_message_says_which_and_how(checkout: Path) -> None:
    result = bootstrap(checkout)
    assert result.returncode != 0
    assert "no Python 3.11 or newer found" in result.stderr
    assert "apt-get install python3 python3-venv" in result.stderr


def test_a_python_that_is_too_old_is_not_taken(checkout: Path) -> None:
    program(checkout, "python3", "#!/bin/bash\nexit 1\n")
    assert "no Python 3.11 or newer found" in bootstrap(checkout).stderr


def test_without_the_venv_module_and_without_root_the_package_is_named(checkout: Path) -> None:
    program(checkout, "python3", NO_VENV)
    result = bootstrap(checkout)
    assert result.returncode != 0
    assert "has no venv module" in result.stderr
    assert "apt-get install python3-venv" in result.stderr
    assert not (checkout / "tree" / ".venv").exists()


def test_an_environment_that_is_current_is_left_alone(checkout: Path) -> None:
    files = ["requirements/bootstrap.txt", "requirements/dev.txt", "pyproject.toml"]
    sums = subprocess.run(["sha256sum", *files], cwd=checkout / "tree", capture_output=True, check=True).stdout
    stamp = subprocess.run(["sha256sum"], input=sums, capture_output=True, check=True).stdout.split()[0].decode()
    (checkout / "tree" / ".venv" / "bin").mkdir(parents=True)
    program(checkout / "tree" / ".venv", "vllm-charts", "#!/bin/bash\n")
    (checkout / "tree" / ".venv" / ".requirements.sha256").write_text(stamp + "\n")
    result = bootstrap(checkout)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_no_service_starts_while_packages_are_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "POLICY", tmp_path / "policy-rc.d")
    with host.no_services_started():
        assert subprocess.run([tmp_path / "policy-rc.d"]).returncode == 101
    assert not (tmp_path / "policy-rc.d").exists()


def test_a_policy_that_was_there_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 104\n")
    policy.chmod(0o700)
    monkeypatch.setattr(host, "POLICY", policy)
    with pytest.raises(RuntimeError), host.no_services_started():
        raise RuntimeError
    assert policy.read_text() == "#!/bin/sh\nexit 104\n"
    assert policy.stat().st_mode & 0o777 == 0o700
