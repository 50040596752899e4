"""What a file says to a machine: sources without comments and docstrings.

Two versions of a file with the same code make the same measurements, so that a record which was
made with the one holds for the other.

Not here: which files a measurement depends on.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import PurePosixPath

# Strings before comments: two slashes within a string begin none.
_RUST = re.compile(
    r"""
      (?P<raw>  b?r(?P<hashes>\#*)".*?"(?P=hashes) )
    | (?P<text> b?"(?:[^"\\]|\\.)*" )
    | (?P<char> b?'(?:[^'\\\n]|\\[^\n]+?)' )
    | (?P<line> //[^\n]* )
    | (?P<open> /\* )
    | (?P<blank> \s+ )
    """,
    re.VERBOSE | re.DOTALL,
)
_NESTED = re.compile(r"/\*|\*/")
# As rustfmt writes it: the module ends with the next brace at the beginning of a line.
_UNIT_TESTS = re.compile(r"^#\[cfg\(test\)\]\nmod \w+ \{\n.*?^\}\n", re.MULTILINE | re.DOTALL)


def code_of(name: str, content: bytes) -> bytes:
    """Return what counts of a file.

    Args:
        name: The file's name, which tells its language.
        content: Its bytes.

    Returns:
        For Python, its syntax without docstrings; for Rust, its text without comments and unit
        tests; for `Cargo.toml` and `Cargo.lock`, their values without the version of this
        project; for Markdown nothing; of any other file all bytes.
    """
    path = PurePosixPath(name)
    try:
        if path.suffix == ".py":
            return _python(content.decode())
        if path.suffix == ".rs":
            return _rust(content.decode())
        if path.suffix in (".toml", ".lock"):
            return _toml(content.decode())
    except (SyntaxError, ValueError):
        return content
    return b"" if path.suffix in (".md", ".pyi") else content


def _python(text: str) -> bytes:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree).encode()


def _rust(text: str) -> bytes:
    text = _UNIT_TESTS.sub("", text)
    kept, at = [""], 0
    while found := _RUST.search(text, at):
        if found.start() > at:
            kept.append(text[at : found.start()])
        at = found.end()
        if found["open"]:
            at = _end_of_comment(text, at)
        if not (found["open"] or found["line"] or found["blank"]):
            kept.append(found[0])
        elif kept[-1] != " ":  # one blank for any number of blanks and comments
            kept.append(" ")
    return "".join([*kept, text[at:]]).strip().encode()


def _end_of_comment(text: str, at: int) -> int:
    depth = 1
    while depth:
        found = _NESTED.search(text, at)
        if found is None:
            return len(text)
        depth += 1 if found[0] == "/*" else -1
        at = found.end()
    return at


def _toml(text: str) -> bytes:
    values = tomllib.loads(text)
    values.get("workspace", {}).get("package", {}).pop("version", None)
    for package in values.get("package", []) if isinstance(values.get("package"), list) else []:
        if "source" not in package:
            package.pop("version", None)
    return repr(values).encode()
