"""The pages of the documentation and what stands in them: code blocks, inline code, links."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scripts.paths import REPO

DOCS = REPO / "docs"

PAGES = sorted(DOCS.rglob("*.md"))
BESIDE_CODE = sorted(
    path
    for pattern in ("*.md", "charts/*/README.md", "examples/**/*.md", "infra/**/*.md", "images/*.md", "gitops/**/*.md")
    for path in REPO.glob(pattern)
)
ALL = [*PAGES, *BESIDE_CODE]

_FENCE = re.compile(r"^( *)```(\w*)([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def name(path: Path) -> str:
    """How a page is called in a test's id."""
    return path.relative_to(REPO).as_posix()


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: where it stands.
        line: the line of its fence.
        language: ``bash``, ``yaml`` ...
        title: of its ``title="..."``, or "".
        text: what is inside, without the indentation of the fence.
    """

    page: Path
    line: int
    language: str
    title: str
    text: str

    def __str__(self) -> str:
        return f"{name(self.page)}:{self.line}"


@cache
def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        indent, language, rest, body = match.groups()
        title = re.search(r'title="([^"]*)"', rest)
        inside = "".join(line.removeprefix(indent) for line in body.splitlines(keepends=True))
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, language, title[1] if title else "", inside))
    return found


def all_blocks(language: str) -> list[Block]:
    return [block for page in ALL for block in blocks(page) if block.language == language]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def inline_code(page: Path) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose(page))


@cache
def commands(block: Block) -> list[list[str]]:
    """The commands of a shell block, a list of words each: lines that go on are joined, pipes and chains parted."""
    text = re.sub(r"(^|\s)#.*$", "", block.text, flags=re.MULTILINE)
    text = re.sub(r"\\\n\s*", " ", text)
    text = re.sub(r"'[^']*'|\"[^\"]*\"", lambda found: found[0].replace("\n", " "), text)
    return [words for line in text.splitlines() for words in _parted(line)]


def _parted(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    skip = False
    for word in lexer:
        if set(word) <= set("|&;"):
            yield from _command(words)
            words = []
        elif set(word) <= set("<>"):
            skip = True  # where output goes is no word of the command
        elif skip:
            skip = False
        else:
            words.append(word)
    yield from _command(words)


def _command(words: list[str]) -> Iterator[list[str]]:
    """A command without the variables that are set in front of it; an assignment alone is none."""
    rest = list(words)
    while rest and re.fullmatch(r"[A-Za-z_]+=.*", rest[0], re.DOTALL):
        rest.pop(0)
    if rest:
        yield rest
