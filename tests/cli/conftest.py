"""The artifact that tests of several commands start from. Not here: how commands are run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.factories import fitted_to_example

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an artifact of four clusters, fitted to the example."""
    path = tmp_path_factory.mktemp("fitted") / "router.hnv"
    fitted_to_example(4).save(path)
    return path
