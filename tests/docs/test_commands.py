"""Every command on every page exists: targets, subcommands and their options, files, charts with the values named."""

import re
import shutil
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer.main

from scripts.cli import build
from scripts.paths import REPO
from scripts.platform_chart import stubbed
from scripts.render import render
from tests.docs.pages import ALL, Block, all_blocks, commands, inline_code, name

KNOWN = {
    *(
        "argocd",
        "aws",
        "az",
        "cosign",
        "crane",
        "curl",
        "docker",
        "eksctl",
        "gcloud",
        "git",
        "gpg",
        "grep",
        "helm",
        "jq",
        "kubectl",
    ),
    *("kubeseal", "kustomize", "make", "openssl", "pip", "python", "sha256sum", "terraform", "tr", "xargs"),
    *("node", "uv", "export", "kill", "npm"),
}
"""Well-known tools. Everything else must be a file of this tree."""

SHELL = [(block, words) for block in all_blocks("bash") for words in commands(block)]
IDS = [f"{block}-{' '.join(words)[:60]}" for block, words in SHELL]


@cache
def targets() -> set[str]:
    text = (REPO / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))


@cache
def group(first: str) -> Any:
    """The command line with one group loaded."""
    return typer.main.get_command(build([first]))


def check_tooling(words: list[str]) -> list[str]:
    """What is wrong with a call of vllm-charts: a group, command or option that does not exist."""
    if not words or words[0].startswith("-"):
        return []
    command = group(words[0])
    seen = ["vllm-charts"]
    rest = list(words)
    while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        found = command.commands.get(rest[0])
        if found is None:
            # A group that is one command takes arguments itself; any other does not.
            return [] if command.invoke_without_command else [f"{' '.join(seen)} has no command {rest[0]}"]
        seen.append(rest.pop(0))
        command = found
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    flags = [word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)]
    return [f"{' '.join(seen)} has no option {flag}" for flag in flags if flag not in options | {"--help"}]


@pytest.mark.parametrize(("block", "words"), SHELL, ids=IDS)
def test_every_command_of_a_page_is_known(block: Block, words: list[str]) -> None:
    program = words[0]
    if program.startswith((".venv/bin/", "examples/", "infra/", "./")):
        here = block.page.parent / program if program.startswith("./") else REPO / program
        assert here.exists() or (program.startswith(".venv/bin/") and shutil.which(str(REPO / program))), program
    else:
        assert program in KNOWN | {"vllm-charts"}, program


@pytest.mark.parametrize(("block", "words"), SHELL, ids=IDS)
def test_every_target_and_subcommand_exists(block: Block, words: list[str]) -> None:
    if words[0] == "make":
        wanted = [word for word in words[1:] if re.fullmatch(r"[a-z-]+", word)]
        assert set(wanted) <= targets(), f"{block}: {wanted}"
    elif words[0].endswith("vllm-charts"):
        assert check_tooling(words[1:]) == [], str(block)


@pytest.mark.parametrize("page", ALL, ids=name)
def test_commands_inside_a_sentence_exist_too(page: Path) -> None:
    wrong = []
    for text in inline_code(page):
        words = text.split()
        if words[0] == "make" and len(words) > 1:
            wrong += [word for word in words[1:] if re.fullmatch(r"[a-z-]+", word) and word not in targets()]
        elif words[0].endswith("vllm-charts") and len(words) > 1:
            wrong += check_tooling(words[1:])
    assert wrong == []


PLACES = ("charts/", "values/", "infra/", "gitops/", "examples/", "images/", "docs/")
"""Where a file of this tree is named from. A file elsewhere is one that the reader writes."""


@pytest.mark.parametrize(("block", "words"), SHELL, ids=IDS)
def test_files_that_a_command_names_are_there(block: Block, words: list[str]) -> None:
    named = [word.split("=")[-1] for word in words[1:]]
    missing = [word for word in named if word.startswith(PLACES) and not list(REPO.glob(word.rstrip("/")))]
    assert missing == [], str(block)


def values_of(words: list[str]) -> list[Path]:
    found = [after for word, after in pairwise(words) if word in ("--values", "-f")]
    return [REPO / word for word in found if word.startswith(PLACES)]


HELM = [
    (block, words)
    for block, words in SHELL
    if words[0] == "helm"
    and words[1] in ("install", "upgrade", "template")
    and any(w.startswith("charts/") for w in words)
]


@pytest.mark.parametrize(("block", "words"), HELM, ids=[f"{block}-{' '.join(words)[:60]}" for block, words in HELM])
def test_what_a_page_installs_renders(block: Block, words: list[str]) -> None:
    [chart] = [word for word in words if word.startswith("charts/")]
    folder = stubbed() if chart.endswith("llm-platform") else REPO / chart
    values = values_of(words)
    pairs = [after for word, after in pairwise(words) if word == "--set"]
    if not values:  # the reader's own file alone: any will do
        pairs += ["model.id=org/model", "weights.sizeGiB=1"]
    assert render(folder, values, release="llama", namespace="llm", set_=pairs).objects, str(block)


def test_there_are_commands_to_check() -> None:
    assert len(SHELL) > 50
    assert len(HELM) > 8
