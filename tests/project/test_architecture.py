"""The shape of the package: imports without circles, names, sizes and headers of modules.

Not here: which package may import which (import-linter's contracts in pyproject.toml), and the
modules of the core (rust/hypernova-core/tests/modules.rs).
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import defaultdict
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

import pytest

from support.paths import PACKAGE

if TYPE_CHECKING:
    from pathlib import Path

MODULES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = sorted(path.parent for path in MODULES if path.name == "__init__.py")

MIN_CODE_LINES, MAX_LINES = 15, 500
# A command starts here and does nothing else.
SMALL = {"__init__.py", "__main__.py"}


def name_of(path: Path) -> str:
    return str(path.relative_to(PACKAGE.parent))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def docstring_nodes(path: Path) -> list[ast.AST]:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return [node for node in ast.walk(tree_of(path)) if isinstance(node, documented)]


def code_lines(path: Path) -> int:
    """Count the lines that hold code: no comments, docstrings or blank lines."""
    prose: set[int] = set()
    for node in docstring_nodes(path):
        if ast.get_docstring(node) is not None:
            text = node.body[0]
            prose |= set(range(text.lineno, text.end_lineno + 1))
    blank = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type not in blank and token.type != tokenize.ENDMARKER:
            code |= set(range(token.start[0], token.end[0] + 1))
    return len(code - prose)


def circle_in(imports: dict[str, set[str]]) -> str:
    """Give a circle of a graph of imports as text, or nothing where there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return " is imported by ".join(error.args[1])
    return ""


@pytest.fixture(scope="module")
def graph():
    grimp = pytest.importorskip("grimp", reason="imports NOT looked at: no import-linter")
    return grimp.build_graph("hypernova", cache_dir=None)


class TestImports:
    """Imports under TYPE_CHECKING count: who reads a module needs those it names."""

    def test_no_circle_of_modules(self, graph) -> None:
        imports = {
            module: set(graph.find_modules_directly_imported_by(module)) - {module}
            for module in graph.modules
        }
        assert not circle_in(imports), circle_in(imports)

    def test_no_circle_of_packages(self, graph) -> None:
        """Two folders that import each other are one, whichever of their modules do it."""
        circles = []
        for folder in FOLDERS:
            package = ".".join(folder.relative_to(PACKAGE.parent).parts)
            siblings = graph.find_children(package)
            imports = {
                one: {
                    other
                    for other in siblings - {one}
                    if graph.direct_import_exists(importer=one, imported=other, as_packages=True)
                }
                for one in siblings
            }
            circles.append(circle_in(imports))
        assert not any(circles), "\n".join(filter(None, circles))


class TestNames:
    def test_a_class_name_stands_for_one_class(self) -> None:
        places = defaultdict(list)
        for path in [*MODULES, *sorted(PACKAGE.rglob("*.pyi"))]:
            for node in ast.walk(tree_of(path)):
                if isinstance(node, ast.ClassDef):
                    places[node.name].append(name_of(path))
        several = [f"{name}: {', '.join(at)}" for name, at in places.items() if len(at) > 1]
        assert not several, "\n".join(several)


class TestSizes:
    def test_no_module_is_a_crumb(self) -> None:
        sizes = {name_of(p): code_lines(p) for p in MODULES if p.name not in SMALL}
        crumbs = [f"{name}: {n} lines" for name, n in sizes.items() if n < MIN_CODE_LINES]
        assert not crumbs, "merge them where they belong:\n" + "\n".join(crumbs)

    def test_no_module_is_longer_than_one_sitting(self) -> None:
        sizes = {name_of(p): p.read_text(encoding="utf-8").count("\n") for p in MODULES}
        long = [f"{name}: {n} lines" for name, n in sizes.items() if n > MAX_LINES]
        assert not long, "divide them by subject:\n" + "\n".join(long)


class TestHeaders:
    def test_a_module_says_what_it_is_for_and_what_is_not_in_it(self) -> None:
        without = [
            name_of(path)
            for path in MODULES
            if "Not here:" not in (ast.get_docstring(tree_of(path)) or "")
            and path.name != "__main__.py"
        ]
        assert not without, '"Not here:" is missing in\n' + "\n".join(without)

    def test_no_docstring_begins_with_what(self) -> None:
        found = [
            f"{name_of(path)}: {getattr(node, 'name', 'the module')}"
            for path in [*MODULES, *sorted(PACKAGE.rglob("*.pyi"))]
            for node in docstring_nodes(path)
            if re.match(r"What\b", ast.get_docstring(node) or "")
        ]
        assert not found, "name the noun:\n" + "\n".join(found)

    @pytest.mark.parametrize("folder", FOLDERS[1:], ids=name_of)
    def test_a_package_names_each_of_its_modules(self, folder: Path) -> None:
        """Items of a list, ``- ``name``: ...``, name modules and nothing else."""
        text = ast.get_docstring(tree_of(folder / "__init__.py")) or ""
        there = {path.stem for path in folder.glob("*.py") if path.name not in SMALL}
        there |= {path.parent.name for path in folder.glob("*/__init__.py")}
        items = re.findall(r"^- ((?:``\w+``,? ?)+)", text, flags=re.MULTILINE)
        listed = {name for item in items for name in re.findall(r"``(\w+)``", item)}
        gone, unnamed = listed - there, there - set(re.findall(r"``(\w+)``", text))
        assert not gone, f"named, and not there: {', '.join(sorted(gone))}"
        assert not unnamed, f"there, and not named: {', '.join(sorted(unnamed))}"
