"""Every public object has documentation at run time, and its examples do what they say.

Not here: the form of docstrings, which ruff checks, and the stub (`tests/core/test_stub.py`).
"""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import pkgutil
import re
from typing import TYPE_CHECKING, Any

import pytest

import hypernova
import hypernova.embedder
import hypernova.integrations
import hypernova.router
from hypernova import _core, errors
from hypernova.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES = [m.name for m in pkgutil.walk_packages(hypernova.__path__, "hypernova.")]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
CORE = (
    _core.Artifact,
    _core.Decision,
    _core.Decisions,
    _core.RankingEntry,
    _core.ReadingRules,
    _core.WordPieceTokenizer,
)
CORE_FUNCTIONS = (
    _core.cut,
    _core.cut_spans,
    _core.is_blank,
    _core.kept_spans,
    _core.nearest_centroids,
    _core.sha256,
    _core.visible_span,
)


def is_documented_kind(value: object) -> bool:
    return inspect.isclass(value) or inspect.isroutine(value)


def public_objects() -> Iterator[tuple[str, Any]]:
    """Name each public class and function, without its members."""
    for module in (hypernova, hypernova.embedder, hypernova.router):
        for name in module.__all__:
            yield f"{module.__name__}.{name}", getattr(module, name)
    for name, value in vars(errors).items():
        if inspect.isclass(value):
            yield f"hypernova.errors.{name}", value
    for function in CORE_FUNCTIONS:
        yield f"hypernova._core.{function.__name__}", function
    path = hypernova.integrations.__path__
    for found in pkgutil.iter_modules(path, "hypernova.integrations."):
        try:
            module = importlib.import_module(found.name)
        except MissingExtraError:
            continue
        for name, value in vars(module).items():
            if not name.startswith("_") and getattr(value, "__module__", "") == found.name:
                yield f"{found.name}.{name}", value


def members(name: str, cls: type) -> Iterator[tuple[str, Any]]:
    """Name the public methods and properties of a class that hypernova wrote."""
    for base in cls.__mro__:
        if base.__module__.startswith("hypernova"):
            for member, value in vars(base).items():
                if not member.startswith("_") and (
                    inspect.isroutine(value)
                    or inspect.isdatadescriptor(value)
                    or isinstance(value, property | classmethod | staticmethod)
                ):
                    yield f"{name}.{member}", value


def fields_of(cls: type) -> list[str]:
    if dataclasses.is_dataclass(cls):
        return [field.name for field in dataclasses.fields(cls)]
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return list(cls._fields)
    return list(getattr(cls, "__annotations__", {})) if hasattr(cls, "__total__") else []


def documented() -> dict[str, Any]:
    """Everything that `help` shows of the public objects, by name."""
    found: dict[str, Any] = {}
    for name, value in public_objects():
        if is_documented_kind(value):
            found[name] = value
        if inspect.isclass(value):
            fields = {f"{name}.{field}" for field in fields_of(value)}
            found |= {path: m for path, m in members(name, value) if path not in fields}
    return found


def test_every_public_object_has_a_docstring() -> None:
    found = documented()
    assert {"hypernova.Artifact.replace", "hypernova.Decision.reason"} <= found.keys()
    assert len(found) > 150
    missing = [name for name, value in found.items() if not (value.__doc__ or "").strip()]
    assert not missing, "no docstring"


def test_no_docstring_begins_with_what() -> None:
    found = documented().items()
    assert not [name for name, value in found if (value.__doc__ or "").lstrip().startswith("What")]


def test_every_public_field_is_in_the_docstring_of_its_class() -> None:
    missing = []
    for name, value in public_objects():
        if inspect.isclass(value):
            text = "\n".join(inspect.cleandoc(base.__doc__ or "") for base in value.__mro__[:-1])
            missing += [
                f"{name}.{field}"
                for field in fields_of(value)
                if not re.search(rf"^ +{field}: \S", text, re.MULTILINE)
            ]
    assert not missing, "no line under Attributes"


@pytest.mark.parametrize("name", ["hypernova", *MODULES])
def test_examples_run(name: str, tmp_path, monkeypatch) -> None:
    if name.endswith("__main__"):
        return
    try:
        module = importlib.import_module(name)
    except MissingExtraError as error:
        pytest.skip(f"the examples are NOT run: {error}")
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(module, optionflags=FLAGS).failed == 0


def examples_of_core() -> list[doctest.DocTest]:
    """The examples of what is compiled: doctest does not find its properties by itself."""
    objects = {function.__name__: function for function in CORE_FUNCTIONS}
    for cls in CORE:
        objects |= {cls.__name__: cls, **dict(members(cls.__name__, cls))}
    parser = doctest.DocTestParser()
    found = [parser.get_doctest(o.__doc__, {}, name, None, None) for name, o in objects.items()]
    # In one order, so that processes that share the tests collect the same ones.
    return sorted((test for test in found if test.examples), key=lambda test: test.name)


@pytest.mark.parametrize("test", examples_of_core(), ids=lambda test: test.name)
def test_examples_of_the_core_run(test: doctest.DocTest, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctest.DocTestRunner(optionflags=FLAGS).run(test).failed == 0


@pytest.mark.parametrize("cls", CORE)
def test_every_compiled_class_has_an_example(cls: type) -> None:
    assert ">>> " in (cls.__doc__ or "")


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    router = importlib.import_module("hypernova.router.router")
    assert sum(bool(found.examples) for found in finder.find(router)) >= 3
