"""The stub documents the compiled core as the core documents itself.

Not here: types and signatures, which mypy's stubtest compares, and the route options
(`test_route_options.py`).
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
from typing import Any

import pytest

from hypernova import _core
from support.paths import ROOT

REMEDY = "run `python rust/hypernova-py/stub.py`"


@pytest.fixture(scope="module")
def stub() -> Any:
    path = ROOT / "rust" / "hypernova-py" / "stub.py"
    spec = importlib.util.spec_from_file_location("hypernova_stub", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_docstrings_are_those_of_the_core(stub: Any) -> None:
    stated = stub.docstrings(stub.STUB.read_text())
    assert {"Artifact", "Artifact.open", "Artifact.metadata", "Decision.reason"} <= stated.keys()
    for path, text in stated.items():
        value: Any = _core
        for name in path.split("."):
            value = getattr(value, name)
        is_slot = path.rsplit(".", 1)[-1].startswith("__")
        assert text == (None if is_slot else inspect.getdoc(value)), f"{path}: {REMEDY}"


def constants(text: str) -> set[str]:
    """Paths of the constants of a stub's classes, which have no docstring."""
    classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    return {
        f"{node.name}.{field.target.id}"
        for node in classes
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }


def test_nothing_public_is_left_out_of_the_stub(stub: Any) -> None:
    text = stub.STUB.read_text()
    stated = stub.docstrings(text).keys() | constants(text)
    for name, cls in vars(_core).items():
        if inspect.isclass(cls):
            public = {f"{name}.{member}" for member in vars(cls) if not member.startswith("_")}
            assert public <= stated


def test_a_changed_docstring_is_put_back(stub: Any) -> None:
    text = stub.STUB.read_text()
    changed = text.replace('"""Number of models, m."""', '"""Another text."""')
    changed = changed.replace('"""Number of clusters, k."""', "...")
    assert changed != text
    assert stub.docstrings(stub.written(changed)) == stub.docstrings(text)


def test_replace_takes_the_arguments_of_build(stub: Any) -> None:
    tree = ast.parse(stub.STUB.read_text())
    changes = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "_Changes"
    )
    fields = [node.target.id for node in changes.body if isinstance(node, ast.AnnAssign)]
    assert fields == list(inspect.signature(_core.Artifact.build).parameters)
