"""Check the pages that people read: links, code blocks and commands of every Markdown file.

Not here: the built site, whose links `make docs` checks again.
"""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

import hypernova
from hypernova import cli
from support.pages import BLOCK, blocks, commands, run_page, text_of
from support.paths import ROOT

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

OUTSIDE = [
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md"),
    *("models/README.md", "rust/hypernova-core/FORMAT.md"),
]
PAGES = [*OUTSIDE, *(p.relative_to(ROOT).as_posix() for p in sorted(ROOT.glob("docs/**/*.md")))]
LINK = re.compile(r"\]\(((?:[^()\s]|\([^()]*\))+)\)")


def prose(page: str | Path) -> str:
    """A page without its code blocks."""
    return BLOCK.sub("", text_of(page))


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code forges and the site make them."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", prose(page), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
        same = sum(one == slug or one.startswith(f"{slug}-") for one in found)
        found.add(slug if slug not in found else f"{slug}-{same}")
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: str) -> None:
    broken = []
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        if not target.is_file() or (anchor and anchor not in anchors(target.resolve())):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", PAGES)
def test_every_python_block_compiles(page: str) -> None:
    for block in blocks(page, "python"):
        compile(block, page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)


def parser() -> argparse.ArgumentParser:
    return cli._parser()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_shell_block_parses(page: str) -> None:
    for block in blocks(page, "sh", "console", "bash"):
        for arguments in commands(block):
            if arguments == ["--help"] or arguments == ["--version"]:
                continue
            try:
                parser().parse_args(arguments)
            except SystemExit:
                pytest.fail(f"hypernova {shlex.join(arguments)}")


@cache
def options_of_commands() -> dict[str, set[str]]:
    """The options of each command, by its name."""
    (subparsers,) = [a for a in parser()._actions if isinstance(a.choices, dict)]
    return {
        name: {option for action in one._actions for option in action.option_strings}
        for name, one in subparsers.choices.items()
    }


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_every_command_in_a_sentence_exists_with_its_options(page: str) -> None:
    known = options_of_commands()
    for command, rest in re.findall(r"`hypernova ([a-z-]+)([^`]*)`", prose(page)):
        assert command in known, f"hypernova {command}"
        options = set(re.findall(r"(?<![\w-])--[a-z-]+", rest))
        assert options <= known[command], f"hypernova {command}: {options - known[command]}"


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    places = {page.removeprefix("docs/") for page in PAGES} - {"README.md"} | {"index.md"}
    assert {place for place in places if f": {place}\n" not in config} == set()


def references() -> list[str]:
    """The names whose documentation the site takes from docstrings."""
    pages = sorted(ROOT.glob("docs/api/*.md"))
    return [name for p in pages for name in re.findall(r"^::: (\S+)$", text_of(p), re.MULTILINE)]


@pytest.mark.parametrize("name", references())
def test_what_the_reference_names_exists(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    try:
        found = import_module(name) if name == "hypernova.errors" else import_module(module)
    except hypernova.errors.MissingExtraError as error:
        pytest.skip(str(error))
    assert name == "hypernova.errors" or hasattr(found, attribute)


def test_the_reference_has_every_public_name_once() -> None:
    listed = [name for name in references() if name.count(".") == 1 and name != "hypernova.errors"]
    public = {f"hypernova.{name}" for name in hypernova.__all__}
    # The reference of errors is that of their module.
    assert sorted(listed) == sorted(public - {"hypernova.HypernovaError", "hypernova.__version__"})


def test_the_citation_names_the_version_of_the_package() -> None:
    assert f"\nversion: {hypernova.__version__}\n" in text_of("CITATION.cff")


WALKS = ("From a text to a decision", "From a table to a file")


def steps(walk: str) -> list[str]:
    """The steps of a section of CONTRIBUTING.md."""
    section = text_of("CONTRIBUTING.md").split(f"## {walk}\n")[1].split("\n## ")[0]
    return re.findall(r"^\d+\. (.*)$", section, re.MULTILINE)


def named(step: str) -> list[tuple[str, str]]:
    """The functions that a step names, each with its file."""
    found = re.findall(r"((?:`[\w.:]+`(?:, | and )?)+) \(`([\w/.-]+)`\)", step)
    return [(name, path) for names, path in found for name in re.findall(r"`([\w.:]+)`", names)]


@pytest.mark.parametrize("walk", WALKS)
def test_a_walk_has_at_most_twelve_steps_that_each_name_a_function_and_a_file(walk: str) -> None:
    assert 6 <= len(steps(walk)) <= 12
    assert all(named(step) for step in steps(walk))


@pytest.mark.parametrize(
    ("name", "path"), [pair for walk in WALKS for step in steps(walk) for pair in named(step)]
)
def test_what_a_walk_names_is_in_the_file_that_it_names(name: str, path: str) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    *owners, function = re.split(r"\.|::", name)
    assert re.search(rf"\b(?:def|fn|class|struct|enum) {function}\b", source)
    for owner in owners:
        assert re.search(rf"\b(?:class|struct|enum|impl|mod) {owner}\b", source), owner


@pytest.mark.slow
def test_the_readme_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FIELD 13."""
    assert any("hypernova.fit" in block for block in blocks("README.md", "python"))
    assert sum(len(list(commands(block))) for block in blocks("README.md", "sh")) >= 4
    # The tutorial imports and evaluates.
    run_page("README.md", tmp_path, "hypernova evaluate examples/")
