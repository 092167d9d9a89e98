"""Moves a tool to another version: its go.mod and go.sum are rewritten, the next ``ensure`` builds it anew."""

import re
import subprocess
from pathlib import Path

from scripts.console import UserError, step
from scripts.tools.catalog import Tool
from scripts.tools.go import environment, find_go


def pin_version(tool: Tool, version: str) -> None:
    """Rewrites the module of a tool for another version.

    Raises:
        UserError: the version does not exist or does not resolve; the module is left as it was.
    """
    if not re.fullmatch(r"v\d+\.\d+\.\d+(-[\w.]+)?", version):
        raise UserError(f"{version} is not a version of a Go module", fix="write it like v1.35.4")
    files = [tool.folder / "go.mod", tool.folder / "go.sum"]
    before = [path.read_bytes() for path in files]
    try:
        with step(f"Pin {tool.name} to {version}"):
            if tool.version_of == "k8s.io/kubernetes":
                pin_kubernetes(tool, version)
            else:
                run_go(tool, "get", "-tool", f"{tool.package}@{version}")
            run_go(tool, "list", "-mod=readonly", "-deps", tool.package)
    except UserError:
        for path, content in zip(files, before, strict=True):
            path.write_bytes(content)
        raise


def pin_kubernetes(tool: Tool, version: str) -> None:
    """Kubernetes names its own libraries by path inside its repository: each is replaced by its published version."""
    text = (tool.folder / "go.mod").read_text()
    text = re.sub(r"(k8s\.io/kubernetes) v\S+", rf"\1 {version}", text)
    text = re.sub(r"(=> k8s\.io/\S+) v0\.\S+", rf"\1 v0.{version.removeprefix('v1.')}", text)
    (tool.folder / "go.mod").write_text(text)
    run_go(tool, "mod", "tidy")


def run_go(tool: Tool, *arguments: str) -> None:
    """Runs a go command in the tool's module.

    Raises:
        UserError: with what go said.
    """
    command: list[str | Path] = [find_go(), *arguments]
    result = subprocess.run(command, cwd=tool.folder, env=environment(), capture_output=True, text=True)
    if result.returncode != 0:
        raise UserError(f"go {' '.join(arguments)} failed in tools/{tool.folder.name}", why=result.stderr[-2000:])
