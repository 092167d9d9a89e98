"""A hook of MkDocs: pages may show a file of the tree, ``<!-- include: charts/vllm-model/README.md -->``, and the table
of the values files of models, ``<!-- table of values/models -->``.

Links of such a file are made for its own place. Those that lead to a page of the documentation are led there; what they
name outside of it is left as text, because a site has no such file.
"""

import os
import re
from pathlib import Path
from typing import Any, Protocol

REPO = Path(__file__).resolve().parent.parent
DOCS = REPO / "docs"

_INCLUDE = re.compile(r"^<!-- include: (\S+) -->$", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")

_TABLE = "<!-- table of values/models -->"
_FACT = re.compile(r"^# (GPU|Instances|Start|Concurrency) {2,}(.+?)(?=^# \w|^#$)", re.MULTILINE | re.DOTALL)


class File(Protocol):
    """What is used of a file of MkDocs."""

    src_uri: str


class Page(Protocol):
    """What is used of a page of MkDocs."""

    file: File


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Replaces the include lines of a page. MkDocs calls it by this name."""
    text = markdown.replace(_TABLE, table_of_models()) if _TABLE in markdown else markdown
    return _INCLUDE.sub(lambda found: included(REPO / found[1], (DOCS / page.file.src_uri).parent), text)


def included(source: Path, folder: Path) -> str:
    """The text of a file with its links rewritten for a page in a folder of the documentation."""
    text = source.read_text(encoding="utf-8")
    return _LINK.sub(lambda found: _relinked(found, source.parent, folder), text)


def _relinked(found: re.Match[str], source_folder: Path, folder: Path) -> str:
    target = (source_folder / found[2]).resolve()
    if target.is_relative_to(DOCS) and target.is_file():
        return f"[{found[1]}]({Path(os.path.relpath(target, folder)).as_posix()}{found[3] or ''})"
    return found[1]


def table_of_models() -> str:
    """A line for each file of values/models, from the facts in its header."""
    rows = ["| file of `values/models` | is | GPU | machine | start | requests at once |", "|---|---|---|---|---|---|"]
    for path in sorted((REPO / "values" / "models").glob("*.yaml")):
        title, facts = header(path.read_text(encoding="utf-8"))
        cells = [
            f"`{path.name}`",
            title,
            *(facts.get(name, "") for name in ("GPU", "Instances", "Start", "Concurrency")),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def header(text: str) -> tuple[str, dict[str, str]]:
    """The first sentence of a values file's header, and its facts by name, each on one line."""
    title = re.search(r"^#\n# (.+?\.)$", text, re.MULTILINE)
    facts = {found[1]: re.sub(r"\n# +", " ", found[2]).strip() for found in _FACT.finditer(text)}
    return (title[1] if title else ""), facts
