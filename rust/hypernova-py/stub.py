"""Keep the docstrings of `_core.pyi` those of the compiled module.

Not here: signatures; they are kept by hand in the stub, and mypy's stubtest holds them.

The doc comments of the Rust classes are written once; ``python rust/hypernova-py/stub.py`` copies
them into the stub, and ``--check`` exits with 1 if the two differ. Build the core first.
"""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import hypernova._core

STUB = Path(__file__).resolve().parents[2] / "python" / "hypernova" / "_core.pyi"


def written(stub: str, module: Any = hypernova._core) -> str:
    """Give the text of a stub with the docstrings that a module has at run time.

    Args:
        stub: Its text as it is.
        module: Where each object of the stub is looked up.

    Returns:
        The text, not yet formatted.
    """
    lines = stub.splitlines()
    # From the end on, so that the lines of nodes that are still to come keep their numbers.
    for node, path in reversed(list(_documented(ast.parse(stub), ()))):
        owner = module
        for name in path[:-1]:
            owner = getattr(owner, name)
        # Of a slot, such as __eq__, Python has a text of its own.
        doc = None if path[-1].startswith("__") else inspect.getdoc(getattr(owner, path[-1]))
        _put(lines, node, doc)
    return "\n".join(lines) + "\n"


def _documented(node: ast.AST, path: tuple[str, ...]) -> Any:
    """Yield the classes and functions in order, an outer one before its members."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            inner = (*path, child.name)
            if not (isinstance(child, ast.ClassDef) and child.name.startswith("_")):
                yield child, inner
                yield from _documented(child, inner)


def _put(lines: list[str], node: ast.FunctionDef | ast.ClassDef, doc: str | None) -> None:
    """Replace the docstring of a node in the lines, or its ``...``."""
    first = node.body[0]
    has_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    is_class = isinstance(node, ast.ClassDef)
    blank = " " * (node.col_offset + 4)
    text = [] if doc is None else _quoted(doc, blank)
    if is_class:
        keep_from = first.end_lineno if has_text else first.lineno - 1
        lines[first.lineno - 1 : keep_from] = text
        return
    assert has_text, f"the body of {node.name} is neither a docstring nor '...'"
    head = lines[first.lineno - 1][: first.col_offset].rstrip()
    new = [*([head] if head else []), *text] if text else [f"{head} ..." if head else f"{blank}..."]
    lines[first.lineno - 1 : first.end_lineno] = new


def _quoted(doc: str, blank: str) -> list[str]:
    assert "\\" not in doc, "a backslash would need an escape in the stub"
    assert '"""' not in doc
    rows = doc.splitlines()
    if len(rows) == 1:
        return [f'{blank}"""{doc}"""']
    indented = [f"{blank}{row}" if row else "" for row in rows[1:]]
    return [f'{blank}"""{rows[0]}', *indented, f'{blank}"""']


def _formatted(text: str) -> str:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(STUB), "-"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def docstrings(stub: str) -> dict[str, str | None]:
    """Give the docstring of each class, method, property and function of a stub, by its path."""
    found = _documented(ast.parse(stub), ())
    return {".".join(path): ast.get_docstring(node) for node, path in found}


def main(arguments: list[str]) -> int:
    """Write the stub, or check it; return the exit code."""
    before = STUB.read_text()
    after = _formatted(written(before))
    if arguments == ["--check"]:
        if after != before:
            sys.stderr.write(f"{STUB}: its docstrings are not the core's; run without --check\n")
        return int(after != before)
    STUB.write_text(after)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
