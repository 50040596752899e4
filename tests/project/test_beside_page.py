"""docs/beside.md shows lines of the examples as they are, and all of the examples.

Not here: running them (tests/beside, `test_service_examples.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.pages import blocks, text_of
from support.paths import EXAMPLES

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = sorted((EXAMPLES / "beside").glob("*.py"))


@pytest.mark.parametrize("block", blocks("docs/beside.md", "python"))
def test_what_the_page_shows_is_in_a_program(block: str) -> None:
    assert any(stripped(block) in stripped(path.read_text(encoding="utf-8")) for path in PROGRAMS)


def stripped(text: str) -> str:
    """A text without the indentation of its lines."""
    return "\n".join(line.strip() for line in text.splitlines())


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_is_short_and_on_the_page(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60
    assert f"](../examples/beside/{path.name})" in text_of("docs/beside.md")
