"""Builds the pinned Go tools into the cache, each once for a version and recipe."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from scripts.console import UserError, console, step
from scripts.locks import locked
from scripts.paths import BIN, CACHE, LOGS
from scripts.tools.catalog import ALIASES, TOOLS, Tool
from scripts.tools.go import environment, find_go

SMALL_MINUTES = 0.5
"""A build below this does not wait for a large one."""


def ensure(name: str) -> Path:
    """The path of a tool, built first if its version and recipe have not been built yet.

    Args:
        name: a tool of the catalogue or one of the names it is called by, such as ``kubectl``.

    Raises:
        UserError: there is no such tool, or it cannot be built.
    """
    tool = find(name)
    if not is_built(tool):
        # One lock for all large builds: two at once would need more memory and take no less time.
        with locked("go-build" if tool.minutes >= SMALL_MINUTES else f"go-build-{tool.name}"):
            if not is_built(tool):
                build(tool)
    publish(tool)
    return tool.home / name if name in tool.links else tool.path


def find(name: str) -> Tool:
    """The tool of that name, or the one that is also called so.

    Raises:
        UserError: there is none.
    """
    tool = TOOLS.get(ALIASES.get(name, name))
    if tool is None:
        raise UserError(f"there is no tool named {name}", fix=f"one of: {', '.join([*TOOLS, *ALIASES])}")
    return tool


def ensure_all(names: Iterable[str]) -> dict[str, Path]:
    """Several tools, one after another: name and path of each. Says beforehand how long the missing ones will take."""
    names = list(names)
    missing = [tool for tool in map(find, names) if not is_built(tool)]
    if len(missing) > 1:
        minutes = sum(tool.minutes for tool in missing)
        console.print(f"{len(missing)} tools are built once, which takes about {duration(round(minutes))} on 2 cores:")
    return {name: ensure(name) for name in names}


def is_built(tool: Tool) -> bool:
    """Whether this very version and recipe lies in the cache. Builds appear there whole or not at all."""
    return tool.path.exists()


def build(tool: Tool) -> None:
    """Builds into a temporary folder and moves it into place, so that an interrupted build leaves nothing behind."""
    go = find_go()
    temporary = tool.home.with_name(f".{tool.key}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        with step(f"Build {tool.name} {tool.version} (a first build takes about {duration(tool.minutes)} on 2 cores)"):
            compile_tool(go, tool, temporary / (tool.plugin or tool.name))
        for link in tool.links:
            (temporary / link).symlink_to(tool.name)
        if tool.plugin:
            write_plugin(tool, temporary)
        shutil.rmtree(tool.home, ignore_errors=True)
        temporary.rename(tool.home)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def compile_tool(go: Path, tool: Tool, output: Path) -> None:
    """Runs the compiler at low priority.

    Raises:
        UserError: with the end of what the compiler said.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"build-{tool.name}.log"
    command: list[str | Path] = [
        "nice",
        "-n",
        "10",
        go,
        "build",
        "-trimpath",
        "-mod=readonly",
        "-ldflags",
        tool.ldflags,
    ]
    with log.open("w") as out:
        result = subprocess.run(
            [*command, "-o", output, tool.package], cwd=tool.folder, env=environment(), stdout=out, stderr=out
        )
    if result.returncode != 0:
        raise UserError(
            f"{tool.name} {tool.version} could not be built from tools/{tool.folder.name}",
            why="\n".join(log.read_text().splitlines()[-15:]),
            fix=f"the whole log: {log}; the Go module proxy (go env GOPROXY) must be reachable for a first build",
        )


def write_plugin(tool: Tool, folder: Path) -> None:
    """Copies the files of a Helm plugin beside its program, with the pinned version filled in."""
    for source in (tool.folder / "plugin").iterdir():
        text = source.read_text().replace("{version}", tool.version.removeprefix("v"))
        (folder / source.name).write_text(text)


def publish(tool: Tool) -> None:
    """Puts the tool under its plain name into the ``bin`` folder of the cache, for people and other programs."""
    BIN.mkdir(parents=True, exist_ok=True)
    for name, target in [(tool.name, tool.path), *((link, tool.home / link) for link in tool.links)]:
        link, relative = BIN / name, os.path.relpath(target, BIN)
        if link.is_symlink() and str(link.readlink()) == relative:
            continue
        temporary = link.with_name(f".{name}.{os.getpid()}")
        temporary.symlink_to(relative)
        if link.is_dir() and not link.is_symlink():
            shutil.rmtree(link)
        temporary.replace(link)


def helm_environment() -> dict[str, str]:
    """Environment variables under which ``helm unittest`` works: a plugin folder of the project's own."""
    folders = helm_folders()
    plugins = Path(folders["HELM_PLUGINS"])
    plugins.mkdir(parents=True, exist_ok=True)
    link, target = plugins / "helm-unittest", ensure("helm-unittest")
    if not (link.is_symlink() and link.readlink() == target):
        temporary = plugins.with_name(f"helm-unittest.{os.getpid()}")
        temporary.symlink_to(target)
        temporary.replace(link)
    return folders


def helm_folders() -> dict[str, str]:
    """Environment variables that give Helm folders of the project's own.

    The user's own Helm plugins, repositories and settings are neither read nor changed.
    """
    return {
        "HELM_PLUGINS": str(CACHE / "helm" / "data" / "plugins"),  # where "helm plugin install" puts them too
        "HELM_CACHE_HOME": str(CACHE / "helm" / "cache"),
        "HELM_CONFIG_HOME": str(CACHE / "helm" / "config"),
        "HELM_DATA_HOME": str(CACHE / "helm" / "data"),
    }


def prune() -> list[Path]:
    """Removes builds of versions and recipes that are no longer pinned. Returns what it removed."""
    kept = {tool.home for tool in TOOLS.values()}
    removed = [home for home in (CACHE / "tools").glob("*/*") if home not in kept and is_stale(home)]
    for home in removed:
        shutil.rmtree(home)
    return removed


def is_stale(home: Path) -> bool:
    """Whether a folder is a finished build, or one that no process has worked on for an hour."""
    return not home.name.startswith(".") or home.stat().st_mtime < time.time() - 3600


def duration(minutes: float) -> str:
    """``8 min`` or ``12 s``."""
    return f"{minutes:g} min" if minutes >= 1 else f"{minutes * 60:.0f} s"
