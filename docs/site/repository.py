"""Bring the repository's own documents into the site, and adapt the links between them.

README.md is the home page; FORMAT.md, CHANGELOG.md, records and whatever else a page links to
come along under their path in the repository. Links are written for a reader of the repository
and are rewritten for the site.

Not here: pages and the order of the navigation (mkdocs.yml).
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
LINK = re.compile(r"\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def place(path: Path) -> str:
    """Return the path in the site of a file of the repository."""
    if path == ROOT / "README.md":
        return "index.md"
    return path.relative_to(DOCS if path.is_relative_to(DOCS) else ROOT).as_posix()


def linked(page: Path) -> Iterator[Path]:
    """Yield the files of the repository that a page links to."""
    for link in LINK.finditer(page.read_text(encoding="utf-8")):
        target = (page.parent / link[1]).resolve()
        if target.is_file() and target.is_relative_to(ROOT):
            yield target


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what the pages, and the documents added for them, link to."""
    here = [Path(str(file.abs_src_path)) for file in files.documentation_pages()]
    waiting = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *here]
    seen = set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if files.get_file_from_path(place(path)) is None:
            files.append(File.generated(config, place(path), abs_src_path=str(path)))
        if path.suffix == ".md":
            waiting.extend(linked(path))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Point links at the site's pages."""
    source = Path(str(page.file.abs_src_path))
    folder = posixpath.dirname(page.file.src_uri)

    def rewritten(link: re.Match[str]) -> str:
        target = (source.parent / link[1]).resolve()
        if not target.is_file():
            return link[0]  # the build reports it
        return f"]({posixpath.relpath(place(target), folder or '.')}{link[2] or ''})"

    return LINK.sub(rewritten, markdown)
