"""Commands on an outcome log that get another file: refused in one line, and nothing is written.

Not here: damaged lines of a log, which are counted (tests/outcome_log).
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

import hypernova
from support.commands import fails_in_one_line, output_of, run
from support.paths import TABLE

if TYPE_CHECKING:
    from pathlib import Path

OTHERS = {
    "text": "a line\nanother\n",
    "json": "[1]\n{}\n",
    "table": TABLE.read_text(encoding="utf-8"),
    "newer": '{"v": 99, "type": "decision"}\n',
}


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("router") / "router.hnv"
    shutil.copy(hypernova.router.BUNDLED_ARTIFACT, path)
    return path


@pytest.mark.parametrize("kind", OTHERS)
def test_a_file_that_is_no_log_is_refused_by_every_reader(
    kind: str, router: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(OTHERS[kind], encoding="utf-8")
    lines = len(OTHERS[kind].splitlines())
    part = f"{other}: none of its {lines:,} lines is of an outcome log; name the folder"
    if lines == 1:
        part = f"{other}: its line is not of an outcome log; name the folder"
    new = tmp_path / "new.hnv"
    for words in (
        ["monitor", router, other],
        ["recalibrate", router, other, "-o", new],
        ["diff", router, router, "--log", other],
    ):
        assert part in fails_in_one_line(*words)
    assert list(tmp_path.iterdir()) == [other]


def test_a_log_with_a_single_record_is_one_whatever_else_it_holds(
    router: Path, tmp_path: Path
) -> None:
    with hypernova.OutcomeLog(tmp_path / "log") as log:
        log.record_decision(hypernova.Router.open(router).route("Fix the race in the scheduler"))
    (segment,) = (tmp_path / "log").iterdir()
    segment.write_bytes(b"a line\n" * 20 + segment.read_bytes())
    shown = output_of("monitor", router, tmp_path / "log")
    assert "20  line that is not a JSON object" in shown
    done = run("recalibrate", router, tmp_path / "log", "-o", tmp_path / "new.hnv", code=0)
    assert "1 decision has no outcome yet" in done.stdout


def test_a_log_that_has_no_line_yet_is_one(router: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    assert output_of("monitor", router, tmp_path / "empty.jsonl").startswith("Not enough outcomes")
