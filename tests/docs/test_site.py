"""The site is built, and every link of every page leads somewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.docs_hook import header, included, table_of_models
from scripts.kubernetes_yaml import load
from scripts.paths import REPO, VALUES
from tests.docs.pages import ALL, BESIDE_CODE, DOCS, PAGES, name, prose

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """MkDocs in strict mode, which counts no warning when it is quiet: pages, links and anchors lead somewhere."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {"NO_MKDOCS_2_WARNING": "1", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "site" / "index.html").is_file()


def test_the_site_loads_nothing_from_elsewhere_but_the_drawing_of_diagrams() -> None:
    text = (REPO / "mkdocs.yml").read_text(encoding="utf-8")
    assert re.search(r"^  font: false", text, re.MULTILINE)
    for key in ("extra_css", "extra_javascript", "analytics"):
        assert key not in text


def slug(heading: str) -> str:
    """The anchor that GitHub gives to a heading."""
    text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#{1,6} (.+)$", prose(page), re.MULTILINE)}


@pytest.mark.parametrize("page", BESIDE_CODE, ids=name)
def test_links_of_files_beside_the_code_lead_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
            broken.append(target)
    assert broken == []


def test_an_included_file_keeps_links_to_pages_and_loses_those_that_leave_the_site(tmp_path: Path) -> None:
    source = tmp_path / "README.md"
    page = Path(os.path.relpath(DOCS / "index.md", tmp_path)).as_posix()
    source.write_text(f"[start]({page}#does-it-fit) [tree](./Makefile) [web](https://example.com)", encoding="utf-8")
    text = included(source, DOCS / "guides")
    assert text == "[start](../index.md#does-it-fit) tree [web](https://example.com)"


PATH = re.compile(
    r"^(?:charts|docs|examples|gitops|images|infra|schemas|scripts|tests|tools|values)/[\w./@+-]*[\w/]$|^[A-Z][A-Z]+\.md$"
)


@pytest.mark.parametrize("page", ALL, ids=name)
def test_files_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose(page))
    missing = [text for text in named if PATH.match(text) and not (REPO / text).exists() and not made(text)]
    assert missing == []


def made(text: str) -> bool:
    """Files that are made and not part of the tree."""
    return text.startswith(("charts/llm-platform/crds", "charts/llm-platform/charts"))


def test_every_page_has_one_title_and_says_something() -> None:
    for page in PAGES:
        text = prose(page)
        if "<!-- include:" in text:
            continue
        assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1, name(page)
        assert len(text) > 300, name(page)


def test_topics_of_the_guides_all_have_a_page() -> None:
    listed = load((REPO / "mkdocs.yml").read_text(encoding="utf-8").split("nav:")[1].join(["nav:", ""]))["nav"]
    guides = next(entry for group in listed for title, entry in group.items() if title == "What guides say")
    assert sorted(guides) == sorted(path.relative_to(DOCS).as_posix() for path in (DOCS / "guides").glob("*.md"))


@pytest.mark.parametrize("path", sorted((VALUES / "models").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_table_of_models_has_every_fact_of_every_file(path: Path) -> None:
    title, facts = header(path.read_text(encoding="utf-8"))
    assert title.endswith(".")
    assert set(facts) == {"GPU", "Instances", "Start", "Concurrency"}
    assert f"| `{path.name}` | {title} |" in table_of_models()
