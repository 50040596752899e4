"""The examples of docstrings do what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import hypernova
from hypernova.errors import MissingExtraError

MODULES = [m.name for m in pkgutil.walk_packages(hypernova.__path__, "hypernova.")]


@pytest.mark.parametrize("name", ["hypernova", *MODULES])
def test_examples_run(name: str, tmp_path, monkeypatch) -> None:
    if name.endswith("__main__"):
        return
    try:
        module = importlib.import_module(name)
    except MissingExtraError as error:
        pytest.skip(f"the examples are NOT run: {error}")
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    assert doctest.testmod(module, optionflags=flags).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    router = importlib.import_module("hypernova.router.router")
    assert sum(bool(found.examples) for found in finder.find(router)) >= 3
