"""The made-up tool's reader, registered by an entry point as a third party's is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hypernova.table.importing.registry import log_readers
from support.made_up_logs import install

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Register the reader for a test."""
    folder = install(tmp_path_factory.mktemp("packages"), value="support.made_up_logs:MadeUpReader")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        log_readers.cache_clear()
        yield
    log_readers.cache_clear()
