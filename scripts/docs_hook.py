"""A hook of MkDocs: pages may show a file of the tree, ``<!-- include: charts/vllm-model/README.md -->``.

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


class File(Protocol):
    """What is used of a file of MkDocs."""

    src_uri: str


class Page(Protocol):
    """What is used of a page of MkDocs."""

    file: File


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Replaces the include lines of a page. MkDocs calls it by this name."""
    return _INCLUDE.sub(lambda found: included(REPO / found[1], (DOCS / page.file.src_uri).parent), markdown)


def included(source: Path, folder: Path) -> str:
    """The text of a file with its links rewritten for a page in a folder of the documentation."""
    text = source.read_text(encoding="utf-8")
    return _LINK.sub(lambda found: _relinked(found, source.parent, folder), text)


def _relinked(found: re.Match[str], source_folder: Path, folder: Path) -> str:
    target = (source_folder / found[2]).resolve()
    if target.is_relative_to(DOCS) and target.is_file():
        return f"[{found[1]}]({Path(os.path.relpath(target, folder)).as_posix()}{found[3] or ''})"
    return found[1]
