"""The tutorial runs from its first command to its last, and prints what it shows.

`make test-eval-tools` names the Python of an environment with Inspect AI in HYPERNOVA_EVAL_TOOLS.
Not here: the other pages (test_pages).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.pages import EVAL_TOOLS, run_page

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.skipif(
    EVAL_TOOLS is None, reason="needs Inspect AI in HYPERNOVA_EVAL_TOOLS: make test-eval-tools"
)
def test_the_tutorial_runs_from_top_to_bottom(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # the server's options name files there
    run_page("docs/tutorial.md", tmp_path)
